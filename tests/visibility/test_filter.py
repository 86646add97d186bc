"""The list-filter language: whatever a query says is a value, a known attribute, or refused."""

from __future__ import annotations

import operator
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotmesh_temporal.contracts.search import SearchDocument
from hotmesh_temporal.engine.attribute_values import INT, KEYWORD, KEYWORD_LIST, TEXT
from hotmesh_temporal.engine.context import CustomAttribute, Namespace
from hotmesh_temporal.errors import Code, RpcError
from hotmesh_temporal.frontend.list_filter import ListFilter, parse
from hotmesh_temporal.frontend.server import Frontend

_KINDS = {"Customer": KEYWORD, "Amount": INT, "Tags": KEYWORD_LIST, "Body": TEXT}
NAMESPACE = Namespace("home", "id", attributes={name: CustomAttribute(kind, name) for name, kind in _KINDS.items()})

_PIECES = [
    *_KINDS, "WorkflowId", "StartTime", "ExecutionStatus", "ExecutionDuration", "Nobody", "AND", "OR", "NOT", "IN",
    "IS",
    "NULL", "BETWEEN", "STARTS_WITH", "LIKE", "GROUP BY", "ORDER BY", "LIMIT", "SELECT", "EXISTS", "(", ")", "((", "))",
    ",", ";", "=", "!=", "<", ">=", "<=>", "+", "-", "~", "!", "*", ".", "||", "&&", "'a'", "'", '"b"', '"',
    "`Customer`", "`", "1", "-1", "1.5", "1e9", "0x1", "99999999999999999999", "?", ":a", "$1", "%s", "{}", "--",
    "/*", "*/", "#",
    "\\", "\x00", "ü", "'; DROP TABLE x; --", "'2026-01-01T00:00:00Z'", "true", "\n", "'1h'", "'Running'",
]  # fmt: skip


def quoted(value: str, quote: str = "'") -> str:
    """A text as a literal."""
    return quote + value.replace("\\", "\\\\").replace(quote, quote * 2) + quote


def outcome(query: str) -> ListFilter | str:
    """The filter, or what is wrong with the query; anything else is an error of ours."""
    try:
        return parse(query, NAMESPACE)
    except RpcError as error:
        return error.message if error.code == Code.INVALID_ARGUMENT else pytest.fail(str(error))


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=12).map(" ".join))
def test_pieces_in_any_order(query: str) -> None:
    outcome(query)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    outcome(text)
    found = outcome(f"Customer = {quoted(text)} OR Tags IN ({quoted(text, chr(34))})")
    assert isinstance(found, ListFilter) or ("\x00" in text and "NUL" in found)


@pytest.mark.parametrize("count", [40, 41, 5000])
def test_nothing_is_too_deep(count: int) -> None:
    for query in (
        "(" * count + "Amount = 1" + ")" * count,
        "NOT " * count + "Amount = 1",
        "Amount = " + "- " * count + "1.5",
        "Amount = 1 AND (" * count + "Amount = 2" + ")" * count,
    ):
        found = outcome(query)
        assert isinstance(found, ListFilter) == (count <= 40) or "unary" in str(found)


@pytest.mark.parametrize("word", [" AND ", " OR "])
async def test_what_is_allowed_can_be_asked(engine: Frontend, word: str) -> None:
    names = ", ".join(f"'v{number}'" for number in range(2000))
    longest = word.join(["NOT Customer = 'x'"] * 399)
    await _count(engine, f"{longest} {word} Customer NOT IN ({names})")
    assert "more than 400 comparisons" in str(outcome(f"{longest} {word} Amount = 1 AND Amount = 2"))
    assert "more than 2000 values" in str(outcome(f"Customer IN ({names}, 'x')"))


_HOSTILE = st.text(
    alphabet=st.sampled_from(list("ab'\"\\%_;-*?:$`{}[]()\n\u2028üÜ日\U0001f600 |&")), min_size=1, max_size=12
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_HOSTILE, min_size=1, max_size=4, unique=True))
async def test_values_stay_values(engine: Frontend, values: list[str]) -> None:
    """Each hostile value finds the documents that have it, wherever a value may be."""
    search = engine.runtime.search
    documents = [
        SearchDocument(f"d{number}", "home", {"WorkflowId": value, "Customer": value, "Tags": [value, "other"]})
        for number, value in enumerate(values)
    ]
    await search.delete([f"d{number}" for number in range(4)])
    await search.upsert(documents)
    for value in values:
        wanted = {f"d{values.index(value)}"}
        prefixed = {each.doc_id for each in documents if str(each.fields["Customer"]).startswith(value)}
        for literal in (quoted(value), quoted(value, '"')):
            for field in ("WorkflowId", "Customer", "Tags"):
                assert await _found(engine, f"{field} = {literal}") == wanted
                assert await _found(engine, f"{field} IN ('{field}', {literal})") == wanted
                assert await _count(engine, f"NOT {field} = {literal}") == len(values) - 1
            for field in ("WorkflowId", "Customer"):
                assert await _found(engine, f"{field} STARTS_WITH {literal}") == prefixed
                assert await _found(engine, f"{field} BETWEEN {literal} AND {literal}") == wanted


async def _found(engine: Frontend, query: str) -> set[str]:
    page = await engine.runtime.search.query("home", parse(query, NAMESPACE).condition)
    return {each.doc_id for each in page.documents}


async def _count(engine: Frontend, query: str) -> int:
    return (await engine.runtime.search.count("home", parse(query, NAMESPACE).condition))[None]


_NUMBERS = [0, 1, -1, 5, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 1_767_225_600_000_000]
_HOLDS: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


async def test_ranges_of_numbers(engine: Frontend) -> None:
    """Exact to the last digit, also after numbers have changed and documents are gone."""
    search = engine.runtime.search
    numbers = {f"n{place}": number for place, number in enumerate(_NUMBERS)}
    await search.upsert([SearchDocument(each, "home", {"Amount": number // 2}) for each, number in numbers.items()])
    await search.upsert([SearchDocument(each, "home", {"Amount": number}) for each, number in numbers.items()])
    await search.upsert([SearchDocument("text", "home", {"Amount": "5"}), SearchDocument("none", "home", {})])
    for kept in (numbers, {each: number for each, number in numbers.items() if number % 2}):
        await search.delete([each for each in numbers if each not in kept])
        for limit in _NUMBERS:
            for sign, holds in _HOLDS.items():
                wanted = {each for each, number in kept.items() if holds(number, limit)}
                assert await _found(engine, f"Amount {sign} {limit}") == wanted
                assert await _count(engine, f"NOT Amount {sign} {limit} AND Amount < 1e30") == len(kept) - len(wanted)
            between = {each for each, number in kept.items() if limit <= number <= 2**53}
            assert await _found(engine, f"Amount BETWEEN {limit} AND {2**53}") == between
