"""SearchService: the index behind list, count and group by.

A document is written in the same commit as the run that it describes, so a list never lags behind a run.
Field names are Temporal's (``WorkflowId``, ``ExecutionStatus``, custom search attributes). Values are typed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from .types import Transaction

SearchValue = str | int | float | bool | Sequence[str]
"""A keyword or text, a whole number (times are microseconds since the epoch), a number, a truth value, keywords."""


@dataclass(frozen=True, slots=True)
class SearchDocument:
    """One indexed thing. ``data`` is returned as it was stored and never looked into."""

    doc_id: str
    namespace: str
    fields: Mapping[str, SearchValue] = field(default_factory=dict[str, SearchValue])
    data: bytes = b""


class Operator(Enum):
    """How a field is compared. ``IN``, ``NOT_IN`` and ``BETWEEN`` take a sequence; ``IS_NULL``, ``IS_NOT_NULL``
    nothing.

    A comparison with an absent field is false, but for ``NE``, ``NOT_IN``, ``NOT_STARTS_WITH`` and ``IS_NULL``: true.
    On a field that holds a list, a positive comparison holds if it holds for one element. Texts, numbers and truth
    values never compare with one another: such a field counts as absent.
    """

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "IN"
    NOT_IN = "NOT IN"
    BETWEEN = "BETWEEN"
    STARTS_WITH = "STARTS_WITH"
    NOT_STARTS_WITH = "NOT STARTS_WITH"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Compare:
    """``field operator value``."""

    field: str
    operator: Operator
    value: SearchValue | Sequence[SearchValue] | None = None


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds (no part: always true)."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Any:
    """At least one part holds (no part: never true)."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition = Compare | All | Any | Not


@dataclass(frozen=True, slots=True)
class Order:
    """Sort key. Absent fields come first when descending, else last. Ties are broken by ``doc_id``."""

    field: str
    descending: bool = True


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Documents in order, and the token of the next page (empty: this was the last)."""

    documents: tuple[SearchDocument, ...]
    next_page_token: bytes = b""


class SearchService(ABC):
    """Strongly consistent search over documents of one namespace."""

    @abstractmethod
    async def init(self, namespace: str, app_id: str) -> None:
        """Bind the names and make the index ready. Idempotent; safe for many processes at once."""

    @abstractmethod
    async def upsert(self, documents: Sequence[SearchDocument], transaction: Transaction | None = None) -> None:
        """Replace or add documents, each whole; of two with one id the later one wins.

        With a transaction: visible on its commit only (one queued command).
        """

    @abstractmethod
    async def delete(self, doc_ids: Sequence[str], transaction: Transaction | None = None) -> int:
        """Remove documents. Unknown ids are no error. Returns how many were removed (0 when queued)."""

    @abstractmethod
    async def get(self, doc_id: str) -> SearchDocument | None:
        """The document, or None."""

    @abstractmethod
    async def query(
        self,
        namespace: str,
        condition: Condition = All(),
        *,
        order: Sequence[Order] = (Order("StartTime"),),
        page_size: int = 1000,
        page_token: bytes = b"",
    ) -> SearchPage:
        """One page of the documents of ``namespace`` for which ``condition`` holds.

        Pages are stable under writes: a document that does not change is seen exactly once over a full walk.
        Raises `InvalidArgument` for a token that this service did not make for the same order.
        """

    @abstractmethod
    async def count(
        self,
        namespace: str,
        condition: Condition = All(),
        *,
        group_by: str | None = None,
    ) -> Mapping[SearchValue | None, int]:
        """How many documents match, by value of ``group_by`` (None: no value); without it all under the key None."""
