"""SearchService on Redis, without its search module: an index of our own, written in the same commit.

The condition chooses which entries of the index to read and what the server tests of them; each document that is left
is then tested as it is, if the index cannot tell all. Reading goes in portions, so that a search over many documents
never holds up the server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import (
    All,
    Compare,
    Condition,
    Operator,
    Order,
    SearchDocument,
    SearchPage,
    SearchService,
    SearchValue,
)
from hotmesh_temporal.contracts.types import Transaction

from .database import blob
from .search_entries import SORTED_FIELDS, decode_value, document_arguments, id_of, read_fields, value_part
from .search_filter import EVERYTHING, Filter, filter_of
from .search_match import Test, elements, test_of
from .search_order import Found, Sorting
from .search_plan import Plan, Range, best_plan, guess, leaves, span_of, without
from .service import Service, nothing

_PORTION = 500
"""Documents that are read at once."""

_LOOKED_AT = 1000
"""Entries of the index that the server looks at in one call: about 2 ms."""

_FEWEST = 50

_WEIGHT = 8
"""How many entries could be looked at while one document is read and tested."""

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
        total, sizes = await self._measure(namespace, condition)
        plan, expected = best_plan(condition, sizes), guess(condition, sizes, total)
        walk = _walk(condition, sorting, sizes, total)
        if walk is not None and walk.cost(page_size, expected) < _cost_of_sorting(plan, total, expected):
            portion = walk.portion(page_size, expected)
            page, known = await self._in_order(namespace, walk, sorting, test, portion, page_size + 1)
        else:
            page, known = await self._sorted(namespace, plan, condition, sorting, test, page_size + 1)
        missing = [one.doc_id for one in page[:page_size] if one.doc_id not in known]
        known |= {document.doc_id: document for document in await self._documents(missing) if document}
        documents = tuple(known[one.doc_id] for one in page[:page_size] if one.doc_id in known)
        return SearchPage(documents, sorting.token(page[page_size - 1]) if len(page) > page_size else b"")

    async def count(
        self,
        namespace: str,
        condition: Condition = All(),  # noqa: B008  frozen value, safe to share
        *,
        group_by: str | None = None,
    ) -> Mapping[SearchValue | None, int]:
        """See the contract. A document with a list counts for each of its elements."""
        test = test_of(condition)
        if group_by in _COUNTED_BY_INDEX and filter_of(condition).exact:
            return await self._count_values(namespace, condition, str(group_by))
        total, sizes = await self._measure(namespace, condition)
        plan = best_plan(condition, sizes)
        if group_by is None:
            return {None: await self._count(namespace, plan, condition, test, total)}
        counts = Counter[SearchValue | None]()
        async for document in self._matches(namespace, plan, condition, test):
            counts.update(elements(document.fields.get(group_by)) or [None])
        return counts

    # -- counts -----------------------------------------------------------------------------------------------

    async def _count(self, namespace: str, plan: Plan | None, condition: Condition, test: Test, total: int) -> int:
        rest = filter_of(_rest(plan, condition))
        if not rest.exact:
            return len([document async for document in self._matches(namespace, plan, condition, test)])
        if plan is None:
            return total if rest.passes_all else await self._count_entries(namespace, Range("", b"-", b"+"), rest)
        if not plan.is_unique:
            return len({doc_id async for ids in self._candidates(namespace, plan, rest) for doc_id in ids})
        if rest.passes_all:
            return plan.size
        return sum([await self._count_entries(namespace, each, rest) for each in plan.ranges])

    async def _count_values(self, namespace: str, condition: Condition, name: str) -> dict[SearchValue | None, int]:
        """How many of the documents that match have each value of a field, and how many have none."""
        counts: dict[SearchValue | None, int] = {}
        low = b"-"
        while first := (await self._entries(namespace, Range(name, low, b"+"), 1))[0]:
            part = value_part(first[0])
            value = decode_value(part)
            if value is not None:
                of_value = All((condition, Compare(name, Operator.EQ, value)))
                counts[value] = (await self.count(namespace, of_value))[None]
            low = b"(" + part + b"\xff"
        counts[None] = (await self.count(namespace, condition))[None] - sum(counts.values())
        return {value: count for value, count in counts.items() if count > 0}

    async def _count_entries(self, namespace: str, span: Range, rest: Filter) -> int:
        """How many entries of a range pass a filter."""
        count, low = 0, span.low
        while True:
            bounds = (span.field or None, blob(low), blob(span.high))
            looked_at, last, passed = await self._read(
                "entries", namespace, *bounds, _LOOKED_AT, False, rest.tree, True
            )
            count += passed
            if looked_at < _LOOKED_AT:
                return count
            low = b"(" + last

    # -- reading ----------------------------------------------------------------------------------------------

    async def _measure(self, namespace: str, condition: Condition) -> tuple[int, dict[Range, int]]:
        """How many documents there are and entries in each range of a condition. Removes what has expired first."""
        ranges = list(dict.fromkeys(leaves(condition)))
        while True:
            bounds = [(field, blob(low), blob(high)) for field, low, high in ranges]
            more, total, *sizes = await self._read("measure", namespace, bounds)
            if not more:
                return total, dict(zip(ranges, sizes, strict=True))

    async def _sorted(
        self, namespace: str, plan: Plan | None, condition: Condition, sorting: Sorting, test: Test, limit: int
    ) -> tuple[list[Found], dict[str, SearchDocument]]:
        """The first ``limit`` documents of the page, all that match being looked at; and what was read whole."""
        found: list[Found] = []
        known: dict[str, SearchDocument] = {}
        whole = plan is not None and plan.size <= _PORTION
        async for document in self._matches(namespace, plan, condition, test, with_data=whole):
            one = sorting.found(document.doc_id, document.fields)
            if sorting.is_on_page(one):
                found.append(one)
            if whole:
                known[document.doc_id] = document
            if len(found) > limit * 4 + _PORTION:
                sorting.sort(found)
                del found[limit:]
        sorting.sort(found)
        return found[:limit], known

    async def _in_order(
        self, namespace: str, walk: Walk, sorting: Sorting, test: Test, portion: int, limit: int
    ) -> tuple[list[Found], dict[str, SearchDocument]]:
        """The same, but looked at in the order that is asked for, until there are enough; and what was read."""
        found: list[Found] = []
        known: dict[str, SearchDocument] = {}
        async for group in self._groups(namespace, walk, portion):
            documents = [each for each in await self._documents(group) if each is not None and test(each.fields)]
            matching = [sorting.found(each.doc_id, each.fields) for each in documents]
            matching = [one for one in matching if sorting.is_on_page(one)]
            sorting.sort(matching)
            found += matching
            known |= {each.doc_id: each for each in documents}
            if len(found) >= limit:
                break
        return found[:limit], known

    async def _groups(self, namespace: str, walk: Walk, portion: int) -> AsyncIterator[list[str]]:
        """Ids in portions, each of which comes wholly before the next one."""
        field = walk.span.field or None
        part = value_part if field else bytes
        held: list[bytes] = []
        async for entries in self._portions(namespace, walk.span, walk.rest, portion, descending=walk.descending):
            held += entries
            if not held:
                continue
            last = part(held[-1])
            whole = [entry for entry in held if part(entry) != last]
            held = held[len(whole) :]
            if whole:
                yield _ids(field, whole)
        if held:
            yield _ids(field, held)

    async def _matches(
        self, namespace: str, plan: Plan | None, condition: Condition, test: Test, *, with_data: bool = False
    ) -> AsyncIterator[SearchDocument]:
        """Every document that matches, once, in no order."""
        seen: set[str] = set()
        async for ids in self._candidates(namespace, plan, filter_of(_rest(plan, condition))):
            new = [doc_id for doc_id in dict.fromkeys(ids) if doc_id not in seen]
            seen.update(new)
            for start in range(0, len(new), _PORTION):
                for document in await self._documents(new[start : start + _PORTION], with_data=with_data):
                    if document is not None and test(document.fields):
                        yield document

    async def _candidates(self, namespace: str, plan: Plan | None, rest: Filter) -> AsyncIterator[list[str]]:
        """Ids of the documents that may match, in portions; some may come twice."""
        for span in (Range("", b"-", b"+"),) if plan is None else plan.ranges:
            async for entries in self._portions(namespace, span, rest, _LOOKED_AT):
                yield _ids(span.field or None, entries)

    async def _portions(
        self, namespace: str, span: Range, rest: Filter, portion: int, *, descending: bool = False
    ) -> AsyncIterator[list[bytes]]:
        """What passes a filter, of so many entries of a range and then of more and more."""
        while True:
            passed, looked_at, last = await self._entries(namespace, span, portion, rest, descending=descending)
            yield passed
            if looked_at < portion:
                return
            span = span._replace(high=b"(" + last) if descending else span._replace(low=b"(" + last)
            portion = min(portion * 2, max(portion, _LOOKED_AT))

    async def _entries(
        self, namespace: str, span: Range, limit: int, rest: Filter = EVERYTHING, *, descending: bool = False
    ) -> tuple[list[bytes], int, bytes]:
        """What passes a filter, how many entries were looked at, and the last of them."""
        bounds = (span.field or None, blob(span.low), blob(span.high))
        tree = None if rest.passes_all else rest.tree
        looked_at, last, passed = await self._read("entries", namespace, *bounds, limit, descending, tree, False)
        return passed, looked_at, last

    async def _documents(self, doc_ids: Sequence[str], *, with_data: bool = True) -> list[SearchDocument | None]:
        if not doc_ids:
            return []
        found = await self._read("documents", list(doc_ids), with_data)
        return [
            None if stored is None else SearchDocument(doc_id, stored[0].decode(), read_fields(stored[1]), stored[2])
            for doc_id, stored in zip(doc_ids, found, strict=True)
        ]


class Walk(NamedTuple):
    """Reading documents in the order that is asked for, along the index of its first field."""

    span: Range
    size: int
    rest: Filter
    descending: bool

    def cost(self, page_size: int, expected: float) -> float:
        """About how much there is to look at until a page is full; a document weighs as much as many entries."""
        share = max(expected, 1) / max(self.size, 1)
        return min(self.size, (page_size + 1) / share) + _WEIGHT * min(page_size + 1, self.size)

    def portion(self, page_size: int, expected: float) -> int:
        """How many entries to begin with."""
        if self.rest.passes_all and self.rest.exact:
            # One more tells that what comes before it is complete; a few more, as documents may have equal values.
            return min(page_size, _PORTION * 4) + 10
        wanted = (page_size + 1) * max(self.size, 1) / max(expected, 1)
        return max(_FEWEST, min(int(wanted * 1.2), _LOOKED_AT))


def _walk(condition: Condition, sorting: Sorting, sizes: Mapping[Range, int], total: int) -> Walk | None:
    """How to read in order; None if there is no index of the first field."""
    first, descending = (sorting.order[0].field, sorting.order[0].descending) if sorting.order else ("", False)
    if first not in ("", *SORTED_FIELDS):
        return None
    span, size, sources = Range(first, b"-", b"+"), total, list[Condition]()
    told = span_of(condition, first)
    if told is not None:
        span, sources = told
        size = min(sizes[each] for source in sources for each in leaves(source)) if sources else total
    span = sorting.rest_of(span)
    return Walk(span, size, filter_of(without(condition, sources)), descending)


def _cost_of_sorting(plan: Plan | None, total: int, expected: float) -> float:
    return (total if plan is None else plan.size) + _WEIGHT * expected


def _rest(plan: Plan | None, condition: Condition) -> Condition:
    """What the ranges of a plan do not tell."""
    return without(condition, [plan.source]) if plan is not None and plan.exact else condition


def _ids(field: str | None, entries: Sequence[bytes]) -> list[str]:
    return [entry.decode() if field is None else id_of(entry) for entry in entries]
