"""A search condition as SQL, on rows whose app is ``$1`` and whose namespace is ``$2``. Values are always bound, never
written into the text.

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
_CLOSED = {Operator.LT: "<=", Operator.LE: "<=", Operator.GT: ">=", Operator.GE: ">="}
_ROUNDED, _LARGEST = 2**53, 1e300
"""From here on whole numbers are rounded to floats; and up to here numbers are looked for in floats at all."""
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
    column = TEXT_COLUMNS.get(compare.field) or NUMBER_COLUMNS.get(compare.field)
    if compare.operator is Operator.IS_NULL and column:
        return f"{column} IS NULL"  # a form that an index knows
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
            # The planner takes this for rare, and its opposite for usual; it does not with IS NOT NULL.
            return f"fields ? {values.add(field)}::text"
        case Operator.EQ:
            return _equals(field, compare.value, values)
        case Operator.IN:
            parts = [_equals(field, value, values) for value in _sequence(compare)]
            return "(" + " OR ".join(parts) + ")" if parts else "false"
        case Operator.BETWEEN:
            low, high = _pair(compare)
            return _range(field, ((Operator.GE, low), (Operator.LE, high)), values)
        case operator if operator in _RANGES:
            return _range(field, ((operator, compare.value),), values)
        case _:
            return _some_element(field, _element(compare.operator, compare.value, values), values)


def _range(field: str, bounds: Sequence[tuple[Operator, Any]], values: Placeholders) -> str:
    """Greater or less than some bounds. Numbers have a table of their own, see ``0005_lists.sql``; it rounds those that
    a float cannot hold, so where bounds are as large, what it finds is looked at once more.
    """
    if not all(_is_number(value) for _, value in bounds):
        return _some_element(field, _elements(bounds, values), values)
    if all(abs(value) < _ROUNDED for _, value in bounds):
        return _near(field, [(operator.value, value) for operator, value in bounds], values)
    near = _near(field, [(_CLOSED[operator], value) for operator, value in bounds], values)
    return f"({near} AND {_some_element(field, _elements(bounds, values), values)})"


def _elements(bounds: Sequence[tuple[Operator, Any]], values: Placeholders) -> str:
    return " AND ".join(_element(operator, value, values) for operator, value in bounds)


def _near(field: str, bounds: Sequence[tuple[str, Any]], values: Placeholders) -> str:
    """The documents that the table of numbers has in a range."""
    ranges = " AND ".join(f"n.value {operator} {values.add(float(value))}::float8" for operator, value in bounds)
    return (
        "doc_id IN (SELECT n.doc_id FROM hotmesh.document_numbers n WHERE n.app = $1 AND n.namespace = $2 "
        f"AND n.field = {values.add(field)}::text AND {ranges})"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


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
