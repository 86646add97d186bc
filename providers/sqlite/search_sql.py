"""Conditions, orders and page tokens as SQL. Values are always bound, never written into a statement.

A field is an expression that is never NULL: absent is the empty blob, which is greater than every number and text. So
each comparison is a plain range of one type, which an index can serve, and ``NOT`` is plain negation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import All, Compare, Condition, Not, Operator, Order, SearchValue
from hotmesh_temporal.contracts.search import Any as AnyOf

from .search_index import ABSENT, COLUMNS

_NEGATED = {
    Operator.NE: Operator.EQ,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_STARTS_WITH: Operator.STARTS_WITH,
    Operator.IS_NULL: Operator.IS_NOT_NULL,
}

_TOKEN_VERSION = 1


@dataclass(slots=True)
class Sql:
    """A piece of SQL with its parameters."""

    text: str
    parameters: list[Any] = field(default_factory=lambda: list[Any]())


# -- conditions --------------------------------------------------------------------------------------------------------


def condition_sql(condition: Condition) -> Sql:
    """The condition on a document ``d``. Raises `InvalidArgument` for a value that does not fit its operator."""
    match condition:
        case Compare():
            return _compare(condition)
        case Not(part):
            inner = condition_sql(part)
            return Sql(f"NOT {inner.text}", inner.parameters)
        case All(parts):
            return _joined(parts, " AND ", "1")
        case AnyOf(parts):
            return _joined(parts, " OR ", "0")


def _joined(parts: Sequence[Condition], operator: str, empty: str) -> Sql:
    pieces = [condition_sql(part) for part in parts]
    parameters = [parameter for piece in pieces for parameter in piece.parameters]
    return Sql(f"({operator.join(piece.text for piece in pieces) or empty})", parameters)


def _compare(compare: Compare) -> Sql:
    if compare.operator in _NEGATED:
        positive = _compare(Compare(compare.field, _NEGATED[compare.operator], compare.value))
        return Sql(f"NOT {positive.text}", positive.parameters)
    column = COLUMNS.get(compare.field)
    if column is not None:
        return _predicate(f"d.{column}", compare)
    inner = _predicate("f.value", compare)
    return Sql(
        f"(d.doc_key IN (SELECT f.doc_key FROM hm_search_fields f WHERE f.field = ? AND {inner.text}))",
        [compare.field, *inner.parameters],
    )


def _predicate(expression: str, compare: Compare) -> Sql:
    value = compare.value
    match compare.operator:
        case Operator.IS_NOT_NULL:
            return Sql(f"({expression} <> x'')")
        case Operator.EQ:
            return Sql(f"({expression} = ?)", [_scalar(compare, value)])
        case Operator.IN:
            values = _values(compare)
            return Sql(f"({expression} IN ({', '.join('?' * len(values))}))", list(values))
        case Operator.BETWEEN:
            return _between(expression, compare)
        case Operator.STARTS_WITH:
            return _prefix(expression, compare)
        case operator:
            return _ordered(expression, operator, _scalar(compare, value))


def _ordered(expression: str, operator: Operator, value: str | int | float) -> Sql:
    """``<``, ``<=``, ``>`` or ``>=``, kept within the type of ``value``: SQLite sorts numbers before all texts."""
    bounds = [f"{expression} {operator.value} ?"]
    if isinstance(value, str):
        bounds.append(f"{expression} >= ''" if operator in (Operator.LT, Operator.LE) else f"{expression} < x''")
    elif operator in (Operator.GT, Operator.GE):
        bounds.append(f"{expression} < ''")
    return Sql(f"({' AND '.join(bounds)})", [value])


def _between(expression: str, compare: Compare) -> Sql:
    values = _values(compare)
    if len(values) != 2 or isinstance(values[0], str) != isinstance(values[1], str):
        raise InvalidArgument(f"BETWEEN on {compare.field} needs two values of one type")
    return Sql(f"({expression} BETWEEN ? AND ?)", list(values))


def _prefix(expression: str, compare: Compare) -> Sql:
    prefix = compare.value
    if not isinstance(prefix, str):
        raise InvalidArgument(f"STARTS_WITH on {compare.field} needs a text")
    following = _after_prefix(prefix)
    if following is None:
        return Sql(f"({expression} >= ? AND {expression} < x'')", [prefix])
    return Sql(f"({expression} >= ? AND {expression} < ?)", [prefix, following])


def _after_prefix(prefix: str) -> str | None:
    """The least text after all that start with ``prefix``; None if there is none."""
    trimmed = prefix.rstrip("\U0010ffff")
    if not trimmed:
        return None
    code = ord(trimmed[-1]) + 1
    return trimmed[:-1] + chr(0xE000 if 0xD800 <= code < 0xE000 else code)


def _scalar(compare: Compare, value: object) -> str | int | float:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (str, int, float)):
        return value
    raise InvalidArgument(f"{compare.operator.value} on {compare.field} needs one text, number or truth value")


def _values(compare: Compare) -> list[str | int | float]:
    values = compare.value
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InvalidArgument(f"{compare.operator.value} on {compare.field} needs a sequence of values")
    return [_scalar(compare, value) for value in cast("Sequence[SearchValue]", values)]


# -- order and pages ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Sorting:
    """An order as SQL: the key expressions, ORDER BY, and the condition that starts after a token."""

    keys: list[Sql]
    order_by: str
    signature: list[list[Any]]
    descending: list[bool]


def sorting_sql(order: Sequence[Order]) -> Sorting:
    """Absent is greater than all values, so it comes first when descending and last when ascending."""
    keys = [_key(part.field) for part in order]
    names = [f"k{number} {'DESC' if part.descending else 'ASC'}" for number, part in enumerate(order)]
    signature = [[part.field, part.descending] for part in order]
    return Sorting(keys, ", ".join([*names, "d.doc_id"]), signature, [part.descending for part in order])


def _key(name: str) -> Sql:
    column = COLUMNS.get(name)
    if column is not None:
        return Sql(f"d.{column}")
    return Sql(
        "ifnull((SELECT f.value FROM hm_search_fields f WHERE f.doc_key = d.doc_key AND f.field = ? "
        "ORDER BY f.position LIMIT 1), x'')",
        [name],
    )


def make_token(sorting: Sorting, values: Sequence[Any], doc_id: str) -> bytes:
    """The token of the page that begins after a document."""
    shown = [None if value == ABSENT else value for value in values]
    return json.dumps([_TOKEN_VERSION, sorting.signature, shown, doc_id], separators=(",", ":")).encode()


def after_token(sorting: Sorting, token: bytes) -> Sql:
    """The condition of what comes after a token. Raises `InvalidArgument` if it is not one of this order."""
    values, doc_id = _read_token(sorting, token)
    text, parameters = "d.doc_id > ?", [doc_id]
    for key, descending, value in reversed(list(zip(sorting.keys, sorting.descending, values, strict=True))):
        comparison = "<" if descending else ">"
        # The first half is implied by the second; it gives the index a range to start from.
        text = f"({key.text} {comparison}= ? AND ({key.text} {comparison} ? OR {text}))"
        parameters = [*key.parameters, value, *key.parameters, value, *parameters]
    return Sql(text, parameters)


def _read_token(sorting: Sorting, token: bytes) -> tuple[list[Any], str]:
    try:
        version, signature, values, doc_id = json.loads(token)
    except (ValueError, TypeError) as error:
        raise InvalidArgument("the page token is not one of this service") from error
    fits = version == _TOKEN_VERSION and signature == sorting.signature and isinstance(doc_id, str)
    if not fits or not isinstance(values, list) or len(cast("list[Any]", values)) != len(sorting.keys):
        raise InvalidArgument("the page token was not made for this order")
    return [ABSENT if value is None else value for value in cast("list[Any]", values)], doc_id
