"""The index of Redis: its entries are in order, and what it answers is what looking at every document answers."""

from __future__ import annotations

import asyncio
import random
import string
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from hotmesh_temporal.providers.redis import RedisBackend
from hotmesh_temporal.providers.redis.search import RedisSearch
from hotmesh_temporal.providers.redis.search_entries import decode_value, encode_value, id_of, value_part
from hotmesh_temporal.providers.redis.search_match import test_of as condition_test
from hypothesis import given
from hypothesis import strategies as st

from hotmesh_temporal.conformance.support import search_of, store_of
from hotmesh_temporal.contracts.backend import Backend, ConnectionSpec
from hotmesh_temporal.contracts.commit import Commit, RunWrite
from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import All, Compare, Condition, Not, Operator, Order, SearchDocument, SearchValue
from hotmesh_temporal.contracts.search import Any as AnyOf
from tests.support.redis_server import RedisServer

NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))
SHORT_TEXTS = st.text(max_size=20)
IDS = st.text(min_size=1, max_size=8)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server."""
    with RedisServer("redis6") as server:
        yield server


@pytest_asyncio.fixture
async def backend(server: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """An opened backend with a namespace of its own."""
    backend = RedisBackend(ConnectionSpec("redis", url=server.url))
    await backend.open(str(abs(hash(request.node.name))), "app", "engine")
    yield backend
    await backend.close()


# -- entries -----------------------------------------------------------------------------------------------------------


@given(NUMBERS, NUMBERS, IDS, IDS)
def test_numbers_are_in_order(left: float, right: float, left_id: str, right_id: str) -> None:
    entries = [encode_value(left) + left_id.encode(), encode_value(right) + right_id.encode()]
    if left != right:
        assert (left < right) == (entries[0] < entries[1])
    else:
        assert value_part(entries[0]) == value_part(entries[1])
    assert (decode_value(value_part(entries[0])), id_of(entries[0])) == (left, left_id)


@given(SHORT_TEXTS, SHORT_TEXTS, IDS, IDS)
def test_texts_are_in_order(left: str, right: str, left_id: str, right_id: str) -> None:
    entries = [encode_value(left) + left_id.encode(), encode_value(right) + right_id.encode()]
    if left != right:
        assert (left.encode() < right.encode()) == (entries[0] < entries[1])
    assert (decode_value(value_part(entries[0])), id_of(entries[0])) == (left, left_id)


@given(st.text(alphabet="\0aü", max_size=600), IDS)
def test_long_texts_keep_their_document(text: str, doc_id: str) -> None:
    assert id_of(encode_value(text) + doc_id.encode()) == doc_id


@pytest.mark.parametrize("value", [float("nan"), 10**400])
def test_numbers_that_cannot_be_searched_for(value: float) -> None:
    with pytest.raises(InvalidArgument):
        encode_value(value)


# -- answers -----------------------------------------------------------------------------------------------------------

CHANCE = random.Random(7)
KINDS = ["Running", "Completed", "Failed"]


def made_up(number: int) -> SearchDocument:
    """A document with ties, absent values, lists and long texts that differ at the end only."""
    fields: dict[str, SearchValue] = {"StartTime": 1_795_000_000_000_000 + CHANCE.randrange(200)}
    fields["ExecutionStatus"] = CHANCE.choice(KINDS)
    fields["WorkflowId"] = CHANCE.choice(["order-", "cart-"]) + str(CHANCE.randrange(40))
    if fields["ExecutionStatus"] != "Running":
        fields["CloseTime"] = 1_795_000_000_000_000 + CHANCE.randrange(300)
        fields["HistoryLength"] = CHANCE.randrange(30)
    if CHANCE.random() < 0.5:
        fields["Tags"] = CHANCE.sample(string.ascii_lowercase[:6], CHANCE.randrange(4))
    if CHANCE.random() < 0.3:
        # The index holds 256 bytes.
        fields["Note"] = "x" * CHANCE.choice([253, 254, 255, 256, 300]) + CHANCE.choice(["", "a", "b", "c", "\0"])
    return SearchDocument(f"d{number:04}", "default", fields, b"%d" % number)


LEAVES = [
    Compare("ExecutionStatus", Operator.EQ, "Running"),
    Compare("ExecutionStatus", Operator.IN, ["Failed", "Completed"]),
    Compare("WorkflowId", Operator.STARTS_WITH, "order-1"),
    Compare("WorkflowId", Operator.EQ, "cart-7"),
    Compare("StartTime", Operator.BETWEEN, [1_795_000_000_000_040, 1_795_000_000_000_060]),
    Compare("StartTime", Operator.GT, 1_795_000_000_000_150),
    Compare("CloseTime", Operator.IS_NULL),
    Compare("CloseTime", Operator.LE, 1_795_000_000_000_020),
    Compare("HistoryLength", Operator.LT, 3),
    Compare("Tags", Operator.EQ, "b"),
    Compare("Tags", Operator.GE, "d"),
    Compare("Tags", Operator.IS_NOT_NULL),
    Compare("Note", Operator.EQ, "x" * 300 + "b"),
    Compare("Note", Operator.GT, "x" * 300 + "a"),
    *(
        Compare("Note", operator, "x" * size)
        for operator in (Operator.EQ, Operator.LT, Operator.GT)
        for size in (254, 256)
    ),
    Compare("Note", Operator.IS_NULL),
    Compare("CloseTime", Operator.IS_NOT_NULL),
    Compare("StartTime", Operator.LT, 1_795_000_000_000_120),
    Compare("WorkflowId", Operator.NOT_IN, ["cart-7", "order-1"]),
    Compare("Tags", Operator.IN, ["a", "b"]),
    Compare("Tags", Operator.NE, "b"),
    Compare("HistoryLength", Operator.NE, 3),
    Compare("Note", Operator.STARTS_WITH, "x" * 300 + "c"),
    Compare("WorkflowId", Operator.NE, "cart-7"),
]
ORDERS = [
    (Order("StartTime"),),
    (Order("StartTime", False), Order("WorkflowId")),
    (Order("CloseTime"), Order("StartTime")),
    (Order("CloseTime", False),),
    (Order("WorkflowId"), Order("Tags", False)),
    (),
]


def conditions(count: int) -> list[Condition]:
    """Each leaf, and made-up trees of them."""
    trees: list[Condition] = [All(), *LEAVES]
    for _ in range(count):
        parts = tuple(CHANCE.sample(LEAVES, CHANCE.randrange(1, 4)))
        inner: Condition = CHANCE.choice([All(parts), AnyOf(parts), Not(parts[0])])
        trees.append(CHANCE.choice([inner, All((inner, CHANCE.choice(LEAVES))), AnyOf((inner, CHANCE.choice(LEAVES)))]))
    return trees


def sorted_ids(documents: list[SearchDocument], order: tuple[Order, ...]) -> list[str]:
    """The order that the contract says."""
    found = sorted(documents, key=lambda each: each.doc_id)
    for part in reversed(order):
        found.sort(key=lambda each: _key(each.fields.get(part.field)), reverse=part.descending)
    return [each.doc_id for each in found]


def _key(value: SearchValue | None) -> tuple[bool, Any]:
    if value is None or isinstance(value, (str, int, float)):
        return (value is None, "" if value is None else value)
    return (not value, value[0] if value else "")


async def test_answers_are_those_of_looking_at_everything(backend: Backend) -> None:
    search, documents = search_of(backend), [made_up(number) for number in range(300)]
    await search.upsert(documents)
    # Some change, some go: the index must follow.
    documents = [made_up(n) if n % 5 == 0 else document for n, document in enumerate(documents)]
    await search.upsert(documents[::5])
    await search.delete([document.doc_id for document in documents[260:]])
    documents = documents[:260]
    wrong: list[object] = []
    for number, condition in enumerate(conditions(60)):
        test, order = condition_test(condition), ORDERS[number % len(ORDERS)]
        matching = [document for document in documents if test(document.fields)]
        found, token, size = list[str](), b"", CHANCE.choice([17, 60, 1000])
        while not found or token:
            page = await search.query("default", condition, order=order, page_size=size, page_token=token)
            found += [document.doc_id for document in page.documents]
            token = page.next_page_token
            if not token:
                break
        counted = await search.count("default", condition)
        if found != sorted_ids(matching, order) or counted != {None: len(matching)}:
            wrong.append((condition, order, size, len(found), len(matching), counted))
        grouped = await search.count("default", condition, group_by="ExecutionStatus")
        if grouped != Counter(each.fields["ExecutionStatus"] for each in matching):
            wrong.append((condition, grouped))
    assert wrong == []


async def test_selective_conditions_read_little(backend: Backend) -> None:
    search = search_of(backend)
    documents = [
        SearchDocument(f"d{n}", "default", {"StartTime": n, "WorkflowId": f"w{n}", "ExecutionStatus": "Completed"})
        for n in range(3000)
    ]
    await search.upsert(documents)
    read = 0
    original: Any = RedisSearch._documents  # pyright: ignore[reportPrivateUsage]  counted where documents are read

    async def counting(self: Any, doc_ids: Sequence[str], **options: Any) -> Any:
        nonlocal read
        read += len(doc_ids)
        answer: Any = await original(self, doc_ids, **options)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RedisSearch, "_documents", counting)
        one = All((Compare("ExecutionStatus", Operator.EQ, "Completed"), Compare("WorkflowId", Operator.EQ, "w7")))
        assert len((await search.query("default", one)).documents) == 1
        assert read == 1
        read = 0
        newest = Compare("ExecutionStatus", Operator.EQ, "Completed")
        page = await search.query("default", newest, page_size=10)
        assert [document.doc_id for document in page.documents] == [f"d{n}" for n in range(2999, 2989, -1)]
        assert read <= 60
        read = 0
        some = All((newest, Compare("WorkflowId", Operator.NE, "w7"), Compare("StartTime", Operator.GE, 1000)))
        counts = [await search.count("default", each) for each in (newest, some)]
        assert (counts, read) == ([{None: 3000}, {None: 2000}], 0)
        early = All((newest, Compare("StartTime", Operator.LT, 5)))
        assert len((await search.query("default", early)).documents) == 5
        assert read == 5


async def test_expired_documents_are_not_counted(backend: Backend) -> None:
    store, search = store_of(backend), search_of(backend)
    for number in range(120):
        run = RunWrite(job_id=f"run{number}", expected_revision=0, status=0, state=b"s", origin=b"o")
        document = SearchDocument(f"run{number}", "default", {"StartTime": number})
        await store.commit(Commit(runs=(run,), search=(document,)))
        if number % 6:
            await store.expire_job(f"run{number}", 0.2)
    await asyncio.sleep(0.25)
    assert await search.count("default") == {None: 20}
    assert len((await search.query("default")).documents) == 20
