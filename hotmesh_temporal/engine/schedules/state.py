"""What is stored of a schedule: plain data, as MessagePack.

Times are nanoseconds since the Unix epoch (0: not set). What a user gave is kept as serialized protobuf.
"""

from __future__ import annotations

import msgspec

STATE_VERSION = 1
FIRST_TOKEN = 1
"""The conflict token of a new schedule."""


class Run(msgspec.Struct, array_like=True, frozen=True):
    """A chain of runs that the schedule has started, by its first run."""

    workflow_id: str
    run_id: str


class Action(msgspec.Struct, omit_defaults=True):
    """A start that was made: when it was due, when it was made, and how its run stands as far as the schedule knows."""

    due: int
    started_at: int
    workflow_id: str
    run_id: str
    status: int


class Start(msgspec.Struct, omit_defaults=True):
    """A start that has to be made, or to be waited with. ``due`` is the nominal time with the jitter.

    ``overlap`` is a ``ScheduleOverlapPolicy``; 0: that of the schedule when it comes to it. ``manual``: asked for by
    a trigger or a backfill, so neither a pause nor the number of remaining actions counts.
    """

    nominal: int
    due: int
    overlap: int = 0
    manual: bool = False


class Backfill(msgspec.Struct, omit_defaults=True):
    """The times after ``begin`` up to ``end`` that are still to be made up for."""

    begin: int
    end: int
    overlap: int = 0


class ScheduleRecord(msgspec.Struct, omit_defaults=True):
    """One schedule.

    ``schedule`` is a ``temporal.api.schedule.v1.Schedule``. ``incarnation`` tells it from an earlier one of the same
    id. ``processed``: every due time up to here was taken account of. ``running`` are the runs that the next start has
    to regard; ``last_result`` (``Payloads``) and ``last_failure`` (``Failure``) are for the next run. A schedule that
    was deleted is ``closed_at`` some time and stays for a while, so that the answers to later requests can say so; it
    is ``gone`` when it is about to be removed.
    """

    namespace: str
    schedule_id: str
    incarnation: str
    version: int = STATE_VERSION
    request_id: str = ""
    schedule: bytes = b""
    memo: bytes = b""
    search_attributes: bytes = b""
    invalid: str = ""
    conflict_token: int = FIRST_TOKEN
    created_at: int = 0
    updated_at: int = 0
    processed: int = 0
    buffer: list[Start] = []
    backfills: list[Backfill] = []
    running: list[Run] = []
    recent: list[Action] = []
    action_count: int = 0
    missed_catchup_window: int = 0
    overlap_skipped: int = 0
    buffer_dropped: int = 0
    last_result: bytes = b""
    last_failure: bytes = b""
    armed_at_ms: int = 0
    closed_at: int = 0
    gone: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ScheduleRecord)


def encode_schedule(record: ScheduleRecord) -> bytes:
    """The stored form."""
    return _encoder.encode(record)


def decode_schedule(data: bytes) -> ScheduleRecord:
    """The record of a stored form; also the way to get a private copy."""
    return _decoder.decode(data)
