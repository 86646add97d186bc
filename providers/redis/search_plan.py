"""Which entries of the index to look at for a condition.

A plan is a list of ranges whose documents are at least those that match; each document is then tested itself, so a
range may hold more than it should (texts are cut in the index), never less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hotmesh_temporal.contracts.search import All, Compare, Condition, Not, Operator
from hotmesh_temporal.contracts.search import Any as AnyOf

from .search_entries import ABSENT, NUMBER, SORTED_FIELDS, TEXT, TRUTH, UNINDEXED, encode_prefix, encode_value, is_cut
from .search_match import bounds_of, scalar_of, sequence_of, text_of

_AFTER = {NUMBER: TEXT, TEXT: TRUTH, TRUTH: ABSENT}
_LAST = b"\xff"
"""Greater than whatever may follow a value: ids are UTF-8, in which this byte cannot be."""


class Range(NamedTuple):
    """Entries of one field, with bounds as ZRANGEBYLEX takes them."""

    field: str
    low: bytes
    high: bytes


class Plan(NamedTuple):
    """Ranges to read, and how many entries they have together."""

    ranges: tuple[Range, ...]
    size: int


def leaves(condition: Condition) -> Iterator[Range]:
    """Every range that a plan might use."""
    match condition:
        case Compare():
            yield from ranges_of(condition) or ()
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from leaves(part)
        case Not():
            return


def best_plan(condition: Condition, sizes: Mapping[Range, int]) -> Plan | None:
    """The plan that looks at least; None if the index does not help."""
    match condition:
        case Compare():
            ranges = ranges_of(condition)
            return None if ranges is None else Plan(tuple(ranges), sum(sizes[each] for each in ranges))
        case All(parts):
            plans = [plan for part in parts if (plan := best_plan(part, sizes)) is not None]
            return min(plans, key=lambda plan: plan.size, default=None)
        case AnyOf(parts):
            found = [best_plan(part, sizes) for part in parts]
            plans = [plan for plan in found if plan is not None]
            if len(plans) < len(found):
                return None
            together = dict.fromkeys(each for plan in plans for each in plan.ranges)
            return Plan(tuple(together), sum(sizes[each] for each in together))
        case Not():
            return None


def exact_range(condition: Condition) -> Range | None:
    """The range whose entries are one for one the documents that match, if there is one."""
    if not isinstance(condition, Compare) or condition.operator is not Operator.EQ:
        return None
    ranges = ranges_of(condition)
    if ranges is None or (isinstance(condition.value, str) and is_cut(condition.value)):
        return None
    return ranges[0]


def ranges_of(compare: Compare) -> list[Range] | None:
    """The entries that may match a comparison; None if only the documents can tell."""
    name = compare.field
    if name in UNINDEXED:
        return None
    match compare.operator:
        case Operator.EQ:
            value = encode_value(scalar_of(compare, compare.value))
            return [Range(name, b"[" + value, b"[" + value + _LAST)]
        case Operator.IN:
            values = dict.fromkeys(encode_value(value) for value in sequence_of(compare))
            return [Range(name, b"[" + value, b"[" + value + _LAST) for value in values]
        case Operator.BETWEEN:
            low, high = (encode_value(value) for value in bounds_of(compare))
            return [Range(name, b"[" + low, b"[" + high + _LAST)]
        case Operator.STARTS_WITH:
            prefix = encode_prefix(text_of(compare))
            return [Range(name, b"[" + prefix, b"[" + prefix + _LAST)]
        case Operator.LT | Operator.LE | Operator.GT | Operator.GE:
            return [_half_open(compare)]
        case Operator.IS_NOT_NULL:
            return [Range(name, b"-", b"(" + ABSENT)]
        case Operator.IS_NULL if name in SORTED_FIELDS:
            return [Range(name, b"[" + ABSENT, b"+")]
        case _:
            return None


def _half_open(compare: Compare) -> Range:
    value = encode_value(scalar_of(compare, compare.value))
    kind = value[:1]
    if compare.operator in (Operator.LT, Operator.LE):
        return Range(compare.field, b"[" + kind, b"[" + value + _LAST)
    return Range(compare.field, b"[" + value, b"(" + _AFTER[kind])
