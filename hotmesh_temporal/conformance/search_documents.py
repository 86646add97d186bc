"""The search service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from ..contracts.errors import InvalidArgument
from ..contracts.search import (
    All,
    Any,
    Compare,
    Condition,
    Not,
    Operator,
    Order,
    SearchDocument,
    SearchService,
    SearchValue,
)

NS = "default"
BIG = 1_795_000_000_123_457
ODD_FIELD = 'we\'ird "field"; -- %_ ü'

DOCUMENTS: dict[str, dict[str, SearchValue]] = {
    "d1": {"WorkflowId": "order-1", "StartTime": BIG, "Number": 5, "Ratio": 0.5, "Paid": True, "Tags": ["a", "b"]},
    "d2": {"WorkflowId": "order-2", "StartTime": BIG + 1, "Number": -3, "Ratio": 2.0, "Paid": False, "Tags": ["b"]},
    "d3": {"WorkflowId": "ORDER-1", "StartTime": BIG + 2, "CloseTime": BIG + 9, "Tags": []},
    "d4": {"WorkflowId": "a%b_c", "StartTime": BIG + 3, "Number": 5, ODD_FIELD: "it's"},
    "d5": {"WorkflowId": "ü\\x", "StartTime": BIG + 4, "Number": 10, "ExecutionStatus": "Running"},
}


async def fill(search: SearchService) -> None:
    """The documents, and one of another namespace that would match everything."""
    documents = [SearchDocument(doc_id, NS, fields, doc_id.encode()) for doc_id, fields in DOCUMENTS.items()]
    await search.upsert([*documents, SearchDocument("x1", "other", DOCUMENTS["d1"])])


async def find(
    search: SearchService, condition: Condition, order: Sequence[Order] = (Order("StartTime", False),)
) -> str:
    """The numbers of the documents that match, in order."""
    page = await search.query(NS, condition, order=order)
    return "".join(document.doc_id[1:] for document in page.documents)


OP = Operator
COMPARISONS: list[tuple[Condition, str]] = [
    (All(), "12345"),
    (Any(), ""),
    (Not(All()), ""),
    (Compare("WorkflowId", OP.EQ, "order-1"), "1"),
    (Compare("WorkflowId", OP.NE, "order-1"), "2345"),
    (Compare("WorkflowId", OP.GT, "order-1"), "25"),
    (Compare("WorkflowId", OP.IN, ["order-1", "ORDER-1", "x"]), "13"),
    (Compare("WorkflowId", OP.NOT_IN, ["order-1", "ORDER-1"]), "245"),
    (Compare("WorkflowId", OP.IN, []), ""),
    (Compare("WorkflowId", OP.NOT_IN, []), "12345"),
    (Compare("WorkflowId", OP.STARTS_WITH, "order"), "12"),
    (Compare("WorkflowId", OP.STARTS_WITH, "a%b_"), "4"),
    (Compare("WorkflowId", OP.STARTS_WITH, "a_"), ""),
    (Compare("WorkflowId", OP.STARTS_WITH, "ü\\"), "5"),
    (Compare("WorkflowId", OP.STARTS_WITH, ""), "12345"),
    (Compare("WorkflowId", OP.NOT_STARTS_WITH, "order"), "345"),
    (Compare("WorkflowId", OP.BETWEEN, ["order-1", "order-2"]), "12"),
    (Compare("WorkflowId", OP.IS_NULL), ""),
    (Compare("StartTime", OP.EQ, BIG + 1), "2"),
    (Compare("StartTime", OP.LT, BIG + 1), "1"),
    (Compare("StartTime", OP.LE, BIG + 1), "12"),
    (Compare("StartTime", OP.BETWEEN, [BIG + 1, BIG + 3]), "234"),
    (Compare("Number", OP.EQ, 5), "14"),
    (Compare("Number", OP.EQ, 5.0), "14"),
    (Compare("Number", OP.NE, 5), "235"),
    (Compare("Number", OP.GT, 4.5), "145"),
    (Compare("Number", OP.GE, 5), "145"),
    (Compare("Number", OP.LT, 5), "2"),
    (Compare("Number", OP.IN, [10, -3]), "25"),
    (Compare("Number", OP.NOT_IN, [10, -3]), "134"),
    (Compare("Number", OP.IS_NULL), "3"),
    (Compare("Number", OP.IS_NOT_NULL), "1245"),
    (Compare("Ratio", OP.GE, 0.5), "12"),
    (Compare("Ratio", OP.EQ, 2), "2"),
    (Compare("Paid", OP.EQ, True), "1"),
    (Compare("Paid", OP.EQ, False), "2"),
    (Compare("Paid", OP.NE, True), "2345"),
    (Compare("Tags", OP.EQ, "b"), "12"),
    (Compare("Tags", OP.IN, ["a", "z"]), "1"),
    (Compare("Tags", OP.NE, "a"), "2345"),
    (Compare("Tags", OP.NOT_IN, ["a"]), "2345"),
    (Compare("Tags", OP.STARTS_WITH, "a"), "1"),
    (Compare("Tags", OP.NOT_STARTS_WITH, "a"), "2345"),
    (Compare("CloseTime", OP.IS_NULL), "1245"),
    (Compare("ExecutionStatus", OP.EQ, "Running"), "5"),
    (Compare("WorkflowId", OP.EQ, 5), ""),
    (Compare("WorkflowId", OP.GT, 5), ""),
    (Compare("WorkflowId", OP.NE, 5), "12345"),
    (Compare("Number", OP.EQ, "5"), ""),
    (Compare("Number", OP.LT, "zzz"), ""),
    (Compare("Number", OP.NE, "5"), "12345"),
    (Compare("Unknown", OP.EQ, "x"), ""),
    (Compare("Unknown", OP.NE, "x"), "12345"),
    (Compare(ODD_FIELD, OP.EQ, "it's"), "4"),
    (Compare(ODD_FIELD, OP.IS_NOT_NULL), "4"),
    (Not(Compare("Number", OP.EQ, 5)), "235"),
    (Not(Compare("Number", OP.GT, 0)), "23"),
    (Not(Compare("Unknown", OP.NE, "x")), ""),
    (Not(Compare("Tags", OP.EQ, "a")), "2345"),
    (All((Compare("Number", OP.EQ, 5), Compare("Paid", OP.EQ, True))), "1"),
    (Any((Compare("Number", OP.EQ, 10), Compare("Paid", OP.IS_NOT_NULL))), "125"),
    (All((Any((Compare("Number", OP.EQ, 5), Compare("Number", OP.EQ, 10))), Not(Compare("Paid", OP.EQ, True)))), "45"),
]


@pytest.mark.asyncio
class TestQuery:
    """query, one condition at a time."""

    async def test_conditions(self, search: SearchService) -> None:
        await fill(search)
        wrong = {repr(each): found for each, ids in COMPARISONS if (found := await find(search, each)) != ids}
        assert wrong == {}

    async def test_counts_agree(self, search: SearchService) -> None:
        await fill(search)
        wrong = {
            repr(each): found
            for each, ids in COMPARISONS
            if (found := await search.count(NS, each)) != {None: len(ids)} and not (found == {} and not ids)
        }
        assert wrong == {}

    async def test_documents_come_back_whole(self, search: SearchService) -> None:
        await fill(search)
        page = await search.query(NS, Compare("WorkflowId", OP.EQ, "a%b_c"))
        assert page.documents == (SearchDocument("d4", NS, DOCUMENTS["d4"], b"d4"),)
        assert page.next_page_token == b""

    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            ((Order("StartTime"),), "54321"),
            ((Order("Number", False), Order("StartTime", False)), "21453"),
            ((Order("Number", True), Order("StartTime", True)), "35412"),
            ((Order("WorkflowId", False),), "34125"),
            ((Order("ExecutionStatus", True), Order("StartTime", False)), "12345"),
            ((Order("ExecutionStatus", False), Order("StartTime", False)), "51234"),
        ],
    )
    async def test_order(self, search: SearchService, order: Sequence[Order], expected: str) -> None:
        await fill(search)
        assert await find(search, All(), order) == expected

    async def test_another_namespace(self, search: SearchService) -> None:
        await fill(search)
        page = await search.query("other")
        assert [document.doc_id for document in page.documents] == ["x1"]
        assert (await search.query("none")).documents == ()


async def walk(search: SearchService, order: Sequence[Order], size: int = 7) -> list[str]:
    """Every id of a full walk."""
    found: list[str] = []
    token = b""
    while True:
        page = await search.query(NS, order=order, page_size=size, page_token=token)
        assert len(page.documents) <= size
        found += [document.doc_id for document in page.documents]
        token = page.next_page_token
        if not token:
            return found


def numbered(n: int) -> SearchDocument:
    """A document of many, with ties and absent fields."""
    fields: dict[str, SearchValue] = {"StartTime": BIG + n // 3, "WorkflowId": f"w{n % 5}"}
    if n % 4:
        fields["Number"] = n % 3
    return SearchDocument(f"n{n:03}", NS, fields)


ORDERS: list[tuple[Order, ...]] = [
    (Order("StartTime"),),
    (Order("Number", False),),
    (Order("Number", True), Order("WorkflowId", False)),
    (Order("WorkflowId", True), Order("Unknown", False), Order("StartTime", True)),
    (),
]


@pytest.mark.asyncio
class TestPaging:
    """query, page by page."""

    @pytest.mark.parametrize("order", ORDERS)
    async def test_pages_make_up_the_whole(self, search: SearchService, order: Sequence[Order]) -> None:
        await search.upsert([numbered(n) for n in range(45)])
        whole = await search.query(NS, order=order)
        ids = [document.doc_id for document in whole.documents]
        assert sorted(ids) == [f"n{n:03}" for n in range(45)]
        assert await walk(search, order) == ids
        assert await walk(search, order, 45) == ids
        assert await walk(search, order, 1) == ids

    @pytest.mark.parametrize("order", ORDERS)
    async def test_stable_under_writes(self, search: SearchService, order: Sequence[Order]) -> None:
        await search.upsert([numbered(n) for n in range(40)])
        stable = {f"n{n:03}" for n in range(1, 40, 2)}
        found: list[str] = []
        token = b""
        for turn in range(60):
            page = await search.query(NS, order=order, page_size=3, page_token=token)
            found += [document.doc_id for document in page.documents]
            token = page.next_page_token
            if not token:
                break
            await search.delete([f"n{turn * 2 % 40:03}"])
            await search.upsert([SearchDocument(f"m{turn}", NS, {"StartTime": BIG + turn % 20, "Number": turn % 3})])
        assert not token
        assert sorted(doc_id for doc_id in found if doc_id in stable) == sorted(stable)

    async def test_tokens_that_do_not_fit(self, search: SearchService) -> None:
        await search.upsert([numbered(n) for n in range(5)])
        page = await search.query(NS, page_size=2)
        assert page.next_page_token
        for order, token in (
            ((Order("StartTime"),), b"nonsense"),
            ((Order("StartTime"),), page.next_page_token[:-3]),
            ((Order("StartTime", False),), page.next_page_token),
            ((Order("Number"), Order("StartTime")), page.next_page_token),
        ):
            with pytest.raises(InvalidArgument):
                await search.query(NS, order=order, page_size=2, page_token=token)


@pytest.mark.asyncio
class TestDocuments:
    """upsert, delete, get, count."""

    async def test_replacing_is_whole(self, search: SearchService) -> None:
        await search.upsert([SearchDocument("d", NS, {"Number": 1, "WorkflowId": "w", "Tags": ["a"]}, b"old")])
        await search.upsert([SearchDocument("d", NS, {"Number": 2}, b"new")])
        assert await search.get("d") == SearchDocument("d", NS, {"Number": 2}, b"new")
        assert await search.count(NS, Compare("WorkflowId", OP.IS_NOT_NULL)) in ({}, {None: 0})
        assert await search.count(NS, Compare("Tags", OP.EQ, "a")) in ({}, {None: 0})
        assert await search.count(NS) == {None: 1}

    async def test_values_keep_their_type(self, search: SearchService) -> None:
        fields: Mapping[str, SearchValue] = {
            "text": "ü",
            "int": 2**60 + 1,
            "float": 2.0,
            "yes": True,
            "no": False,
            "list": ["b", "a"],
            "empty": [],
            "blank": "",
        }
        await search.upsert([SearchDocument("d", NS, fields, bytes(range(256)))])
        document = await search.get("d")
        assert document is not None
        assert document == SearchDocument("d", NS, fields, bytes(range(256)))
        assert [type(value) for value in document.fields.values()] != []
        assert {name: type(value) for name, value in document.fields.items()} == {
            name: type(value) for name, value in fields.items()
        }

    async def test_the_later_of_two_with_one_id(self, search: SearchService) -> None:
        documents = [SearchDocument("d", NS, {"Number": n, f"Field{n}": "x"}) for n in (1, 2)]
        await search.upsert(documents)
        assert await search.get("d") == documents[1]
        assert await search.count(NS, Compare("Field1", OP.IS_NOT_NULL)) in ({}, {None: 0})

    async def test_deleting(self, search: SearchService) -> None:
        await fill(search)
        assert await search.delete(["d1", "d2", "unknown"]) == 2
        assert await search.delete(["d1"]) == 0
        assert await search.delete([]) == 0
        assert await search.get("d1") is None
        assert await find(search, All()) == "345"

    async def test_grouping(self, search: SearchService) -> None:
        await fill(search)
        assert await search.count(NS, group_by="Number") == {5: 2, -3: 1, 10: 1, None: 1}
        assert await search.count(NS, group_by="ExecutionStatus") == {"Running": 1, None: 4}
        assert await search.count(NS, Compare("Number", OP.EQ, 5), group_by="Paid") == {True: 1, None: 1}
        assert await search.count("none", group_by="Number") == {}

    async def test_concurrent_writers_of_one_document(self, search: SearchService) -> None:
        documents = [SearchDocument("d", NS, {"Number": n, f"Field{n}": n}) for n in range(20)]
        await asyncio.gather(*(search.upsert([document]) for document in documents))
        document = await search.get("d")
        assert document in documents
        assert await search.count(NS) == {None: 1}
