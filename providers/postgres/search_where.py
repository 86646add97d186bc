"""A search condition as SQL. Values are always bound, never written into the text.

SQL's third truth value stands for false here: it passes through AND and OR unharmed, and ``NOT`` is written
``IS NOT TRUE``, which makes it true.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import All, Compare, Condition, Not, Operator
from hotmesh_temporal.contracts.search import Any as AnyOf

from .documents import NUMBER_COLUMNS, TEXT_COLUMNS, plain
from .driver import Placeholders

_NEGATED = {
    Operator.NE: Operator.EQ,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_STARTS_WITH: Operator.STARTS_WITH,
    Operator.IS_NULL: Operator.IS_NOT_NULL,
}
_RANGES = {Operator.LT, Operator.LE, Operator.GT, Operator.GE}

_ELEMENT = "e.value #>> '{}'"


def where(condition: Condition, values: Placeholders) -> str:
    """An expression that is true exactly for the documents for which the condition holds."""
    match condition:
        case All(parts):
            return _joined(" AND ", parts, "true", values)
        case AnyOf(parts):
            return _joined(" OR ", parts, "false", values)
        case Not(part):
            return f"({where(part, values)}) IS NOT TRUE"
        case Compare():
            return _compare(condition, values)


def _joined(operator: str, parts: Sequence[Condition], empty: str, values: Placeholders) -> str:
    return "(" + operator.join(where(part, values) for part in parts) + ")" if parts else empty


def _compare(compare: Compare, values: Placeholders) -> str:
    if compare.operator in _NEGATED:
        positive = Compare(compare.field, _NEGATED[compare.operator], compare.value)
        return f"({_compare(positive, values)}) IS NOT TRUE"
    if compare.field in TEXT_COLUMNS:
        return _column(TEXT_COLUMNS[compare.field], compare, str, values)
    if compare.field in NUMBER_COLUMNS:
        return _column(NUMBER_COLUMNS[compare.field], compare, int, values)
    return _json_field(compare, values)


# -- system fields ------------------------------------------------------------------------------------------------


def _column(column: str, compare: Compare, kind: type, values: Placeholders) -> str:
    match compare.operator:
        case Operator.IS_NOT_NULL:
            return f"{column} IS NOT NULL"
        case Operator.IN:
            wanted = [_bound(value, kind, values) for value in _sequence(compare)]
            return (
                "(" + " OR ".join(f"{column} = {bound}" for bound in wanted if bound) + ")" if any(wanted) else "false"
            )
        case Operator.BETWEEN:
            low, high = (_bound(value, kind, values) for value in _pair(compare))
            return f"({column} >= {low} AND {column} <= {high})" if low and high else "false"
        case Operator.STARTS_WITH:
            bound = _bound(compare.value, kind, values) if kind is str else ""
            # The first comparison lets an index find the beginning of the range.
            return f"({column} >= {bound} AND starts_with({column}, {bound}))" if bound else "false"
        case _:
            bound = _bound(compare.value, kind, values)
            return f"{column} {compare.operator.value} {bound}" if bound else "false"


def _bound(value: Any, kind: type, values: Placeholders) -> str:
    """A bound value of the column's kind; empty for one that can never be equal, greater or less."""
    if kind is str:
        return values.add(value) + "::text" if isinstance(value, str) else ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return values.add(value) + "::bigint"
    return values.add(_decimal(value)) + "::numeric"


# -- other fields -------------------------------------------------------------------------------------------------


def _json_field(compare: Compare, values: Placeholders) -> str:
    field = compare.field
    match compare.operator:
        case Operator.IS_NOT_NULL:
            return f"fields -> {values.add(field)}::text IS NOT NULL"
        case Operator.EQ:
            return _equals(field, compare.value, values)
        case Operator.IN:
            parts = [_equals(field, value, values) for value in _sequence(compare)]
            return "(" + " OR ".join(parts) + ")" if parts else "false"
        case Operator.BETWEEN:
            low, high = _pair(compare)
            parts = [_element(Operator.GE, low, values), _element(Operator.LE, high, values)]
            return _some_element(field, " AND ".join(parts), values)
        case _:
            return _some_element(field, _element(compare.operator, compare.value, values), values)


def _equals(field: str, value: Any, values: Placeholders) -> str:
    """Equal, or a list that has it. Both forms use the index."""
    scalar = plain(field, value)
    if isinstance(scalar, list):
        return f"(fields -> {values.add(field)}::text) = {values.add(json.dumps(scalar))}::jsonb"
    alone = values.add(json.dumps({field: scalar}, ensure_ascii=False))
    listed = values.add(json.dumps({field: [scalar]}, ensure_ascii=False))
    return f"(fields @> {alone}::jsonb OR fields @> {listed}::jsonb)"


def _some_element(field: str, condition: str, values: Placeholders) -> str:
    field_value = f"fields -> {values.add(field)}::text"
    return f"EXISTS (SELECT FROM hotmesh.elements({field_value}) AS e (value) WHERE {condition})"


def _element(operator: Operator, value: Any, values: Placeholders) -> str:
    """A condition on one element. CASE keeps a cast from seeing a value of another type."""
    if operator is Operator.STARTS_WITH:
        if not isinstance(value, str):
            return "false"
        return f"(jsonb_typeof(e.value) = 'string' AND starts_with({_ELEMENT}, {values.add(value)}::text))"
    if operator not in _RANGES:
        raise InvalidArgument(f"operator {operator.value} cannot be used here")
    if isinstance(value, bool):
        kind, left, right = "boolean", f"({_ELEMENT})::boolean", f"{values.add(value)}::boolean"
    elif isinstance(value, (int, float)):
        kind, left, right = "number", f"({_ELEMENT})::numeric", f"{values.add(_decimal(value))}::numeric"
    elif isinstance(value, str):
        kind, left, right = "string", f'({_ELEMENT}) COLLATE "C"', f"{values.add(value)}::text"
    else:
        return "false"
    return f"CASE WHEN jsonb_typeof(e.value) = '{kind}' THEN {left} {operator.value} {right} END"


# -- values -------------------------------------------------------------------------------------------------------


def _decimal(value: int | float) -> Decimal:
    """Exact for a whole number, the shortest decimal of a float: that is how JSON keeps it too."""
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def _sequence(compare: Compare) -> Sequence[Any]:
    value: Any = compare.value
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return cast("Sequence[Any]", value)
    raise InvalidArgument(f"{compare.operator.value} on {compare.field} needs a list of values")


def _pair(compare: Compare) -> Sequence[Any]:
    pair = _sequence(compare)
    if len(pair) != 2:
        raise InvalidArgument(f"BETWEEN on {compare.field} needs two values")
    return pair
