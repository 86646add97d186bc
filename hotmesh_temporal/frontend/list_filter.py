"""The list-filter language: SQL-like conditions on search attributes, compiled to a search condition.

There so far: comparisons, IN, BETWEEN, STARTS_WITH, IS NULL, AND, OR, NOT and parentheses on the fields below and on
the search attributes of the namespace, and GROUP BY ExecutionStatus for counts. ORDER BY is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlglot import exp, parse_one
from sqlglot.errors import ParseError, SqlglotError

from ..contracts.search import All, Any, Compare, Condition, Not, Operator, SearchValue
from ..engine.attribute_values import BOOL, DATETIME, DOUBLE, INT, KEYWORD, KEYWORD_LIST, KIND_NAMES, TEXT
from ..engine.context import Namespace
from ..engine.search_attributes import SYSTEM, field_of, kind_of
from ..errors import RpcError, invalid_argument
from ..runtime.search_values import microseconds, words_of

_KEYWORDS = frozenset(
    {
        "WorkflowId",
        "RunId",
        "WorkflowType",
        "TaskQueue",
        "ExecutionStatus",
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


_OPPOSITES = (
    (Operator.EQ, Operator.NE),
    (Operator.LT, Operator.GE),
    (Operator.GT, Operator.LE),
    (Operator.IN, Operator.NOT_IN),
    (Operator.STARTS_WITH, Operator.NOT_STARTS_WITH),
    (Operator.IS_NULL, Operator.IS_NOT_NULL),
)
_NEGATIONS = {each: other for pair in _OPPOSITES for each, other in (pair, pair[::-1])}
_TRUE_IF_ABSENT = {Operator.NE, Operator.NOT_IN, Operator.NOT_STARTS_WITH}

_LIST_OPERATORS = {Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN, Operator.IS_NULL, Operator.IS_NOT_NULL}
_TEXT_OPERATORS = {Operator.EQ, Operator.NE, Operator.IS_NULL, Operator.IS_NOT_NULL}
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`([^`]*)`")

_PREFIX = re.compile(r"(\"[^\"]+\"|\w+)\s+(NOT\s+)?STARTS_WITH\s+('(?:[^']|'')*'|\"[^\"]*\")", re.IGNORECASE)
"""``x STARTS_WITH 'y'``, which the parser knows as a function only."""

_LITERALS: dict[type, tuple[str, set[int]]] = {
    str: ("string", {TEXT, KEYWORD, KEYWORD_LIST, DATETIME}),
    bool: ("bool", {BOOL}),
    int: ("int64", {INT, DOUBLE, DATETIME}),
    float: ("float64", {INT, DOUBLE}),
}
"""How the server calls the types of literals, and which search attributes are compared with them."""

DIVISION = "TemporalNamespaceDivision"
"""Executions that have it are only listed if the query asks for it."""


class _Attribute(NamedTuple):
    """A search attribute; of those above (the service's own) the type is 0. ``field``: where documents have it."""

    name: str
    kind: int
    field: str


@dataclass(frozen=True, slots=True)
class ListFilter:
    """A query: what has to hold, and the field to group by ("": none)."""

    condition: Condition
    group_by: str = ""


def parse(query: str, namespace: Namespace) -> ListFilter:
    """The filter of a query text. INVALID_ARGUMENT for what is not understood or not there."""
    text = _QUOTED.sub(lambda found: f'"{found[1]}"' if found[1] is not None else found[0], query.strip())
    text = _PREFIX.sub(lambda found: f"{found[2] or ''}STARTS_WITH({found[1]}, {found[3]})", text)
    if not text:
        return ListFilter(_WITHOUT_DIVISION)
    prefix = "SELECT 1 FROM t " if text.upper().startswith(("GROUP BY", "ORDER BY")) else "SELECT 1 FROM t WHERE "
    try:
        tree = parse_one(prefix + text)
    except SqlglotError as error:
        raise _malformed(error) from error
    if not isinstance(tree, exp.Select) or tree.args.get("order"):
        raise _invalid("operation is not supported: 'ORDER BY' clause")
    where, group = tree.args.get("where"), tree.args.get("group")
    condition = _Compiler(namespace).condition(where.this) if where is not None else All()
    if where is None or DIVISION not in {column.name for column in where.find_all(exp.Column)}:
        condition = All((condition, _WITHOUT_DIVISION))
    return ListFilter(condition, _group(group, namespace) if group is not None else "")


_WITHOUT_DIVISION = Compare(DIVISION, Operator.IS_NULL)


def _malformed(error: SqlglotError) -> RpcError:
    where = error.errors[0].get("col") if isinstance(error, ParseError) and error.errors else None
    return _invalid(f"malformed SQL query: syntax error at position {where or 0}")


def _group(group: exp.Expr, namespace: Namespace) -> str:
    names = [each.name for each in group.expressions]
    if len(names) != 1:
        raise _invalid("operation is not supported: 'GROUP BY' clause supports only a single field")
    if names[0] not in SYSTEM and kind_of(names[0], namespace) is None:
        raise _invalid(f"invalid search attribute: {names[0]}")
    if names != ["ExecutionStatus"]:
        raise _invalid(
            f"operation is not supported: 'GROUP BY' clause is not supported for search attribute {names[0]}"
        )
    return names[0]


class _Compiler:
    """Compiles conditions on the fields and search attributes of one namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def condition(self, node: exp.Expr, *, negated: bool = False) -> Condition:
        """The condition, or its opposite. Negation is moved down to the comparisons, because one with a value that is
        not there is neither true nor false.
        """
        if isinstance(node, exp.Paren):
            return self.condition(node.this, negated=negated)
        if isinstance(node, exp.Not):
            return self.condition(node.this, negated=not negated)
        if isinstance(node, (exp.And, exp.Or)):
            parts = (self.condition(node.left, negated=negated), self.condition(node.right, negated=negated))
            return All(parts) if isinstance(node, exp.And) != negated else Any(parts)
        field, compare = self._compare(node)
        if not field.kind:
            return Not(compare) if negated else compare
        return _typed(field, compare, negated=negated)

    def _compare(self, node: exp.Expr) -> tuple[_Attribute, Compare]:
        operator = _COMPARISONS.get(type(node))
        if operator is not None:
            assert isinstance(node, exp.Binary)
            field = self._field(node.left)
            return field, Compare(field.field, operator, _value(field, node.right))
        if isinstance(node, exp.In):
            field = self._field(node.this)
            return field, Compare(field.field, Operator.IN, [_value(field, each) for each in node.expressions])
        if isinstance(node, exp.Between):
            field = self._field(node.this)
            _check_range(field)
            ends = [_value(field, node.args["low"]), _value(field, node.args["high"])]
            return field, Compare(field.field, Operator.BETWEEN, ends)
        if isinstance(node, exp.StartsWith):
            field = self._field(node.this)
            return field, Compare(field.field, Operator.STARTS_WITH, _value(field, node.expression))
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            field = self._field(node.this)
            return field, Compare(field.field, Operator.IS_NULL)
        if isinstance(node, exp.Like):
            field = self._field(node.this)
            kind = KIND_NAMES[field.kind or SYSTEM[field.name]]
            problem = f"operator 'LIKE' not supported for {kind} type search attribute '{field.name}'"
            raise _invalid(f"operation is not supported: {problem}")
        raise _invalid(f"operation is not supported: {node.sql()}")

    def _field(self, node: exp.Expr) -> _Attribute:
        name = node.name
        if isinstance(node, exp.Column):
            if name in _KEYWORDS | _TIMES | _NUMBERS:
                return _Attribute(name, 0, name)
            kind = kind_of(name, self._namespace) or SYSTEM.get(name)
            if kind is not None:
                return _Attribute(name, kind, field_of(name, self._namespace))
        raise _invalid(f"invalid search attribute: {name}")


def _check_range(field: _Attribute) -> None:
    if field.kind in (TEXT, KEYWORD_LIST):
        raise _invalid(
            f"invalid expression: cannot do range condition on search attribute '{field.name}' of type "
            f"{KIND_NAMES[field.kind]}"
        )


def _typed(field: _Attribute, compare: Compare, *, negated: bool) -> Condition:
    """A comparison of a search attribute. One with an absent value does not hold, negated or not, but for lists and
    texts: of those, what is not there is not equal.
    """
    operator = compare.operator
    allowed = {TEXT: _TEXT_OPERATORS, KEYWORD_LIST: _LIST_OPERATORS}.get(field.kind)
    if (allowed and operator not in allowed) or (operator == Operator.STARTS_WITH and field.kind != KEYWORD):
        problem = f"operator '{operator.value}' not supported for {KIND_NAMES[field.kind]} type search attribute"
        raise _invalid(f"operation is not supported: {problem} '{field.name}'")
    if negated and operator == Operator.BETWEEN:
        return All((Not(compare), Compare(field.field, Operator.IS_NOT_NULL)))
    operator = _NEGATIONS[operator] if negated else operator
    value = compare.value
    if field.kind == TEXT and operator in (Operator.EQ, Operator.NE):
        operator, value = Operator.IN if operator == Operator.EQ else Operator.NOT_IN, words_of(str(value))
    result = Compare(field.field, operator, value)
    if operator in _TRUE_IF_ABSENT and field.kind not in (TEXT, KEYWORD_LIST):
        return All((result, Compare(field.field, Operator.IS_NOT_NULL)))
    return result


def _value(field: _Attribute, node: exp.Expr) -> SearchValue:
    quoted = isinstance(node, exp.Column) and node.this.args.get("quoted")
    if field.kind:
        return _typed_value(field, node, is_text=bool(quoted))
    if not isinstance(node, exp.Literal) and not quoted:
        raise _invalid(f"not supported as a value: {node.sql()}")
    name, text = field.name, node.name
    if name in _KEYWORDS:
        return text
    try:
        if name in _TIMES:
            return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000_000)
        return int(text)
    except ValueError as error:
        raise _invalid(f"invalid value for search attribute {name}: {text}") from error


def _typed_value(field: _Attribute, node: exp.Expr, *, is_text: bool) -> SearchValue:
    value = _literal(node, is_text=is_text)
    go_type, kinds = _LITERALS[type(value)]
    if field.kind not in kinds:
        shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
        raise _invalid(
            f"invalid expression: invalid value type for search attribute {field.name} of type "
            f"{KIND_NAMES[field.kind]}: {shown} (type: {go_type})"
        )
    if field.kind != DATETIME:
        return value
    try:
        return microseconds(value) if isinstance(value, str) else int(value) // 1000
    except ValueError as error:
        raise _invalid(f"invalid expression: unable to parse datetime '{value}'") from error


def _literal(node: exp.Expr, *, is_text: bool) -> str | bool | int | float:
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    sign = 1
    if isinstance(node, exp.Neg):
        node, sign = node.this, -1
    if isinstance(node, exp.Literal) and not node.is_string:
        try:
            return sign * int(node.name)
        except ValueError:
            return sign * float(node.name)
    if is_text or isinstance(node, exp.Literal):
        return node.name
    if isinstance(node, exp.Column):
        problem = f'(did you forget to quote "{node.name}"?)'
        raise _invalid(f"operation is not supported: column name on the right side of comparison expression {problem}")
    raise _invalid(f"not supported as a value: {node.sql()}")


def _invalid(message: str) -> RpcError:
    return invalid_argument(f"invalid query: {message}")
