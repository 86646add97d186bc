"""All that a decision may know beside the run: the time, new ids, limits, and what its namespace is.

The runtime gives it, so that the engine has no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..errors import namespace_not_found
from .limits import SECOND, Limits

__all__ = ["MILLISECOND", "SECOND", "Context", "CustomAttribute", "Limits", "Namespace"]

MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class CustomAttribute:
    """A search attribute that somebody has added: its type, and the field that it has in search documents.

    ``kind`` is a value of ``temporal.api.enums.v1.IndexedValueType``.
    """

    kind: int
    symbol: str


@dataclass(frozen=True, slots=True)
class Namespace:
    """What a decision may know of a namespace. ``retention``: how long closed runs are kept, in nanoseconds."""

    name: str
    id: str
    retention: int = 86_400 * SECOND
    attributes: Mapping[str, CustomAttribute] = field(default_factory=dict[str, CustomAttribute])


def _any_namespace(name: str) -> Namespace:
    return Namespace(name, f"id of {name}")


@dataclass(frozen=True, slots=True)
class Context:
    """One decision's surroundings. ``now`` is nanoseconds since the epoch; ``new_id`` makes a fresh UUID text.

    ``find_namespace`` gives a namespace, None if there is none of that name.
    """

    now: int
    new_id: Callable[[], str]
    limits: Limits = field(default_factory=Limits)
    find_namespace: Callable[[str], Namespace | None] = _any_namespace

    def namespace(self, name: str) -> Namespace:
        """The namespace; NOT_FOUND if there is none of that name."""
        found = self.find_namespace(name)
        if found is None:
            raise namespace_not_found(name)
        return found

    def namespace_id(self, name: str) -> str:
        """The id of a namespace; NOT_FOUND if there is none of that name."""
        return self.namespace(name).id
