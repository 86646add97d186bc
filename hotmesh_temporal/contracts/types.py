"""Names and shapes that the contracts share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

STREAM_GROUP_ENGINE = "ENGINE"
STREAM_GROUP_WORKER = "WORKER"


class KeyType(Enum):
    """What a key names. ``mint_key`` turns a type and its parameters into ``<namespace>:<app>:<letter>:<id>``."""

    HOTMESH = "HOTMESH"
    APP = "APP"
    THROTTLE_RATE = "THROTTLE_RATE"
    WORK_ITEMS = "WORK_ITEMS"
    TIME_RANGE = "TIME_RANGE"
    QUORUM = "QUORUM"
    JOB_STATE = "JOB_STATE"
    JOB_DEPENDENTS = "JOB_DEPENDENTS"
    JOB_STATS_GENERAL = "JOB_STATS_GENERAL"
    JOB_STATS_MEDIAN = "JOB_STATS_MEDIAN"
    JOB_STATS_INDEX = "JOB_STATS_INDEX"
    SCHEMAS = "SCHEMAS"
    SUBSCRIPTIONS = "SUBSCRIPTIONS"
    SUBSCRIPTION_PATTERNS = "SUBSCRIPTION_PATTERNS"
    HOOKS = "HOOKS"
    SIGNALS = "SIGNALS"
    SYMKEYS = "SYMKEYS"
    SYMVALS = "SYMVALS"
    STREAMS = "STREAMS"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParams:
    """Parameters of ``mint_key``; each key type reads those that it needs (missing ones are empty)."""

    app_id: str = ""
    engine_id: str = ""
    app_version: str = ""
    job_id: str = ""
    job_key: str = ""
    date_time: str = ""
    facet: str = ""
    topic: str = ""
    time_value: int | None = None
    scout_type: str = ""
    activity_id: str = ""


class Transaction(ABC):
    """Commands that are applied together or not at all.

    A method given a transaction only queues; it returns a placeholder of its result type (0, False, None, "" or []).
    The real results are those of `exec`, one for each queued call, in order.
    """

    @abstractmethod
    async def exec(self) -> list[Any]:
        """Apply everything atomically. Raises `AlreadyDone` if called twice, and what a guard or command raises.

        After an error nothing was applied.
        """


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """A delivered message. ``attempt`` counts deliveries from 1 and is the fence of this one."""

    message_id: str
    data: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will not be delivered any more (extension). ``attempt`` counts the deliveries that it had."""

    message_id: str
    stream: str
    data: str
    attempt: int
    reason: str
    dead_at_ms: int


@dataclass(frozen=True, slots=True)
class StreamStats:
    """``message_count`` (the depth) is ready + delayed + in flight; ``dead`` letters are not part of the depth."""

    stream: str
    message_count: int = 0
    ready: int = 0
    delayed: int = 0
    in_flight: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class StreamDepth:
    """Depth of one stream."""

    stream: str
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFeatures:
    """What a stream provider can do. Every claimed capability is exercised by the conformance kit."""

    supports_batching: bool = True
    supports_dead_letter_queue: bool = True
    supports_ordering: bool = True
    supports_trimming: bool = True
    supports_retry: bool = True
    supports_transactions: bool = True
    supports_notifications: bool = True
    supports_dedup: bool = False
    max_message_size: int = 16 * 1024 * 1024
    max_batch_size: int = 1000


@dataclass(frozen=True, slots=True)
class AppVersion:
    """A deployed application version (HotMesh: ``AppVID``)."""

    id: str
    version: str


@dataclass(frozen=True, slots=True)
class Stats:
    """Changes of time-bucketed counters, see ``set_stats``. Each entry is ``(facet, value)``."""

    general: tuple[tuple[str, float], ...] = ()
    index: tuple[tuple[str, str], ...] = ()
    median: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class HookSignal:
    """Whoever signals ``(topic, resolved)`` wakes ``job_id`` (a composite ``aid::dad::gid::jid``). ``expire`` in
    seconds.
    """

    topic: str
    resolved: str
    job_id: str
    expire: int = 3600


@dataclass(frozen=True, slots=True)
class TimeHookTask:
    """A due time hook, see ``get_next_task``. ``type`` is one of sleep, expire, interrupt, delist, child.

    ``dad`` and ``fence`` are extensions: the dimensional address, and what ``ack_time_hook`` must show.
    """

    list_key: str
    job_id: str
    gid: str
    activity_id: str
    type: str
    dad: str = ""
    fence: int = 0


@dataclass(frozen=True, slots=True)
class ThrottleOptions:
    """``throttle`` in milliseconds between reads (-1: until further notice), of everything or of one
    ``topic``/``guid``.
    """

    throttle: int
    topic: str | None = None
    guid: str | None = None


MAX_DELAY_MS = 2**31 - 1
"""A throttle of this many milliseconds means: paused until further notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptOptions:
    """How to interrupt a job. ``throw`` False leaves no error in the job; ``suppress`` reports no failure."""

    reason: str = ""
    code: int = 410
    stack: str = ""
    throw: bool = True
    suppress: bool = False


JsonObject = Mapping[str, Any]
StringMap = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AppRecord:
    """A registered app: its active version and every deployed one (``version -> "deployed:<iso>" |
    "activated:<iso>"``).
    """

    id: str
    version: str
    active: bool = False
    versions: StringMap = field(default_factory=dict[str, str])
