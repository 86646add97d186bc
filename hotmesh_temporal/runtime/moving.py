"""Notes that a namespace is being moved here: since when, and whether somebody is at it.

While it is, a workflow that is not here may be about to come. So what runs do to it is not given up as impossible, but
tried again (`engine_tasks`); that is for as long as the mover says from time to time that it goes on.
"""

from __future__ import annotations

import msgspec

from ..contracts.commit import Commit, RunWrite
from ..contracts.errors import RevisionConflict
from ..contracts.store import StoreService
from .clock import Clock
from .keys import moving_job

FRESH_MS = 600_000
"""For so long after the mover's last word a move counts as going on."""


class Move(msgspec.Struct, omit_defaults=True):
    """``began_ms``: when the first run was about to be taken away. ``seen_ms``: the mover's last word (0: it is done).

    Times are milliseconds since the epoch.
    """

    source: str
    began_ms: int
    seen_ms: int = 0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Move)


class Moving:
    """The notes of all namespaces."""

    def __init__(self, store: StoreService, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def find(self, namespace: str) -> Move | None:
        """The note of a namespace, also of a move that is done."""
        found = await self._store.load_run(moving_job(namespace))
        return _decoder.decode(found.state) if found is not None else None

    async def is_under_way(self, namespace: str) -> bool:
        """Runs may be about to come."""
        move = await self.find(namespace)
        return move is not None and move.seen_ms + FRESH_MS > self._clock.now_ms()

    async def begin(self, namespace: str, source: str) -> Move:
        """A mover begins, or goes on with what another one left. The note says since when things are under way."""
        return await self._write(namespace, source, self._clock.now_ms())

    async def end(self, namespace: str, source: str) -> None:
        """All that was taken away is here."""
        await self._write(namespace, source, 0)

    async def _write(self, namespace: str, source: str, seen_ms: int) -> Move:
        while True:
            found = await self._store.load_run(moving_job(namespace))
            known = _decoder.decode(found.state) if found is not None else Move(source, 0)
            began = known.began_ms if known.seen_ms else seen_ms
            move = Move(source, began, seen_ms)
            write = RunWrite(
                job_id=moving_job(namespace),
                expected_revision=found.revision if found is not None else 0,
                status=1 if seen_ms else 0,
                state=_encoder.encode(move),
                origin=None if found is not None else b"move",
            )
            try:
                await self._store.commit(Commit(runs=(write,)))
            except RevisionConflict:
                continue
            return move
