"""Extensions of the store contract that an engine with Temporal's semantics needs (all marked *extension*).

HotMesh's own methods have nothing conditional inside a transaction, no ordered history and no owner of a lease;
these methods add exactly that. `StoreService` includes them, so every store has them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from .commit import Commit, CommitResult, DueTimers, EventBatch, Lease, Mark, OutboxEntry, RunRecord
from .types import Transaction


class RunStore(ABC):
    """What a decision on a run needs: read it, and commit (extension)."""

    @abstractmethod
    async def commit(self, commit: Commit) -> CommitResult:
        """Apply a whole `Commit` or nothing, in one round trip (extension).

        Raises `RevisionConflict`, `CurrentRunConflict` or `DuplicateMark` (checked in this order) and then has changed
        nothing. When it raises `Unavailable` the outcome is unknown: the caller loads the run again to find out.
        """

    @abstractmethod
    async def load_run(self, job_id: str, known_revision: int = 0) -> RunRecord | None:
        """The run, or None. State and origin are left out when the run is still at ``known_revision`` (extension)."""

    @abstractmethod
    async def load_current_run(self, pointer_id: str, known: tuple[str, int] = ("", 0)) -> RunRecord | None:
        """The run that the current-run pointer names, in one round trip; None if there is no pointer (extension).

        ``known`` is ``(job_id, revision)`` of a run that the caller has; see `load_run`.
        """

    @abstractmethod
    async def has_mark(self, mark: Mark) -> bool:
        """Whether a commit with this mark would raise `DuplicateMark` now (extension). Sets nothing."""


class ExecutionStore(RunStore, ABC):
    """Runs, histories, timers, outbox and leases (extension)."""

    # -- runs -------------------------------------------------------------------------------------------------

    @abstractmethod
    async def list_runs(self, after: str = "", limit: int = 1000, status: int | None = None) -> list[RunRecord]:
        """Runs in order of their job id, from the first one greater than ``after`` (extension).

        For verification and export. ``status`` keeps only runs with that status semaphore.
        """

    # -- history ----------------------------------------------------------------------------------------------

    @abstractmethod
    async def append_events(
        self, job_id: str, batches: Sequence[EventBatch], transaction: Transaction | None = None
    ) -> None:
        """Append batches; the first must start where the stored history ends, else `RevisionConflict` (extension)."""

    @abstractmethod
    async def get_events(
        self,
        job_id: str,
        from_event_id: int = 1,
        *,
        before_event_id: int | None = None,
        limit: int = 1000,
        reverse: bool = False,
    ) -> list[EventBatch]:
        """Batches that hold an event with ``from_event_id <= id < before_event_id``, whole, in order (extension).

        ``limit`` counts batches. ``reverse`` gives the last ones first. Unknown run: ``[]``.
        """

    # -- guards -----------------------------------------------------------------------------------------------

    @abstractmethod
    async def guard(self, job_id: str, revision: int, transaction: Transaction) -> None:
        """Let ``transaction`` apply only if the run is at ``revision`` (0: does not exist), else `RevisionConflict`.

        Queues one command (extension). The revision itself is not changed.
        """

    # -- timers -----------------------------------------------------------------------------------------------

    @abstractmethod
    async def register_timer(
        self, timer_id: str, fire_at_ms: int, payload: str = "", transaction: Transaction | None = None
    ) -> None:
        """Arm (or re-arm: replace time and payload, void older claims) a timer with millisecond precision
        (extension).
        """

    @abstractmethod
    async def cancel_timer(self, timer_id: str, transaction: Transaction | None = None) -> bool:
        """Disarm a timer. True if it was armed (extension)."""

    @abstractmethod
    async def claim_due_timers(self, now_ms: int, limit: int, lease_ms: int) -> DueTimers:
        """Claim up to ``limit`` timers due at ``now_ms``: no other claim gets them before ``now_ms + lease_ms``
        (extension).

        At least once: a claimed timer that is neither acked, re-armed nor cancelled comes due again.
        """

    @abstractmethod
    async def ack_timer(self, timer_id: str, fence: int) -> bool:
        """Remove a claimed timer if ``fence`` is still that of the last claim or arming. True if so (extension)."""

    # -- outbox -----------------------------------------------------------------------------------------------

    @abstractmethod
    async def outbox_add(
        self, stream: str, messages: Sequence[str], transaction: Transaction | None = None
    ) -> list[str]:
        """Keep messages for a broker that cannot join this store's transaction; returns their ids (extension)."""

    @abstractmethod
    async def outbox_claim(self, owner: str, limit: int, lease_ms: int, now_ms: int) -> list[OutboxEntry]:
        """Claim the oldest unclaimed entries for ``lease_ms``; unfinished ones come back after that (extension)."""

    @abstractmethod
    async def outbox_done(self, outbox_ids: Sequence[str]) -> int:
        """Remove published entries. Idempotent; returns how many were removed (extension)."""

    # -- leases -----------------------------------------------------------------------------------------------

    @abstractmethod
    async def acquire_lease(self, name: str, owner: str, ttl_ms: int, now_ms: int) -> Lease | None:
        """Take a free or lapsed lease, or extend one's own (same fence). None: another owner holds it (extension)."""

    @abstractmethod
    async def renew_lease(self, name: str, owner: str, fence: int, ttl_ms: int, now_ms: int) -> bool:
        """Extend a lease that is still held under ``fence``. False: it was lost (extension)."""

    @abstractmethod
    async def release_lease(self, name: str, owner: str, fence: int) -> bool:
        """Give up a lease. False: it was not held under ``fence`` any more (extension)."""
