"""Literals of a query as values of the index."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from ...contracts.search import SearchValue
from ...engine.attribute_values import (
    BOOL,
    DATETIME,
    DOUBLE,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    KIND_NAMES,
    TEXT,
    written,
)
from ...errors import RpcError, invalid_argument
from ...runtime.search_values import microseconds, words_of
from .nodes import Bool, Column, Function, Node, Unary, Value, ValueType

STATUS, DURATION = "ExecutionStatus", "ExecutionDuration"


class Attribute(NamedTuple):
    """A search attribute: as it is written, its type, and the field that documents have for it."""

    name: str
    kind: int
    field: str


Literal = str | bool | int | float

_LITERALS: dict[type, tuple[str, set[int]]] = {
    str: ("string", {TEXT, KEYWORD, KEYWORD_LIST, DATETIME}),
    bool: ("bool", {BOOL}),
    int: ("int64", {INT, DOUBLE, DATETIME}),
    float: ("float64", {INT, DOUBLE}),
}
"""How the server calls the types of literals, and which search attributes are compared with them."""

_STATUS_PREFIX = "WORKFLOW_EXECUTION_STATUS_"
STATUSES: dict[int, str] = {
    number: "".join(part.capitalize() for part in name.removeprefix(_STATUS_PREFIX).split("_"))
    for name, number in WorkflowExecutionStatus.items()
}
"""Names of statuses by number."""

_STATUS_NAMES = set(STATUSES.values())
_LONG_NAMES = {name: STATUSES[number] for name, number in WorkflowExecutionStatus.items()}

_LARGEST = 2**63
_SECOND = 10**9
_UNITS = {
    **{"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6},
    **{"s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND, "d": 86_400 * _SECOND},
}
_WHOLE = re.compile(r"[+-]?\d+")
_PARTS = re.compile(r"([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d))+)")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)")
_CLOCK = re.compile(r"(\d+):(\d\d?):(\d\d?)(?:[.:](\d*))?")


def invalid(message: str) -> RpcError:
    """The error of a query."""
    return invalid_argument(f"invalid query: {message}")


def not_supported(what: str) -> RpcError:
    """The error of what SQL has and queries have not."""
    return invalid(f"operation is not supported: {what}")


def wrong(what: str) -> RpcError:
    """The error of an expression."""
    return invalid(f"invalid expression: {what}")


def value_of(attribute: Attribute, node: Node) -> SearchValue:
    """What an attribute is compared with. INVALID_ARGUMENT for what does not fit its type."""
    value = _literal(node)
    if attribute.field == STATUS and not isinstance(value, bool):
        return _status(attribute, value)
    if attribute.field == DURATION and not isinstance(value, bool):
        return _duration(attribute, value)
    go_type, kinds = _LITERALS[type(value)]
    if attribute.kind not in kinds:
        raise wrong(
            f"invalid value type for search attribute {attribute.name} of type {KIND_NAMES[attribute.kind]}: "
            f"{_shown(value)} (type: {go_type})"
        )
    if attribute.kind == TEXT:
        return _words(attribute, str(value))
    return _time(value) if attribute.kind == DATETIME else value


def _literal(node: Node) -> Literal:
    match node:
        case Bool(value):
            return value
        case Value(ValueType.STRING, text) if "\x00" in text:
            raise wrong("a text cannot have a NUL character")
        case Value(ValueType.STRING, text):
            return text
        case Value():
            return _number(node)
        case Unary("-" | "+" as sign, Value(ValueType.FLOAT, text)):
            number = _number(Value(ValueType.FLOAT, text))
            return -number if sign == "-" else number
        case Unary("-" | "+"):
            raise wrong(f'unary operator not supported in "{node.text}"')
        case Unary(operator):
            raise not_supported(f'unary operator "{operator}"')
        case Column(name):
            hint = f'(did you forget to quote "{name}"?)'
            raise not_supported(f"column name on the right side of comparison expression {hint}")
        case Function():
            raise not_supported("nested func")
        case _:
            raise wrong(f"unexpected value type {node.go}")


def _number(node: Value) -> int | float:
    """A whole number that is too large for 64 bits counts as one with a fraction."""
    try:
        if node.type is ValueType.INT and -_LARGEST <= int(node.text[:30]) < _LARGEST and len(node.text) <= 30:
            return int(node.text)
        number = float(node.text) if node.type is not ValueType.OTHER else math.inf
    except ValueError:
        number = math.inf
    if math.isinf(number):
        raise wrong(f'unable to parse value "{node.text}"')
    return number


def _shown(value: Literal) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(value) if type(value) is int else written(value)


def _words(attribute: Attribute, text: str) -> list[str]:
    words = words_of(text)
    if not words:
        raise wrong(f"no tokens found filtering on Text type search attribute {attribute.name}")
    return words


def _time(value: Literal) -> int:
    if not isinstance(value, str):
        return int(value) // 1000
    try:
        return microseconds(value)
    except ValueError as error:
        raise wrong(f"unable to parse datetime '{value}'") from error


def _status(attribute: Attribute, value: str | int | float) -> str:
    if isinstance(value, float):
        raise wrong(f"unexpected value type float64 for search attribute {attribute.name}")
    if isinstance(value, int):
        name = STATUSES.get(value)
    else:
        name = value if value in _STATUS_NAMES else _LONG_NAMES.get(value)
    if name is None:
        shown = f"'{value}'" if isinstance(value, str) else value
        raise wrong(f"invalid ExecutionStatus value {shown}")
    return name


def _duration(attribute: Attribute, value: str | int | float) -> int:
    """Nanoseconds; as text also ``1h30m``, ``1.5d``, ``01:30:00``."""
    if isinstance(value, float):
        raise wrong(f"unexpected value type float64 for search attribute {attribute.name}")
    nanoseconds = value if isinstance(value, int) else _nanoseconds(value)
    if nanoseconds is None or not -_LARGEST <= nanoseconds < _LARGEST:
        raise wrong(f"invalid duration value for search attribute {attribute.name}: {value}")
    return nanoseconds


def _nanoseconds(text: str) -> int | None:
    if _WHOLE.fullmatch(text):
        return int(text) if len(text) <= 20 else None
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds, fraction = clock.groups()
        if int(minutes) > 59 or int(seconds) > 59 or len(hours) > 9:
            return None
        whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
        return whole * 10**9 + int((fraction or "0")[:9].ljust(9, "0"))
    parts = _PARTS.fullmatch(text)
    if parts is None or len(text) > 100:
        return None
    total = sum(_scaled(number, _UNITS[unit]) for number, unit in _PART.findall(parts[2]))
    return -total if parts[1] == "-" else total


def _scaled(number: str, unit: int) -> int:
    whole, _, fraction = number.partition(".")
    return int(whole or "0") * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
