"""A query's tree as a condition on search documents."""

from __future__ import annotations

from ...contracts.search import All, Any, Compare, Condition, Not, Operator, SearchValue
from ...engine.attribute_values import BOOL, DATETIME, DOUBLE, INT, KEYWORD, KEYWORD_LIST, KIND_NAMES, TEXT
from ...engine.context import Namespace
from ...engine.search_attributes import PREDEFINED, SYSTEM, field_of, kind_of
from ...errors import RpcError
from .nodes import Between, Both, Column, Comparison, Either, Function, Is, Negation, Node, Paren, Row, Subquery
from .values import STATUS, STATUSES, Attribute, invalid, not_supported, value_of, wrong

DIVISION = "TemporalNamespaceDivision"
"""Executions that have it are only listed if the query asks for it."""

_OWN_PREFIX = "Temporal"
"""Names of the service's own attributes may be written without it."""

_MOST_COMPARISONS, _MOST_VALUES = 400, 2000
"""Of one query; and of all its INs together. Databases allow for more, but not for much more."""

_ALIASES = {"ScheduleId": "WorkflowId"}
_ALIASES_OF_SCHEDULES = {**_ALIASES, "TemporalScheduleId": "WorkflowId"}
_Compared = SearchValue | list[SearchValue]

_OF_SCHEDULES = ("TemporalSchedulePaused", "ScheduleId")
"""What schedules can be asked for of the service's own attributes."""

_GROUPS = (STATUS, DIVISION)

_RANGES = {"<": Operator.LT, "<=": Operator.LE, ">": Operator.GT, ">=": Operator.GE}
_EQUAL = {"=": Operator.EQ, "!=": Operator.NE}
_SETS = {"in": Operator.IN, "not in": Operator.NOT_IN}
_PREFIXES = {"starts_with": Operator.STARTS_WITH, "not starts_with": Operator.NOT_STARTS_WITH}
_NUMERIC = _EQUAL | _RANGES | _SETS
_ALLOWED: dict[int, dict[str, Operator]] = {
    TEXT: _EQUAL,
    KEYWORD: _NUMERIC | _PREFIXES,
    INT: _NUMERIC,
    DOUBLE: _NUMERIC,
    BOOL: _NUMERIC,
    DATETIME: _NUMERIC,
    KEYWORD_LIST: _EQUAL | _SETS,
}
"""What each type is compared by."""

_WITHOUT_RANGE = (TEXT, BOOL, KEYWORD_LIST)
"""Types that BETWEEN is refused for."""

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


class Compiler:
    """Compiles queries on the search attributes of one namespace."""

    def __init__(self, namespace: Namespace, *, schedule_prefix: str = "") -> None:
        """``schedule_prefix``: it is about schedules, whose workflow ids begin with that."""
        self._namespace = namespace
        self._schedule_prefix = schedule_prefix
        self.names_reserved = ""
        """An attribute that what was compiled so far names, and that schedules cannot be asked for."""
        self._comparisons = 0
        self._values = 0
        self.names_division = False
        """Whether what was compiled so far asks for a division."""

    def attribute(self, node: Node) -> Attribute:
        """The attribute that a column names. INVALID_ARGUMENT if there is none."""
        self._comparisons += 1
        if self._comparisons > _MOST_COMPARISONS:
            raise invalid(f"it has more than {_MOST_COMPARISONS} comparisons")
        if not isinstance(node, Column):
            raise wrong(f"must be a column name but was {node.go}")
        aliases = _ALIASES_OF_SCHEDULES if self._schedule_prefix else _ALIASES
        name = aliases.get(node.name, node.name)
        if node.name not in _OF_SCHEDULES and (
            node.name.startswith(_OWN_PREFIX) or name in SYSTEM or name in PREDEFINED
        ):
            self.names_reserved = self.names_reserved or node.name
        for known in (name, _OWN_PREFIX + name):
            kind = kind_of(known, self._namespace) or SYSTEM.get(known)
            if kind is not None:
                field = field_of(known, self._namespace)
                self.names_division = self.names_division or field == DIVISION
                return Attribute(node.name, kind, field)
        raise invalid(f"invalid search attribute: {node.name}")

    def group(self, fields: tuple[Node, ...]) -> str:
        """The field to group by; empty if there is none."""
        if len(fields) > 1:
            raise not_supported("'GROUP BY' clause supports only a single field")
        if not fields:
            return ""
        attribute = self.attribute(fields[0])
        if attribute.field not in _GROUPS:
            raise not_supported(f"'GROUP BY' clause is not supported for search attribute {attribute.name}")
        return attribute.field

    def condition(self, node: Node, *, negated: bool = False) -> Condition:
        """The condition, or its opposite. Negation is moved down to the comparisons, because one with a value that is
        not there is neither true nor false.
        """
        match node:
            case Paren(inner):
                return self.condition(inner, negated=negated)
            case Negation(inner):
                return self.condition(inner, negated=not negated)
            case Both() | Either():
                parts = tuple(self.condition(part, negated=negated) for part in _flat(node))
                return All(parts) if isinstance(node, Both) != negated else Any(parts)
            case Comparison():
                return self._comparison(node, negated=negated)
            case Between(not_between, left, low, high):
                return self._range(left, low, high, negated=negated != not_between)
            case Is(left, what):
                return self._is(left, what, negated=negated)
            case _:
                raise _no_condition(node)

    def _is(self, left: Node, what: str, *, negated: bool) -> Condition:
        attribute = self.attribute(left)
        if what not in ("null", "not null"):
            raise wrong("'IS' operator can only be used as 'IS NULL' or 'IS NOT NULL'")
        is_null = (what == "null") != negated
        return Compare(attribute.field, Operator.IS_NULL if is_null else Operator.IS_NOT_NULL)

    def _range(self, left: Node, low: Node, high: Node, *, negated: bool) -> Condition:
        attribute = self.attribute(left)
        if attribute.kind in _WITHOUT_RANGE:
            kind = KIND_NAMES[attribute.kind]
            raise wrong(f"cannot do range condition on search attribute '{attribute.name}' of type {kind}")
        ends = [value_of(attribute, low), value_of(attribute, high)]
        if attribute.field == STATUS:
            return _statuses(">=", str(ends[0]), "<=", str(ends[1]), negated=negated)
        found = Compare(attribute.field, Operator.BETWEEN, ends)
        return All((Not(found), Compare(attribute.field, Operator.IS_NOT_NULL))) if negated else found

    def _comparison(self, node: Comparison, *, negated: bool) -> Condition:
        attribute = self.attribute(node.left)
        if isinstance(node.right, Subquery):
            raise wrong(f"unexpected value type {node.right.go}")
        if node.operator in _SETS and isinstance(node.right, Row):
            self._values += len(node.right.items)
            if self._values > _MOST_VALUES:
                raise invalid(f"it has more than {_MOST_VALUES} values in lists")
            value = [value_of(attribute, each) for each in node.right.items]
        else:
            value = value_of(attribute, node.right)
        if self._schedule_prefix and attribute.field == _ALIASES["ScheduleId"]:
            value = _prefixed(self._schedule_prefix, value)
        operator = _ALLOWED[attribute.kind].get(node.operator)
        if operator is None:
            kind = KIND_NAMES[attribute.kind]
            shown = f"operator '{node.operator.upper()}' not supported for {kind} type search attribute"
            raise not_supported(f"{shown} '{attribute.name}'")
        if attribute.field == STATUS and node.operator in _PREFIXES:
            raise wrong(f'right-hand side of "{node.operator}" operator must be a literal string (got: {value})')
        if attribute.field == STATUS and node.operator in _RANGES:
            return _statuses(node.operator, str(value), negated=negated)
        return _compared(attribute, Compare(attribute.field, operator, value), negated=negated)


def _compared(attribute: Attribute, compare: Compare, *, negated: bool) -> Condition:
    """A comparison with an absent value does not hold, negated or not, but for lists and texts: of those, what is not
    there is not equal.
    """
    operator = _NEGATIONS[compare.operator] if negated else compare.operator
    if attribute.kind == TEXT:
        operator = Operator.IN if operator == Operator.EQ else Operator.NOT_IN
    result = Compare(compare.field, operator, compare.value)
    if operator in _TRUE_IF_ABSENT and attribute.kind not in (TEXT, KEYWORD_LIST):
        return All((result, Compare(compare.field, Operator.IS_NOT_NULL)))
    return result


def _prefixed(prefix: str, value: _Compared) -> _Compared:
    """The workflow ids of schedules, from their own ids."""
    if isinstance(value, str):
        return prefix + value
    return [_prefixed_text(prefix, each) for each in value] if isinstance(value, list) else value


def _prefixed_text(prefix: str, value: SearchValue) -> SearchValue:
    return prefix + value if isinstance(value, str) else value


def _statuses(operator: str, value: str, operator2: str = "", value2: str = "", *, negated: bool) -> Condition:
    """Statuses are ordered by their numbers, not by their names."""
    wanted = {name for number, name in STATUSES.items() if _holds(number, operator, value)}
    if operator2:
        wanted &= {name for number, name in STATUSES.items() if _holds(number, operator2, value2)}
    return Compare(STATUS, Operator.NOT_IN if negated else Operator.IN, sorted(wanted))


def _holds(number: int, operator: str, value: str) -> bool:
    limit = next(each for each, name in STATUSES.items() if name == value)
    return {"<": number < limit, "<=": number <= limit, ">": number > limit, ">=": number >= limit}[operator]


def _flat(node: Both | Either) -> list[Node]:
    """The parts of a chain of ANDs or of ORs, which may be a long one."""
    parts: list[Node] = []
    kind, left = type(node), node
    while isinstance(left, kind):
        parts.append(left.right)
        left = left.left
    return [left, *reversed(parts)]


def _no_condition(node: Node) -> RpcError:
    if isinstance(node, Column):
        return wrong("incomplete expression")
    return not_supported("nested func" if isinstance(node, Function) else f"expression of type {node.go}")
