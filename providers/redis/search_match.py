"""Whether a condition holds for a document: the rules of the contract, on values as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import All, Compare, Condition, Not, Operator, SearchValue

NEGATED = {
    Operator.NE: Operator.EQ,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_STARTS_WITH: Operator.STARTS_WITH,
    Operator.IS_NULL: Operator.IS_NOT_NULL,
}

Fields = Mapping[str, SearchValue]
Test = Callable[[Fields], bool]


def test_of(condition: Condition) -> Test:
    """The condition as a function. Raises `InvalidArgument` for a value that does not fit its operator."""
    match condition:
        case Compare():
            return _compare(condition)
        case Not(part):
            inner = test_of(part)
            return lambda fields: not inner(fields)
        case All(parts):
            every = [test_of(part) for part in parts]
            return lambda fields: all(test(fields) for test in every)
        case _:
            some = [test_of(part) for part in condition.parts]
            return lambda fields: any(test(fields) for test in some)


def _compare(compare: Compare) -> Test:
    if compare.operator in NEGATED:
        positive = _compare(Compare(compare.field, NEGATED[compare.operator], compare.value))
        return lambda fields: not positive(fields)
    holds, name = _element_test(compare), compare.field
    return lambda fields: any(holds(element) for element in elements(fields.get(name)))


def elements(value: SearchValue | None) -> Sequence[Any]:
    """The values of a field, one by one."""
    if value is None:
        return ()
    return (value,) if isinstance(value, (str, int, float)) else value


def kind_of(value: object) -> str:
    """Values of different kinds never compare."""
    if isinstance(value, bool):
        return "truth"
    return "text" if isinstance(value, str) else "number"


def _element_test(compare: Compare) -> Callable[[Any], bool]:
    match compare.operator:
        case Operator.IS_NOT_NULL:
            return lambda _: True
        case Operator.IN:
            wanted = {(kind_of(value), value) for value in sequence_of(compare)}
            return lambda element: (kind_of(element), element) in wanted
        case Operator.BETWEEN:
            low, high = bounds_of(compare)
            kind = kind_of(low)
            return lambda element: kind_of(element) == kind and low <= element <= high
        case Operator.STARTS_WITH:
            prefix = text_of(compare)
            return lambda element: isinstance(element, str) and element.startswith(prefix)
        case operator:
            value = scalar_of(compare, compare.value)
            kind, holds = kind_of(value), _HOLDS[operator]
            return lambda element: kind_of(element) == kind and holds(element, value)


_HOLDS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: lambda left, right: left == right,
    Operator.LT: lambda left, right: left < right,
    Operator.LE: lambda left, right: left <= right,
    Operator.GT: lambda left, right: left > right,
    Operator.GE: lambda left, right: left >= right,
}


def scalar_of(compare: Compare, value: object) -> str | int | float:
    """One value. Raises `InvalidArgument` for anything else."""
    if isinstance(value, (str, int, float)):
        return value
    raise InvalidArgument(f"{compare.operator.value} on {compare.field} needs one text, number or truth value")


def sequence_of(compare: Compare) -> list[str | int | float]:
    """The values of an operator that takes several."""
    values = compare.value
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InvalidArgument(f"{compare.operator.value} on {compare.field} needs a sequence of values")
    return [scalar_of(compare, value) for value in cast("Sequence[object]", values)]


def bounds_of(compare: Compare) -> tuple[Any, Any]:
    """The two values of BETWEEN."""
    values = sequence_of(compare)
    if len(values) != 2 or kind_of(values[0]) != kind_of(values[1]):
        raise InvalidArgument(f"BETWEEN on {compare.field} needs two values of one type")
    return values[0], values[1]


def text_of(compare: Compare) -> str:
    """The text of STARTS_WITH."""
    if not isinstance(compare.value, str):
        raise InvalidArgument(f"{compare.operator.value} on {compare.field} needs a text")
    return compare.value
