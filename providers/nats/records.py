"""A message as JetStream keeps it: one record per message, replaced by each change of its state.

The first record of a message has no state; its sequence number says when it was published and is part of the id.
Leasing, releasing and setting aside a message publish a new record under the same subject, on the condition that the
last one there is the one that was read; disposing of it deletes exactly the record that was read. So of two processes
that want to change a message one succeeds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from nats.aio.msg import Msg

from hotmesh_temporal.contracts.types import DeadLetter, StreamMessage

from .connection import header
from .names import Names, is_hashed

STATE = "Hotmesh-State"
_DEAD = "d"


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a message beside its text; times in milliseconds.

    ``first`` and ``born`` are sequence number and time of its first record. ``at``: until then it is delayed, or leased
    if it was ``taken`` (at that time). ``stream`` is set where the subject cannot tell the name.
    """

    first: int = 0
    born: int = 0
    priority: int = 0
    at: int = 0
    group: str = ""
    consumer: str = ""
    attempt: int = 0
    taken: int = 0
    dead: int = 0
    reason: str = ""
    stream: str = ""

    def with_changes(self, **changes: Any) -> State:
        """A changed copy."""
        return msgspec.structs.replace(self, **changes)

    def headers(self) -> dict[str, str]:
        """As headers of a record; none for a message that is new."""
        # Only ASCII is safe in a header, and JSON can say everything in it.
        return {} if self == State() else {STATE: json.dumps(msgspec.to_builtins(self))}


_decoder = msgspec.json.Decoder(State)


@dataclass(frozen=True, slots=True)
class Record:
    """The last record of a message. ``seq`` names this record; ``token`` the message."""

    stream: str
    subject: str
    token: str
    seq: int
    data: bytes
    state: State
    is_moved: bool
    """It lies among the dead letters."""

    @property
    def message_id(self) -> str:
        """The id of the message."""
        return f"{self.state.first}.{self.token}"

    @property
    def text(self) -> str:
        """Its text."""
        return self.data.decode("utf-8", "surrogatepass")

    @property
    def rank(self) -> tuple[int, int]:
        """Place in the order of delivery."""
        return -self.state.priority, self.state.first

    def is_ready(self, now: int) -> bool:
        """It can be delivered."""
        return not self.state.dead and self.state.at <= now

    def is_in_flight(self, now: int) -> bool:
        """Somebody holds a lease on it."""
        return not self.state.dead and self.state.taken > 0 and self.state.at > now

    def is_held_by(self, consumer: str | None, attempt: int | None) -> bool:
        """Its last delivery was this one, and it was not given back (None: any will do)."""
        if self.state.dead:
            return False
        if consumer is None and attempt is None:
            return True
        same = consumer in (None, self.state.consumer) and attempt in (None, self.state.attempt)
        return same and self.state.taken > 0

    def as_message(self) -> StreamMessage:
        """What the consumer gets."""
        return StreamMessage(self.message_id, self.text, self.state.attempt)

    def as_dead_letter(self) -> DeadLetter:
        """What `list_dead_letters` shows."""
        state = self.state
        return DeadLetter(self.message_id, self.stream, self.text, state.attempt, state.reason, state.dead)


def read_record(message: Msg, names: Names) -> Record:
    """The record of an answer to a direct get."""
    subject, seq = header(message, "Nats-Subject"), int(header(message, "Nats-Sequence"))
    text = header(message, STATE)
    state = _decoder.decode(text) if text else State()
    if not state.first:
        state = state.with_changes(first=seq, born=time_ms(header(message, "Nats-Time-Stamp")))
    kind, queue, *_, token = subject.removeprefix(names.root + ".").split(".")
    stream = state.stream if is_hashed(queue) else names.stream(queue)
    return Record(stream, subject, token, seq, message.data, state, kind == _DEAD)


def is_ready_soon(message: Msg) -> bool:
    """A record that was just published may be delivered now or later, so a consumer should look."""
    text = header(message, STATE)
    state = _decoder.decode(text) if text else State()
    return not state.dead and not state.taken


def split_id(message_id: str) -> tuple[int, str]:
    """Place in the order of publication, and the message's token; ``(0, "")`` for anything that is not an id."""
    first, _, token = message_id.partition(".")
    if not (first.isascii() and first.isdigit() and len(first) < 20) or not is_token(token):
        return 0, ""
    return int(first), token


def is_token(token: str) -> bool:
    """It may stand in a subject."""
    return bool(token) and all(char.isascii() and (char.isalnum() or char in "=_-") for char in token)


def time_ms(stamp: str) -> int:
    """Milliseconds of a time like ``2026-11-22T21:01:27.684187865Z``."""
    seconds, _, fraction = stamp.removesuffix("Z").partition(".")
    whole = int(datetime.fromisoformat(seconds + "+00:00").timestamp())
    return whole * 1000 + int((fraction + "000")[:3])
