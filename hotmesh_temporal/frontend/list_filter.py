"""The list-filter language: SQL-like conditions on search attributes, compiled to a search condition.

There so far: comparisons, IN, BETWEEN, STARTS_WITH, IS NULL, AND, OR, NOT and parentheses on the fields below, and
GROUP BY ExecutionStatus for counts. ORDER BY and custom search attributes are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp, parse_one
from sqlglot.errors import ParseError, SqlglotError

from ..contracts.search import All, Any, Compare, Condition, Not, Operator, SearchValue
from ..errors import RpcError, invalid_argument

_KEYWORDS = frozenset(
    {
        "WorkflowId",
        "RunId",
        "WorkflowType",
        "TaskQueue",
        "ExecutionStatus",
        "BuildIds",
        "TemporalPauseInfo",
        "ParentWorkflowId",
        "ParentRunId",
        "RootWorkflowId",
        "RootRunId",
    }
)
_TIMES = frozenset({"StartTime", "CloseTime", "ExecutionTime"})
_NUMBERS = frozenset({"HistoryLength", "HistorySizeBytes", "StateTransitionCount", "ExecutionDuration"})
_COMPARISONS: dict[type[exp.Expr], Operator] = {
    exp.EQ: Operator.EQ,
    exp.NEQ: Operator.NE,
    exp.LT: Operator.LT,
    exp.LTE: Operator.LE,
    exp.GT: Operator.GT,
    exp.GTE: Operator.GE,
}


@dataclass(frozen=True, slots=True)
class ListFilter:
    """A query: what has to hold, and the field to group by ("": none)."""

    condition: Condition
    group_by: str = ""


def parse(query: str) -> ListFilter:
    """The filter of a query text. INVALID_ARGUMENT for what is not understood or not there."""
    text = query.strip()
    if not text:
        return ListFilter(All())
    prefix = "SELECT 1 FROM t " if text.upper().startswith(("GROUP BY", "ORDER BY")) else "SELECT 1 FROM t WHERE "
    try:
        tree = parse_one(prefix + text)
    except SqlglotError as error:
        raise _malformed(error) from error
    if not isinstance(tree, exp.Select) or tree.args.get("order"):
        raise _invalid("operation is not supported: 'ORDER BY' clause")
    where, group = tree.args.get("where"), tree.args.get("group")
    condition = _condition(where.this) if where is not None else All()
    return ListFilter(condition, _group(group) if group is not None else "")


def _malformed(error: SqlglotError) -> RpcError:
    where = error.errors[0].get("col") if isinstance(error, ParseError) and error.errors else None
    return _invalid(f"malformed SQL query: syntax error at position {where or 0}")


def _group(group: exp.Expr) -> str:
    names = [each.name for each in group.expressions]
    if names != ["ExecutionStatus"]:
        raise _invalid("'GROUP BY' clause is only supported for ExecutionStatus search attribute")
    return names[0]


def _condition(node: exp.Expr) -> Condition:
    if isinstance(node, exp.Paren):
        return _condition(node.this)
    if isinstance(node, exp.And):
        return All((_condition(node.left), _condition(node.right)))
    if isinstance(node, exp.Or):
        return Any((_condition(node.left), _condition(node.right)))
    if isinstance(node, exp.Not):
        return Not(_condition(node.this))
    operator = _COMPARISONS.get(type(node))
    if operator is not None:
        assert isinstance(node, exp.Binary)
        name = _field(node.left)
        return Compare(name, operator, _value(name, node.right))
    return _other(node)


def _other(node: exp.Expr) -> Condition:
    if isinstance(node, exp.In):
        name = _field(node.this)
        return Compare(name, Operator.IN, [_value(name, each) for each in node.expressions])
    if isinstance(node, exp.Between):
        name = _field(node.this)
        return Compare(name, Operator.BETWEEN, [_value(name, node.args["low"]), _value(name, node.args["high"])])
    if isinstance(node, exp.StartsWith):
        name = _field(node.this)
        return Compare(name, Operator.STARTS_WITH, _value(name, node.expression))
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        return Compare(_field(node.this), Operator.IS_NULL)
    if isinstance(node, exp.Like):
        kind = "Keyword" if _field(node.this) in _KEYWORDS else "Int"
        problem = f"operator 'LIKE' not supported for {kind} type search attribute '{node.this.name}'"
        raise _invalid(f"operation is not supported: {problem}")
    raise _invalid(f"operation is not supported: {node.sql()}")


def _field(node: exp.Expr) -> str:
    name = node.name
    if not isinstance(node, exp.Column) or name not in _KEYWORDS | _TIMES | _NUMBERS:
        raise _invalid(f"invalid search attribute: {name}")
    return name


def _value(name: str, node: exp.Expr) -> SearchValue:
    quoted = isinstance(node, exp.Column) and node.this.args.get("quoted")
    if not isinstance(node, exp.Literal) and not quoted:
        raise _invalid(f"not supported as a value: {node.sql()}")
    text = node.name
    if name in _KEYWORDS:
        return text
    try:
        if name in _TIMES:
            return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000_000)
        return int(text)
    except ValueError as error:
        raise _invalid(f"invalid value for search attribute {name}: {text}") from error


def _invalid(message: str) -> RpcError:
    return invalid_argument(f"invalid query: {message}")
