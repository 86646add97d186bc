"""What the commands of one answer share."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import TaskFailed
from ..turn import Turn


@dataclass(slots=True)
class CommandScope:
    """``completed_id`` is the id of the WorkflowTaskCompleted event that every command's event names.

    ``wake``: a command had an outcome that the worker has to see.
    ``eager`` collects the scheduled ids of activities that the worker wants to run itself at once.
    """

    turn: Turn
    completed_id: int
    identity: str
    wake: bool = False
    eager: list[int] = field(default_factory=list[int])


def require(condition: object, cause: int, message: str) -> None:
    """Fail the workflow task unless the condition holds."""
    if not condition:
        raise TaskFailed(cause, message)
