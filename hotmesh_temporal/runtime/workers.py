"""Workers that report to this process: their last heartbeats, in memory.

A worker's core sends a heartbeat to the engine of its own process once a minute; keeping it here costs the database
nothing. Whoever wants to see all workers asks the other processes (`Peers`), so a worker is known for as long as its
process lives.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

KEPT_SECONDS = 86_400.0
"""How long a worker that says nothing any more is known, as on a Temporal server."""

_MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a worker said last. ``data``: a serialized ``WorkerHeartbeat``; ``seen_at_ms``: since the epoch."""

    key: str
    data: bytes
    seen_at_ms: int


class Workers:
    """The workers of this process, by namespace and instance key."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Heartbeat] = {}

    def note(self, namespace: str, key: str, data: bytes) -> None:
        """A worker reports. It replaces what it said before."""
        # At the end, so that the first are those that have been silent for longest.
        self._known.pop((namespace, key), None)
        self._known[namespace, key] = Heartbeat(key, data, time.time_ns() // 1_000_000)
        oldest = time.time() * 1000 - KEPT_SECONDS * 1000
        while self._known:
            first = next(iter(self._known))
            if len(self._known) <= _MOST_KEPT and self._known[first].seen_at_ms >= oldest:
                return
            del self._known[first]

    def of(self, namespace: str, key: str | None = None) -> list[Heartbeat]:
        """Those of a namespace, or the one with this key."""
        if key is not None:
            found = self._known.get((namespace, key))
            return [found] if found is not None else []
        return [each for (name, _), each in self._known.items() if name == namespace]


def latest(heartbeats: Iterable[Heartbeat]) -> list[Heartbeat]:
    """Of each worker the last heartbeat, in the order of their keys: one may have reported to several processes."""
    found: dict[str, Heartbeat] = {}
    for each in heartbeats:
        before = found.get(each.key)
        if before is None or before.seen_at_ms < each.seen_at_ms:
            found[each.key] = each
    return [found[key] for key in sorted(found)]
