"""Where something new starts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .calls import Side


@dataclass(frozen=True)
class NewWorkflow:
    """What is about to start; for a rule. ``request`` is all of it, as the SDK sends it.

    For a schedule ``workflow_id`` is the schedule's id, and the rest that of the workflow that it will start.
    """

    namespace: str
    workflow_id: str
    workflow_type: str
    task_queue: str
    request: Any


Rule = Callable[[NewWorkflow], "Side | str | None"]


@dataclass
class Choice:
    """Which side gets what is new. Shares are from 0 (all to Temporal) to 1 (all to your database).

    The id decides within a share: the same id always comes to the same side, and an id that came to your database still
    does when the share grows. All fields may be changed while the client is used.
    """

    share: float = 1.0
    by_workflow_type: Mapping[str, float] = field(default_factory=dict[str, float])
    by_task_queue: Mapping[str, float] = field(default_factory=dict[str, float])
    rule: Rule | None = None

    def __post_init__(self) -> None:
        """Refuse shares that are none. Raises `ValueError`."""
        for share in (self.share, *self.by_workflow_type.values(), *self.by_task_queue.values()):
            if not 0 <= share <= 1:
                raise ValueError(f"a share is a number from 0 (Temporal) to 1 (your database), not {share!r}")

    def side_of(self, new: NewWorkflow) -> Side:
        """Where it starts: what the rule says, else the share of its type, else of its task queue, else `share`.

        Raises:
            ValueError: The rule gave something that is not a side.
        """
        if self.rule is not None and (said := self.rule(new)) is not None:
            return Side(said)
        share = self.by_workflow_type.get(new.workflow_type)
        if share is None:
            share = self.by_task_queue.get(new.task_queue, self.share)
        return Side.HOTMESH if _place(new.namespace, new.workflow_id) < share else Side.TEMPORAL


def _place(namespace: str, id: str) -> float:
    """A number from 0 to 1 (not included) that the id always has, in every process."""
    digest = hashlib.sha256(f"{namespace}\0{id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
