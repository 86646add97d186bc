"""Wait until a run has changed, in this process or (by a hint) in another."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Watch:
    """One waiter."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._remote = False

    async def wait(self, timeout: float) -> bool:
        """Until something is heard, at most ``timeout`` seconds. True if the store has to be asked what it was."""
        try:
            await asyncio.wait_for(self._event.wait(), max(timeout, 0))
        except asyncio.TimeoutError:
            return False
        remote, self._remote = self._remote, False
        self._event.clear()
        return remote

    def notify(self, *, remote: bool) -> None:
        """Something has happened."""
        self._remote = self._remote or remote
        self._event.set()


class Watching:
    """All waiters, by job id."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}

    @contextmanager
    def watch(self, job_id: str) -> Generator[Watch]:
        """Hear of changes of a run while in the context."""
        watch = Watch()
        self._watches.setdefault(job_id, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[job_id]
            watches.discard(watch)
            if not watches:
                del self._watches[job_id]

    def is_watched(self, job_id: str) -> bool:
        """Somebody waits for changes of the run."""
        return job_id in self._watches

    def end_waits(self) -> None:
        """Let all waiters look whether they may still wait."""
        for watches in self._watches.values():
            for watch in watches:
                watch.notify(remote=False)

    def changed(self, job_id: str, *, remote: bool = False) -> None:
        """The run has changed; ``remote``: in another process, so that this one does not know it yet."""
        for watch in self._watches.get(job_id, ()):
            watch.notify(remote=remote)
