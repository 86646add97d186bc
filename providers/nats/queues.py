"""The subjects of one stream."""

from __future__ import annotations

from .log import Log
from .names import Names, token
from .records import Record, split_id


class Queue:
    """One stream of the contract: a name, and subjects under a token of its own."""

    def __init__(self, names: Names, stream: str) -> None:
        self._names = names
        self.stream = stream
        self.token = names.queue(stream)
        self.all = names.of("q", self.token, ">")
        """All messages."""
        self.prioritized = names.of("q", self.token, "p", "*")
        """Those with a priority other than 0."""
        self.dead = names.of("d", self.token, ">")
        """All dead letters."""
        self.marks = names.of("g", self.token, ">")
        """That it was created, and its groups."""
        self.mark = names.of("g", self.token, "=")

    def group(self, group: str) -> str:
        """The subject of a group."""
        return self._names.of("g", self.token, f"g{token(group)}")

    def message(self, name: str, priority: int = 0) -> str:
        """The subject of a message."""
        return self._names.of("q", self.token, *(("p", name) if priority else (name,)))

    def dead_letter(self, message_id: str) -> str:
        """The subject of a message that was set aside."""
        return self._names.of("d", self.token, split_id(message_id)[1])

    @staticmethod
    def has(message_id: str) -> bool:
        """It looks like the id of a message."""
        return bool(split_id(message_id)[1])

    async def find(self, log: Log, message_id: str) -> Record | None:
        """The last record of a message that is not among the dead letters."""
        first, name = split_id(message_id)
        if not name:
            return None
        for priority in (0, 1):
            record = await log.last(self.message(name, priority))
            if record is not None and record.state.first == first:
                return record
        return None
