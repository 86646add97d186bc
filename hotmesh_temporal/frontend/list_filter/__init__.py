"""The list-filter language: SQL-like conditions on search attributes, compiled to a search condition.

Values of a query become values of the condition, which providers bind; no text of a query gets into a statement.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...contracts.search import All, Compare, Condition, Operator
from ...engine.context import Namespace
from ...errors import invalid_argument
from .compiler import DIVISION, Compiler
from .parser import parse_query
from .values import not_supported

__all__ = ["WITHOUT_DIVISION", "ListFilter", "parse", "parse_for_schedules"]

WITHOUT_DIVISION = Compare(DIVISION, Operator.IS_NULL)
"""What every query asks for that does not name the division."""


@dataclass(frozen=True, slots=True)
class ListFilter:
    """A query: what has to hold, and the field to group by ("": none)."""

    condition: Condition
    group_by: str = ""


def parse(text: str, namespace: Namespace) -> ListFilter:
    """The filter of a query text. INVALID_ARGUMENT for what is not understood or not there."""
    text = text.strip()
    if not text:
        return ListFilter(WITHOUT_DIVISION)
    query = parse_query(text)
    if query.limit:
        raise not_supported("'LIMIT' clause")
    compiler = Compiler(namespace)
    condition = compiler.condition(query.where) if query.where is not None else All()
    group_by = compiler.group(query.group_by)
    for field in query.order_by:
        compiler.attribute(field)
    if query.order_by:
        raise not_supported("'ORDER BY' clause")
    if not compiler.names_division:
        condition = All((condition, WITHOUT_DIVISION)) if query.where is not None else WITHOUT_DIVISION
    return ListFilter(condition, group_by)


_BEFORE_QUERY = 110
"""How much the server has before the query of a list of schedules, about."""


def parse_for_schedules(text: str, namespace: Namespace, id_prefix: str) -> Condition:
    """What a query text asks of schedules, whose workflow ids begin with ``id_prefix``. INVALID_ARGUMENT."""
    text = text.strip()
    if not text:
        return All()
    query = parse_query(text)
    if query.limit:
        raise not_supported("'LIMIT' clause")
    compiler = Compiler(namespace, schedule_prefix=id_prefix)
    condition = compiler.condition(query.where) if query.where is not None else All()
    for field in query.order_by:
        compiler.attribute(field)
    if not compiler.names_reserved:
        compiler.group(query.group_by)
    for field in query.group_by:
        compiler.attribute(field)
    if compiler.names_reserved:
        raise invalid_argument(f'invalid query filter for schedules: cannot filter on "{compiler.names_reserved}"')
    if query.order_by:
        # The server puts the query into parentheses, and there is no order in there.
        raise invalid_argument(
            f"invalid query: malformed SQL query: syntax error at position {_BEFORE_QUERY + len(text)} near 'order'"
        )
    return condition
