"""Which entries of the index to look at for a condition.

A plan is a list of ranges whose documents are at least those that match. Long texts are cut in the index: ranges of
theirs may hold more than they should, never less, and are not exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hotmesh_temporal.contracts.search import All, Compare, Condition, Not, Operator
from hotmesh_temporal.contracts.search import Any as AnyOf

from .search_entries import (
    ABSENT,
    NUMBER,
    SINGLE_VALUED,
    SORTED_FIELDS,
    TEXT,
    TRUTH,
    UNINDEXED,
    encode_prefix,
    encode_value,
    may_be_cut,
)
from .search_match import NEGATED, bounds_of, scalar_of, sequence_of, text_of

_AFTER = {NUMBER: TEXT, TEXT: TRUTH, TRUTH: ABSENT}
_LAST = b"\xff"
"""Greater than whatever may follow a value: ids are UTF-8, in which this byte cannot be."""


class Range(NamedTuple):
    """Entries of one field, with bounds as ZRANGEBYLEX takes them."""

    field: str
    low: bytes
    high: bytes


class Plan(NamedTuple):
    """Ranges to read, how many entries they have together, and the part of the condition that they stand for."""

    ranges: tuple[Range, ...]
    size: int
    source: Condition
    exact: bool
    """The ranges hold the documents for which ``source`` holds, and no others."""

    @property
    def is_unique(self) -> bool:
        """Whether no document can have two entries in the ranges."""
        source = self.source
        return isinstance(source, Compare) and (source.operator is Operator.EQ or source.field in SINGLE_VALUED)


Sizes = Mapping[Range, int]


def leaves(condition: Condition) -> Iterator[Range]:
    """Every range that a plan or a guess might use."""
    match condition:
        case Compare():
            yield from ranges_of(condition) or ranges_of(_positive(condition)) or ()
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)


def best_plan(condition: Condition, sizes: Sizes) -> Plan | None:
    """The plan that looks at least; None if the index does not help."""
    match condition:
        case Compare():
            ranges = ranges_of(condition)
            if ranges is None:
                return None
            return Plan(tuple(ranges), sum(sizes[each] for each in ranges), condition, is_exact(condition))
        case All(parts):
            plans = [plan for part in parts if (plan := best_plan(part, sizes)) is not None]
            return min(plans, key=lambda plan: plan.size, default=None)
        case AnyOf(parts):
            found = [best_plan(part, sizes) for part in parts]
            plans = [plan for plan in found if plan is not None]
            if len(plans) < len(found):
                return None
            together = dict.fromkeys(each for plan in plans for each in plan.ranges)
            exact = all(plan.exact and plan.source is part for plan, part in zip(plans, parts, strict=True))
            return Plan(tuple(together), sum(sizes[each] for each in together), condition, exact)
        case Not():
            return None


def guess(condition: Condition, sizes: Sizes, total: int) -> float:
    """About how many of ``total`` documents match, if no field told of another; what the index cannot tell counts."""
    match condition:
        case Compare():
            ranges, positive = ranges_of(condition), ranges_of(_positive(condition))
            if ranges is None:
                return total if positive is None else max(total - sum(sizes[each] for each in positive), 0)
            return min(sum(sizes[each] for each in ranges), total)
        case All(parts):
            return total * math.prod(guess(part, sizes, total) / max(total, 1) for part in parts)
        case AnyOf(parts):
            return min(sum(guess(part, sizes, total) for part in parts), total)
        case Not(part):
            return total - guess(part, sizes, total) if _is_told(part) else total


def _is_told(condition: Condition) -> bool:
    """Whether a guess is more than the number of all documents."""
    match condition:
        case Compare():
            return (ranges_of(condition) or ranges_of(_positive(condition))) is not None
        case All(parts) | AnyOf(parts):
            return all(_is_told(part) for part in parts)
        case Not(part):
            return _is_told(part)


def _positive(compare: Compare) -> Compare:
    """A comparison without its negation."""
    return Compare(compare.field, NEGATED.get(compare.operator, compare.operator), compare.value)


def without(condition: Condition, sources: Sequence[Condition]) -> Condition:
    """What is left to test of a condition, some of whose conjuncts are known to hold."""
    if any(condition is source for source in sources):
        return All()
    if isinstance(condition, All):
        return All(tuple(without(part, sources) for part in condition.parts))
    return condition


def span_of(condition: Condition, field: str) -> tuple[Range, list[Condition]] | None:
    """The range of a field with one value in which everything that matches is, and the conjuncts that say so."""
    sources = [each for each in _conjuncts(condition) if each.field == field and len(ranges_of(each) or ()) == 1]
    if not sources:
        return None
    ranges = [each for source in sources for each in ranges_of(source) or ()]
    low = max((each.low for each in ranges), key=lambda low: (low[:1] != b"-", low[1:], low[:1] == b"("))
    high = min((each.high for each in ranges), key=lambda high: (high[:1] == b"+", high[1:], high[:1] != b"("))
    return Range(field, low, high), [source for source in sources if is_exact(source)]


def _conjuncts(condition: Condition) -> Iterator[Compare]:
    match condition:
        case Compare():
            yield condition
        case All(parts):
            for part in parts:
                yield from _conjuncts(part)
        case _:
            return


def is_exact(compare: Compare) -> bool:
    """Whether the entries of its ranges are those of the documents for which it holds: no value may be cut."""
    value = compare.value
    values = [value] if isinstance(value, (str, int, float)) or value is None else value
    return not any(isinstance(each, str) and may_be_cut(each) for each in values)


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
    match compare.operator:
        # Of texts that were cut, greater and smaller ones have equal entries.
        case Operator.LT if is_exact(compare):
            return Range(compare.field, b"[" + kind, b"(" + value)
        case Operator.LT | Operator.LE:
            return Range(compare.field, b"[" + kind, b"[" + value + _LAST)
        case Operator.GT if is_exact(compare):
            return Range(compare.field, b"(" + value + _LAST, b"(" + _AFTER[kind])
        case _:
            return Range(compare.field, b"[" + value, b"(" + _AFTER[kind])
