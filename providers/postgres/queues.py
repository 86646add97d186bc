"""Names of streams as short keys."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID


@lru_cache(maxsize=65_536)
def queue_of(app: int, stream: str) -> UUID:
    """The key of a stream: the same in every process, different for every (app, stream)."""
    return UUID(bytes=blake2b(f"{app}\0{stream}".encode("utf-8", "surrogatepass"), digest_size=16).digest())


class Queues:
    """Which streams and groups this process knows to be registered, so that it need not register them again."""

    def __init__(self) -> None:
        self._app = 0
        self._streams: set[str] = set()
        self._groups: set[tuple[str, str]] = set()

    def bind(self, app: int) -> None:
        """Set the app key."""
        self._app = app

    def unknown(self, streams: Iterable[str]) -> dict[str, UUID]:
        """The streams that are to be registered, sorted by name, with their keys."""
        return {stream: queue_of(self._app, stream) for stream in sorted(set(streams) - self._streams)}

    def learn(self, streams: Iterable[str]) -> None:
        """Remember streams that are registered now."""
        self._streams.update(streams)

    def knows_group(self, stream: str, group: str) -> bool:
        """Whether the group was seen to exist."""
        return (stream, group) in self._groups

    def learn_group(self, stream: str, group: str) -> None:
        """Remember a group that exists now."""
        self._groups.add((stream, group))

    def forget(self, stream: str, group: str | None = None) -> None:
        """Forget a group that was deleted, or a stream with all its groups."""
        if group is not None:
            self._groups.discard((stream, group))
            return
        self._streams.discard(stream)
        self._groups = {known for known in self._groups if known[0] != stream}
