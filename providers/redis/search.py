"""SearchService on Redis, without its search module: an index of our own, written in the same commit.

The condition chooses which entries of the index to read; each document is then tested as it is. Reading goes in
portions, so that a search over many documents never holds up the server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import (
    All,
    Condition,
    Order,
    SearchDocument,
    SearchPage,
    SearchService,
    SearchValue,
)
from hotmesh_temporal.contracts.types import Transaction

from .database import blob
from .search_entries import (
    LONGEST_TEXT,
    SORTED_FIELDS,
    decode_value,
    document_arguments,
    id_of,
    read_fields,
    value_part,
)
from .search_match import Fields, Test, elements, test_of
from .search_order import Found, Sorting
from .search_plan import Plan, best_plan, exact_range, leaves
from .service import Service, nothing

_PORTION = 500

_COUNTED_BY_INDEX = frozenset({"ExecutionStatus"})
"""Fields with one text and few values, which can be counted without looking at a document."""


class RedisSearch(Service, SearchService):
    """The index of one app. Documents of expired jobs are not seen."""

    async def upsert(self, documents: Sequence[SearchDocument], transaction: Transaction | None = None) -> None:
        """See the contract."""
        given = [document_arguments(document) for document in documents]
        await self._write("upsert", given, transaction=transaction, placeholder=None, decode=nothing)

    async def delete(self, doc_ids: Sequence[str], transaction: Transaction | None = None) -> int:
        """See the contract."""
        return await self._write("delete_documents", list(doc_ids), transaction=transaction, placeholder=0)

    async def get(self, doc_id: str) -> SearchDocument | None:
        """See the contract."""
        return (await self._documents([doc_id]))[0]

    async def query(
        self,
        namespace: str,
        condition: Condition = All(),  # noqa: B008  frozen value, safe to share
        *,
        order: Sequence[Order] = (Order("StartTime"),),
        page_size: int = 1000,
        page_token: bytes = b"",
    ) -> SearchPage:
        """See the contract."""
        if page_size < 1:
            raise InvalidArgument("page_size must be at least 1")
        test, sorting = test_of(condition), Sorting(order, page_token)
        total, plan = await self._plan(namespace, condition)
        if _is_streamed(sorting, plan, total, page_size):
            found = await self._in_order(namespace, sorting, test, page_size + 1)
        else:
            found = await self._sorted(namespace, plan, sorting, test, page_size + 1)
        page = found[:page_size]
        documents = [document for document in await self._documents([each.doc_id for each in page]) if document]
        token = sorting.token(page[-1]) if len(found) > page_size else b""
        return SearchPage(tuple(documents), token)

    async def count(
        self,
        namespace: str,
        condition: Condition = All(),  # noqa: B008  frozen value, safe to share
        *,
        group_by: str | None = None,
    ) -> Mapping[SearchValue | None, int]:
        """See the contract. A document with a list counts for each of its elements."""
        test = test_of(condition)
        total, plan = await self._plan(namespace, condition)
        if group_by is None and (condition == All() or (plan is not None and exact_range(condition))):
            return {None: total if plan is None else plan.size}
        if condition == All() and group_by in _COUNTED_BY_INDEX:
            return await self._count_values(namespace, str(group_by), total)
        counts = Counter[SearchValue | None]()
        async for _, fields in self._matches(namespace, plan, test):
            counts.update([None] if group_by is None else elements(fields.get(group_by)) or [None])
        return counts if group_by is not None else {None: counts[None]}

    # -- plans ------------------------------------------------------------------------------------------------

    async def _plan(self, namespace: str, condition: Condition) -> tuple[int, Plan | None]:
        """How many documents there are, and the best plan. Removes what has expired first."""
        ranges = list(dict.fromkeys(leaves(condition)))
        while True:
            bounds = [(field, blob(low), blob(high)) for field, low, high in ranges]
            more, total, *sizes = await self._read("measure", namespace, bounds)
            if not more:
                return total, best_plan(condition, dict(zip(ranges, sizes, strict=True)))

    async def _count_values(self, namespace: str, name: str, total: int) -> dict[SearchValue | None, int]:
        """How many documents have each value of a field, and how many have none."""
        counts: dict[SearchValue | None, int] = {}
        low = b"-"
        while first := await self._read("entries", namespace, name, blob(low), "+", 1, False):
            part = value_part(first[0])
            high = b"[" + part + b"\xff"
            _, _, size = await self._read("measure", namespace, [(name, blob(b"[" + part), blob(high))])
            counts[decode_value(part)] = size
            low = b"(" + high[1:]
        missing = total - sum(counts.values())
        return counts | {None: missing} if missing > 0 else counts

    # -- reading ----------------------------------------------------------------------------------------------

    async def _sorted(self, namespace: str, plan: Plan | None, sorting: Sorting, test: Test, limit: int) -> list[Found]:
        """The first ``limit`` documents of the page: all that match are looked at."""
        found: list[Found] = []
        async for doc_id, fields in self._matches(namespace, plan, test):
            one = sorting.found(doc_id, fields)
            if sorting.is_on_page(one):
                found.append(one)
            if len(found) > limit * 4 + _PORTION:
                sorting.sort(found)
                del found[limit:]
        sorting.sort(found)
        return found[:limit]

    async def _in_order(self, namespace: str, sorting: Sorting, test: Test, limit: int) -> list[Found]:
        """The same, but looked at in the order that is asked for, until there are enough."""
        found: list[Found] = []
        async for group in self._groups(namespace, sorting):
            matching = [sorting.found(doc_id, fields) for doc_id, fields in await self._fields(group) if test(fields)]
            matching = [one for one in matching if sorting.is_on_page(one)]
            sorting.sort(matching)
            found += matching
            if len(found) >= limit:
                break
        return found[:limit]

    async def _groups(self, namespace: str, sorting: Sorting) -> AsyncIterator[list[str]]:
        """Ids in portions, each of which comes wholly before the next one."""
        field = sorting.order[0].field if sorting.order else None
        part = value_part if field else bytes
        held: list[bytes] = []
        async for portion in self._portions(namespace, field, *_bounds(sorting)):
            held += portion
            last = part(held[-1])
            whole = [entry for entry in held if part(entry) != last]
            held = held[len(whole) :]
            if whole:
                yield _ids(field, whole)
        if held:
            yield _ids(field, held)

    async def _matches(self, namespace: str, plan: Plan | None, test: Test) -> AsyncIterator[tuple[str, Fields]]:
        """Every document that matches, once, in no order."""
        seen: set[str] = set()
        ranges = (None,) if plan is None else plan.ranges
        for each in ranges:
            field, low, high = each or (None, b"-", b"+")
            async for portion in self._portions(namespace, field, low, high, False):
                new = [doc_id for doc_id in _ids(field, portion) if doc_id not in seen]
                seen.update(new)
                for doc_id, fields in await self._fields(new):
                    if test(fields):
                        yield doc_id, fields

    async def _portions(
        self, namespace: str, field: str | None, low: bytes, high: bytes, descending: bool
    ) -> AsyncIterator[list[bytes]]:
        while True:
            bounds = (blob(low), blob(high))
            portion: list[bytes] = await self._read("entries", namespace, field, *bounds, _PORTION, descending)
            if portion:
                yield portion
            if len(portion) < _PORTION:
                return
            if descending:
                high = b"(" + portion[-1]
            else:
                low = b"(" + portion[-1]

    async def _fields(self, doc_ids: Sequence[str]) -> list[tuple[str, Fields]]:
        """The fields of those documents that are there."""
        found = await self._read("documents", list(dict.fromkeys(doc_ids)), False)
        stored = zip(dict.fromkeys(doc_ids), found, strict=True)
        return [(doc_id, read_fields(document[1])) for doc_id, document in stored if document is not None]

    async def _documents(self, doc_ids: Sequence[str]) -> list[SearchDocument | None]:
        found = await self._read("documents", list(doc_ids), True)
        return [
            None if stored is None else SearchDocument(doc_id, stored[0].decode(), read_fields(stored[1]), stored[2])
            for doc_id, stored in zip(doc_ids, found, strict=True)
        ]


def _is_streamed(sorting: Sorting, plan: Plan | None, total: int, page_size: int) -> bool:
    """Whether reading in order until the page is full looks at fewer documents than reading all that may match."""
    if sorting.order and sorting.order[0].field not in SORTED_FIELDS:
        return False
    if plan is None:
        return True
    return page_size * total < plan.size * plan.size


def _bounds(sorting: Sorting) -> tuple[bytes, bytes, bool]:
    """Where reading in order begins and ends, and its direction."""
    descending = bool(sorting.order) and sorting.order[0].descending
    if sorting.after is None:
        return b"-", b"+", descending
    if not sorting.order:
        return b"(" + sorting.after.doc_id.encode(), b"+", False
    place = sorting.after.keys[0][:LONGEST_TEXT].rstrip(b"\x00") if sorting.after.keys[0][:1] == b"\x20" else None
    start = sorting.after.keys[0] if place is None else place
    return (b"-", b"[" + start + b"\xff", True) if descending else (b"[" + start, b"+", False)


def _ids(field: str | None, entries: Sequence[bytes]) -> list[str]:
    return [entry.decode() if field is None else id_of(entry) for entry in entries]
