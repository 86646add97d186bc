"""Store contract, part 3: the state of jobs.

A job is a hash of text fields with a status semaphore (`fields.STATUS_FIELD`): the number of its open activities, 0
when done, negative when interrupted. ``app_id`` must be the app of ``init``, else `InvalidArgument`. A job whose time
ran out (`JobStore.expire_job`) does not exist for any method, at once, and its id may be used again with nothing left
over. "Raises `NotFound`" inside of a transaction means that ``exec`` raises it and nothing of the transaction is
applied.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from .types import InterruptOptions, JsonObject, StringMap, Transaction


class JobStore(ABC):
    """Create, change, read, expire and find jobs."""

    # -- status -----------------------------------------------------------------------------------------------

    @abstractmethod
    async def set_state_nx(self, job_id: str, app_id: str, status: int = 1) -> bool:
        """Create the job if it does not exist. True: created by this call. False: it exists and was not touched.

        A run made by ``commit`` is such a job too.
        """

    @abstractmethod
    async def set_status(self, delta: int, job_id: str, app_id: str, transaction: Transaction | None = None) -> int:
        """Add ``delta`` to the status (signed 64-bit) and return the new one. Raises `NotFound` for a missing job."""

    @abstractmethod
    async def get_status(self, job_id: str, app_id: str) -> int:
        """The status. Raises `NotFound` for a missing job."""

    # -- state ------------------------------------------------------------------------------------------------

    @abstractmethod
    async def set_state(
        self,
        state: JsonObject,
        status: int | None,
        job_id: str,
        symbol_names: Sequence[str],
        dids: StringMap,
        transaction: Transaction | None = None,
    ) -> str:
        """Merge ``state`` into the job, last writer of a field wins; returns ``job_id`` (in a transaction: "").

        ``fields.state_to_fields`` with the symbol maps of ``symbol_names``, as stored when this is called, gives the
        fields; a path without a symbol is left out, as the symbol map is the schema. ``status`` replaces the status,
        None keeps it. The time to live is kept. Raises `NotFound` for a missing job.
        """

    @abstractmethod
    async def get_state(
        self, job_id: str, consumes: Mapping[str, Sequence[str]], dids: StringMap
    ) -> tuple[dict[str, Any], int]:
        """``(state, status)`` with the paths of ``consumes`` (symbol name to paths) only; absent ones are missing.

        ``fields.consumed_fields`` and ``fields.fields_to_state`` say how. Raises `NotFound` for a missing job.
        """

    @abstractmethod
    async def set_query_state(self, job_id: str, fields: StringMap, transaction: Transaction | None = None) -> None:
        """Write user fields (named as by ``fields.query_field``), merged (extension: the writer for `get_query_state`).

        Raises `NotFound` for a missing job, `InvalidArgument` for the name of the status field.
        """

    @abstractmethod
    async def get_query_state(self, job_id: str, fields: Sequence[str]) -> dict[str, str | None]:
        """The stored text of each field, under the name asked for; None for an absent one. Missing job: all None.

        ``x`` is the user field ``x``, ``"x"`` in double quotes the field of exactly that name (``":"``: the status).
        """

    @abstractmethod
    async def get_raw(self, job_id: str) -> dict[str, str]:
        """Every field of the job as stored, the status under ``:``. Raises `NotFound` for a missing job.

        The ledgers of `collate` and `collate_synthetic` may be left out.
        """

    # -- collation --------------------------------------------------------------------------------------------

    @abstractmethod
    async def collate(
        self, job_id: str, activity_id: str, amount: int, dids: StringMap, transaction: Transaction | None = None
    ) -> int:
        """Add ``amount`` to the ledger of an activity at its dimension (``fields.ledger_field``); returns the new sum.

        Starts at 0; exact signed 64-bit; atomic. Raises `NotFound` for a missing job or an activity without symbols.
        """

    @abstractmethod
    async def collate_synthetic(
        self, job_id: str, guid: str, amount: int, transaction: Transaction | None = None
    ) -> int:
        """Add ``amount`` to the ledger of the message ``guid`` in the job; returns the new sum (first is ``amount``).

        The ledger is apart from the job's fields, whatever ``guid`` is; ``commit.Mark`` uses the same one. It does not
        need the job to exist, but goes with it (`scrub`, `expire_job`).
        """

    # -- end --------------------------------------------------------------------------------------------------

    @abstractmethod
    async def expire_job(self, job_id: str, in_seconds: float, transaction: Transaction | None = None) -> None:
        """Let the job, with all that it has, vanish after ``in_seconds`` (replaces an earlier time).

        Zero, negative or NaN changes nothing. Missing job: no-op.
        """

    @abstractmethod
    async def interrupt(self, topic: str, job_id: str, options: InterruptOptions | None = None) -> None:
        """Subtract 1,000,000,000 from the status of a running job (status > 0), once, atomically.

        Unless ``throw`` is False it writes the JSON object ``{"code", "message", "stack", "job_id"}`` (message:
        ``reason``), as ``fields.encode_value`` has it, at ``metadata/err``: in the field of its symbol in ``$<topic>``,
        or in a field of that name if there is none. Raises
        `NotFound` for a missing job and `AlreadyDone` for one with status <= 0 (it is unchanged; of racing calls one
        succeeds). ``suppress`` reports neither.
        """

    @abstractmethod
    async def scrub(self, job_id: str) -> None:
        """Delete the job with all that it has. Idempotent.

        That is: fields, ledgers, dependencies, history, time hooks, current-run pointers that name it, and the timer
        and the search document of the same id.
        """

    @abstractmethod
    async def add_dependency(self, job_id: str, dependency: str, transaction: Transaction | None = None) -> None:
        """Append a job id to those that end with ``job_id``; a second time changes nothing (extension: a writer)."""

    @abstractmethod
    async def get_dependencies(self, job_id: str) -> list[str]:
        """Job ids that are to be expired or interrupted with ``job_id``, in the order added; ``[]`` if none."""

    # -- find -------------------------------------------------------------------------------------------------

    @abstractmethod
    async def find_jobs(
        self, query_string: str = "*", limit: int = 1000, batch_size: int = 1000, cursor: str = "0"
    ) -> tuple[str, list[str]]:
        r"""``(cursor, job ids)`` of up to ``limit`` live jobs whose id matches; the cursor ``"0"`` says that these
        were the last.

        ``*`` is any text, ``\`` makes the next character literal, everything else stands for itself, case matters
        (``fields.like_pattern``). A walk visits every job that lives throughout it exactly once. ``batch_size`` is how
        many rows the provider may look at per round trip.
        """

    @abstractmethod
    async def find_job_fields(
        self,
        job_id: str,
        field_match_pattern: str = "*",
        limit: int = 1000,
        batch_size: int = 1000,
        cursor: str = "0",
    ) -> tuple[str, dict[str, str]]:
        """``(cursor, fields)`` of the job as in `get_raw`, matching and walked as in `find_jobs`. Missing job:
        ``("0", {})``.
        """
