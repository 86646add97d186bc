"""Pages of lists: the server's order, and nothing twice or left out while executions start and close."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import All, Compare, Operator, SearchDocument, SearchService, SearchValue
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime.pages import read_page

NAMESPACE = "pages"
BEGAN = 1_000_000


def document(number: int, start: int, close: int | None) -> SearchDocument:
    """An execution that started then and closed then, if it is closed."""
    run_id = f"{number:08}-0000"
    fields: dict[str, SearchValue] = {"RunId": run_id, "StartTime": start, "WorkflowType": f"T{number % 3}"}
    if close is not None:
        fields["CloseTime"] = close
    return SearchDocument(f"r/{NAMESPACE}/{run_id}/w", NAMESPACE, fields)


def in_order(documents: Sequence[SearchDocument]) -> list[str]:
    """Ids as the server sorts them."""

    def key(each: SearchDocument) -> tuple[int, int, str]:
        close, start = each.fields.get("CloseTime", BEGAN * 2), each.fields["StartTime"]
        assert isinstance(close, int)
        assert isinstance(start, int)
        return -close, -start, str(each.fields["RunId"])

    return [each.doc_id for each in sorted(documents, key=key)]


class Crowd:
    """Executions of the index, with many that start or close at one time."""

    def __init__(self, search: SearchService, seed: int) -> None:
        self.search = search
        self.random = random.Random(seed)
        self.documents: dict[str, SearchDocument] = {}

    async def start(self, count: int, latest: int) -> None:
        new: list[SearchDocument] = []
        for _ in range(count):
            start = self.random.randrange(latest - 10, latest)
            close = start + self.random.randrange(5) if self.random.random() < 0.6 else None
            new.append(document(len(self.documents) + len(new), start, close))
        self.documents |= {each.doc_id: each for each in new}
        await self.search.upsert(new)

    async def close_some(self, now: int) -> None:
        running = [each for each in self.documents.values() if "CloseTime" not in each.fields]
        closed = [
            SearchDocument(each.doc_id, NAMESPACE, {**each.fields, "CloseTime": now})
            for each in self.random.sample(running, min(9, len(running)))
        ]
        self.documents |= {each.doc_id: each for each in closed}
        await self.search.upsert(closed)


@pytest.mark.parametrize("size", [1, 7, 60, 200])
async def test_a_quiet_walk_is_in_order(engine: Frontend, size: int) -> None:
    crowd = Crowd(engine.runtime.search, size)
    await crowd.start(120, 500)
    seen: list[str] = []
    token = b""
    while token or not seen:
        page, token = await read_page(crowd.search, BEGAN, NAMESPACE, All(), size, token)
        assert len(page) <= size
        seen += [each.doc_id for each in page]
    assert seen == in_order(list(crowd.documents.values()))


@pytest.mark.parametrize("seed", range(4))
async def test_a_walk_while_executions_start_and_close(engine: Frontend, seed: int) -> None:
    crowd = Crowd(engine.runtime.search, seed)
    await crowd.start(150, 500)
    throughout = [each.doc_id for each in crowd.documents.values() if each.fields["WorkflowType"] != "T0"]
    some = Compare("WorkflowType", Operator.IN, ["T1", "T2"])
    seen: list[str] = []
    token, now = b"", BEGAN
    while token or not seen:
        page, token = await read_page(crowd.search, now, NAMESPACE, some, 11, token)
        seen += [each.doc_id for each in page]
        now += 5
        await crowd.close_some(now)
        now += 10
        await crowd.start(4, now)
    assert len(seen) == len(set(seen))
    assert set(seen) == set(throughout)


async def test_a_token_of_something_else(engine: Frontend) -> None:
    for token in (b"x", b"{}", b"\x91\xa1w", b"\x95\xa1h\x01\x02\x03\x04"):
        with pytest.raises(InvalidArgument, match="not made by a list"):
            await read_page(engine.runtime.search, BEGAN, NAMESPACE, All(), 5, token)
