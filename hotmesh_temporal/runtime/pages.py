"""Pages of executions in the server's order: those that run, the newest first; then the closed ones, the last first.

A run that closes between two pages changes its place. So the pages of a walk show each run where it was when the walk
began: one that closed since then stays among those that run. No run comes twice, and none that was there throughout is
left out. (A run whose end was decided before the walk began and is written a moment after it may come twice.)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..contracts.errors import InvalidArgument
from ..contracts.search import All, Any, Compare, Condition, Operator, Order, SearchDocument, SearchPage, SearchService

_START, _CLOSE, _RUN = "StartTime", "CloseTime", "RunId"
_NEWEST = (Order(_START),)
_LAST_CLOSED = (Order(_CLOSE), Order(_START))
_AFTER_ALL = 2**62
"""Later than every time, in microseconds."""

Page = tuple[Sequence[SearchDocument], bytes]
"""Documents, and the token of the next page (empty: this was the last)."""


class _Place(msgspec.Struct, tag="l", array_like=True, forbid_unknown_fields=True):
    """Behind which run a page begins. ``began``: when the walk did. Times in microseconds.

    ``close_time`` is 0 as long as the walk is among those that run.
    """

    began: int
    close_time: int
    start_time: int
    run_id: str


async def read_page(
    search: SearchService, now: int, namespace: str, condition: Condition, size: int, token: bytes
) -> Page:
    """A page of at most ``size`` executions for which a condition holds; ``now`` in microseconds.

    Raises `InvalidArgument` for a token that is none of ours.
    """
    if token:
        return await _Walk(search, namespace, condition, size).go_on(_place(token))
    page = await search.query(namespace, condition, order=_LAST_CLOSED, page_size=size)
    if not page.next_page_token:
        return page.documents, b""
    last = page.documents[-1]
    # A clock elsewhere may be ahead.
    began = max([now, *(_time(each, _CLOSE) for each in page.documents)])
    return page.documents, _encoded(_Place(began, _time(last, _CLOSE), _time(last, _START), _run_id(last)))


class _Walk:
    def __init__(self, search: SearchService, namespace: str, condition: Condition, size: int) -> None:
        self._search = search
        self._namespace = namespace
        self._condition = condition
        self._size = size

    async def go_on(self, place: _Place) -> Page:
        if place.close_time:
            return await self._closed(place, self._size)
        found, more = await self._open(place)
        if more:
            return found, _encoded(_Place(place.began, 0, _time(found[-1], _START), _run_id(found[-1])))
        rest = self._size - len(found)
        closed = _Place(place.began, place.began, _AFTER_ALL, "")
        if not rest:
            return found, _encoded(closed)
        page, token = await self._closed(closed, rest)
        return [*found, *page], token

    async def _open(self, place: _Place) -> tuple[list[SearchDocument], bool]:
        """Runs that were open when the walk began, and whether there are more of them than fit.

        Those that are open still are looked for first: one that closes in between is found by the second look.
        """
        behind = _behind(_START, place.start_time, place.run_id)
        running = Compare(_CLOSE, Operator.IS_NULL)
        closed_since = Compare(_CLOSE, Operator.GT, place.began)
        found: dict[str, SearchDocument] = {}
        more = False
        for state in (running, closed_since):
            page = await self._query((state, *behind), _NEWEST, self._size)
            more = more or bool(page.next_page_token)
            found.update((each.doc_id, each) for each in page.documents)
        documents = sorted(found.values(), key=lambda each: (-_time(each, _START), _run_id(each)))
        return documents[: self._size], more or len(documents) > self._size

    async def _closed(self, place: _Place, size: int) -> Page:
        later = All(_behind(_START, place.start_time, place.run_id))
        conditions = (
            Compare(_CLOSE, Operator.LE, place.close_time),
            Any((Compare(_CLOSE, Operator.LT, place.close_time), later)),
        )
        page = await self._query(conditions, _LAST_CLOSED, size)
        if not page.next_page_token:
            return page.documents, b""
        last = page.documents[-1]
        return page.documents, _encoded(_Place(place.began, _time(last, _CLOSE), _time(last, _START), _run_id(last)))

    async def _query(self, conditions: Sequence[Condition], order: Sequence[Order], size: int) -> SearchPage:
        condition = All((self._condition, *conditions))
        return await self._search.query(self._namespace, condition, order=order, page_size=size)


def _behind(field: str, value: int, run_id: str) -> tuple[Condition, ...]:
    """What comes behind a run in descending order of a field, ties by run id. The first part is implied by the
    second, in a form by which an index finds its place.
    """
    tie = All((Compare(field, Operator.EQ, value), Compare(_RUN, Operator.GT, run_id)))
    return Compare(field, Operator.LE, value), Any((Compare(field, Operator.LT, value), tie))


def _time(document: SearchDocument, field: str) -> int:
    value = document.fields.get(field)
    return value if isinstance(value, int) else 0


def _run_id(document: SearchDocument) -> str:
    return str(document.fields.get(_RUN, ""))


def _encoded(place: _Place) -> bytes:
    return msgspec.msgpack.encode(place)


def _place(token: bytes) -> _Place:
    try:
        return msgspec.msgpack.decode(token, type=_Place)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidArgument("it was not made by a list of executions") from error
