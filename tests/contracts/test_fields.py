"""State to fields and back; symbols."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hotmesh_temporal.contracts.errors import InvalidArgument, NotFound
from hotmesh_temporal.contracts.fields import (
    consumed_fields,
    decode_value,
    encode_value,
    fields_to_state,
    ledger_field,
    like_pattern,
    query_field,
    state_to_fields,
)
from hotmesh_temporal.contracts.symbols import (
    MAX_SYMBOLS,
    check_cursor,
    check_range_size,
    range_result,
    seed_symbols,
    symbol_key,
    symbol_slot,
)

VALUES: list[Any] = [
    "",
    "/",
    "/s",
    "/t",
    "/d1",
    "text",
    "ü🙂\x00\n",
    0,
    -1,
    2**80,
    0.1,
    -0.0,
    1e308,
    True,
    False,
    None,
    [],
    {},
    [[], {}, None, "/n"],
    {"": {"/": [1.0, True]}},
]
SYMBOLS = {"a1": {"output/data": "aab", "output/data/x": "aac", "output/n": "aad"}, "$order": {"data/x": "aba"}}


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_round_trip(value: Any) -> None:
    decoded = decode_value(encode_value(value))
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}])
def test_what_json_does_not_have(value: Any) -> None:
    with pytest.raises(InvalidArgument):
        encode_value(value)


def test_the_shortest_path_takes_all() -> None:
    state = {"a1": {"output": {"data": {"x": 1}, "n": 2, "dropped": 3}}, "data": {"x": "j"}}
    fields = state_to_fields(state, SYMBOLS, {"a1": ",0"})
    assert fields == {"aab,0": '/s{"x":1}', "aad,0": "/d2", "aba": "j"}


def test_reading_what_was_written() -> None:
    state = {"a1": {"output": {"n": None}}, "data": {"x": [1]}}
    fields = state_to_fields(state, SYMBOLS, {"a1": ",0"})
    wanted = consumed_fields({"a1": ["output/n", "output/none"], "$order": ["data/x"]}, SYMBOLS, {"a1": ",0"})
    assert fields_to_state(wanted, fields) == state
    assert fields_to_state(wanted, {}) == {}


def test_the_status_copy_is_not_stored() -> None:
    symbols = {"$order": {"metadata/js": "aaa", "metadata/jid": "aab"}}
    assert state_to_fields({"metadata": {"js": 1, "jid": "j"}}, symbols, {}) == {"aab": "j"}


def test_names_of_user_fields() -> None:
    assert [query_field(name) for name in ("x", '"x"', '"', '""', "")] == ["_x", "x", '_"', "", "_"]


def test_ledgers() -> None:
    assert ledger_field("a1", {"output/metadata/as": "aac"}, {"a1": ",0,1"}) == "aac,0,1"
    with pytest.raises(NotFound):
        ledger_field("a1", {}, {})


@pytest.mark.parametrize(
    ("glob", "like"),
    [("*", "%"), ("a_b%", r"a\_b\%"), (r"\*", "*"), (r"\\", r"\\"), ("x\\", r"x\\"), (r"\a\_", r"a\_")],
)
def test_globs(glob: str, like: str) -> None:
    assert like_pattern(glob) == like


def test_symbols_and_slots() -> None:
    for slot in range(0, MAX_SYMBOLS, 7):
        symbol = symbol_key(slot)
        assert re.fullmatch("[a-zA-Z]{3}", symbol)
        assert symbol_slot(symbol) == slot


def test_symbol_limits() -> None:
    assert (symbol_key(0), symbol_key(1), symbol_key(52), symbol_key(MAX_SYMBOLS - 1)) == ("aaa", "aab", "aba", "ZZZ")
    for slot in (-1, MAX_SYMBOLS):
        with pytest.raises(InvalidArgument):
            symbol_key(slot)
    for size in (26, MAX_SYMBOLS + 1):
        with pytest.raises(InvalidArgument):
            check_range_size(size)
    with pytest.raises(InvalidArgument):
        check_cursor(MAX_SYMBOLS + 1)
    assert symbol_slot("no symbol") == symbol_slot("aa1") == -1


def test_the_first_free_slot() -> None:
    seeds = seed_symbols("ACTIVITY", 100)
    assert range_result(100, 50, seeds) == (126, 149, seeds)
    own = {**seeds, "output/data/x": symbol_key(130), "foreign": symbol_key(500)}
    assert range_result(100, 50, own)[:2] == (131, 149)
