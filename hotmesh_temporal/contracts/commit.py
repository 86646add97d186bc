"""The engine's unit of work: one `Commit` is applied whole or not at all, in one round trip (extension).

A commit is plain data. `StoreService.commit` checks, in this order, every revision (`RevisionConflict`), every
current-run pointer (`CurrentRunConflict`) and every dedup mark (`DuplicateMark`); if all hold it applies everything.
All times are milliseconds since the Unix epoch, by the clock of the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

from .search import SearchDocument


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events ``first_event_id`` to ``next_event_id - 1`` as one serialized ``temporal.api.history.v1.History``.

    Batches concatenate to a valid ``History`` because its only field is repeated.
    """

    first_event_id: int
    next_event_id: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWrite:
    """New content of one run.

    ``expected_revision`` 0 creates the run (it must not exist), else the run must be at exactly that revision;
    afterwards it is at ``expected_revision + 1``. ``status`` is the job's status semaphore (1 open, 0 closed).
    ``origin`` is the immutable part, given on creation only. ``batches`` are appended to the history; the first one
    must start where the stored history ends (else `RevisionConflict`)..
    """

    job_id: str
    expected_revision: int
    status: int
    state: bytes
    origin: bytes | None = None
    batches: tuple[EventBatch, ...] = ()


@dataclass(frozen=True, slots=True)
class CurrentRunWrite:
    """Point ``pointer_id`` at ``run_id``, if it names ``expected`` now (None: if it names no run).

    ``pointer_id`` and both runs are job ids. A pointer to a run that was scrubbed or whose time ran out names none.
    """

    pointer_id: str
    expected: str | None
    run_id: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A request id that must be new for ``job_id`` (the same ledger as ``collate_synthetic(job, guid, 1)``)."""

    job_id: str
    guid: str


@dataclass(frozen=True, slots=True)
class MessageLease:
    """Publish a message as already delivered to ``consumer`` of ``group`` for ``lease_ms``.

    A process that has an idle poller hands a task over without a second round trip; if it dies, the lease lapses and
    the message is delivered as any other.
    """

    group: str
    consumer: str
    lease_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """One message for one stream. ``visible_at_ms``: not delivered before. Higher ``priority`` first (default 0)."""

    stream: str
    message: str
    visible_at_ms: int | None = None
    priority: int = 0
    lease: MessageLease | None = None


@dataclass(frozen=True, slots=True)
class Ack:
    """Dispose of a consumed message for good, if ``consumer`` still holds its delivery number ``attempt``.

    A lease that was lost is not an error of the commit: the revision decides who wins.
    """

    stream: str
    group: str
    message_id: str
    consumer: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TimerWrite:
    """Arm the timer ``timer_id`` (one per id: arming again replaces time and payload and voids older claims)."""

    timer_id: str
    fire_at_ms: int
    payload: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Everything that one decision changes.

    Timers are cancelled before others are armed. Of two timers or documents with one id the later one wins.
    """

    runs: tuple[RunWrite, ...] = ()
    current_runs: tuple[CurrentRunWrite, ...] = ()
    marks: tuple[Mark, ...] = ()
    publishes: tuple[Publish, ...] = ()
    outbox: tuple[Publish, ...] = ()
    acks: tuple[Ack, ...] = ()
    timers: tuple[TimerWrite, ...] = ()
    cancel_timers: tuple[str, ...] = ()
    search: tuple[SearchDocument, ...] = ()


@dataclass(frozen=True, slots=True)
class CommitResult:
    """``message_ids`` and ``outbox_ids`` are in the order of ``Commit.publishes`` and ``Commit.outbox``."""

    message_ids: tuple[str, ...] = ()
    outbox_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A stored run. ``state`` and ``origin`` are empty when the caller already knows ``revision``."""

    job_id: str
    revision: int
    status: int
    state: bytes
    origin: bytes


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A claimed timer. ``fence`` must be shown to ack it; a later claim or arming of the same id voids it."""

    timer_id: str
    fire_at_ms: int
    payload: str
    fence: int


@dataclass(frozen=True, slots=True)
class DueTimers:
    """Claimed timers in order of time, and when the next unclaimed one is due (None: there is none)."""

    timers: tuple[DueTimer, ...]
    next_fire_at_ms: int | None


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A message waiting to be published. ``outbox_id`` is the broker's dedup id."""

    outbox_id: str
    stream: str
    message: str
    visible_at_ms: int | None
    priority: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A held lease. ``fence`` grows with every change of owner, so that a late writer can be told from the holder."""

    name: str
    owner: str
    fence: int
    expires_at_ms: int
