"""Tests of documents that the server makes by the index alone, without reading the document.

Whether a document has one of some values is told by whether the entries are there: value and id are the entry. What
can be told so is sent along with the range to read; the rest of the condition is tested here, on what is left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hotmesh_temporal.contracts.search import All, Compare, Condition, Not, Operator
from hotmesh_temporal.contracts.search import Any as AnyOf

from .database import blob
from .search_entries import ABSENT, SORTED_FIELDS, UNINDEXED, encode_value
from .search_match import NEGATED, scalar_of, sequence_of
from .search_plan import is_exact

Tree = list[Any]
"""A test as ``search.lua`` takes it."""

_ALWAYS: Tree = ["&"]


class Filter(NamedTuple):
    """A test that every document that matches passes; ``exact``: and no other one does."""

    tree: Tree
    exact: bool

    @property
    def passes_all(self) -> bool:
        """Whether there is nothing to test."""
        return self.tree == _ALWAYS


EVERYTHING = Filter(_ALWAYS, exact=True)
_UNKNOWN = Filter(_ALWAYS, exact=False)


def filter_of(condition: Condition) -> Filter:
    """The strictest filter for a condition."""
    match condition:
        case Compare():
            return _compare(condition)
        case Not(part):
            inner = filter_of(part)
            return Filter(["!", inner.tree], exact=True) if inner.exact else _UNKNOWN
        case All(parts):
            filters = [filter_of(part) for part in parts]
            trees = [each.tree for each in filters if not each.passes_all]
            return Filter(["&", *trees], all(each.exact for each in filters))
        case AnyOf(parts):
            filters = [filter_of(part) for part in parts]
            if any(each.passes_all for each in filters):
                return Filter(_ALWAYS, any(each.passes_all and each.exact for each in filters))
            return Filter(["|", *(each.tree for each in filters)], all(each.exact for each in filters))


def _compare(compare: Compare) -> Filter:
    if compare.field in UNINDEXED:
        return _UNKNOWN
    if compare.operator is Operator.IS_NOT_NULL and compare.field in SORTED_FIELDS:
        return Filter(["!", ["=", compare.field, blob(ABSENT)]], exact=True)
    positive = NEGATED.get(compare.operator)
    if positive is not None:
        inner = _compare(Compare(compare.field, positive, compare.value))
        return Filter(["!", inner.tree], exact=True) if inner.exact else _UNKNOWN
    values = _values(compare)
    if values is None:
        return _UNKNOWN
    return Filter(["=", compare.field, *(blob(value) for value in values)], is_exact(compare))


def _values(compare: Compare) -> list[bytes] | None:
    """The beginnings of entries of which a document must have one; None if there is no such list."""
    match compare.operator:
        case Operator.EQ:
            return [encode_value(scalar_of(compare, compare.value))]
        case Operator.IN:
            return [encode_value(value) for value in sequence_of(compare)]
        case _:
            return None
