"""The syntax tree of a query. ``go``: what the server calls a node in its messages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar


class ValueType(Enum):
    """What a literal is written as."""

    STRING = auto()
    INT = auto()
    FLOAT = auto()
    OTHER = auto()
    """Something that has no value here: ``0x1F``, ``:name``, ``?``."""


@dataclass(frozen=True, slots=True)
class Value:
    """A literal; ``text`` is what a string means, and a number as it was written."""

    type: ValueType
    text: str
    go: ClassVar = "*sqlparser.SQLVal"


@dataclass(frozen=True, slots=True)
class Bool:
    """``TRUE`` or ``FALSE``."""

    value: bool
    go: ClassVar = "sqlparser.BoolVal"


@dataclass(frozen=True, slots=True)
class Null:
    """``NULL``."""

    go: ClassVar = "*sqlparser.NullVal"


@dataclass(frozen=True, slots=True)
class Column:
    """A name."""

    name: str
    go: ClassVar = "*sqlparser.ColName"


@dataclass(frozen=True, slots=True)
class Function:
    """A call of a function."""

    go: ClassVar = "*sqlparser.FuncExpr"


@dataclass(frozen=True, slots=True)
class Unary:
    """``-``, ``+``, ``~`` or ``!`` before something; ``text`` is the whole as it was written."""

    operator: str
    operand: Node
    text: str
    go: ClassVar = "*sqlparser.UnaryExpr"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Values joined by an operator of arithmetic, which mean nothing here."""

    go: ClassVar = "*sqlparser.BinaryExpr"


@dataclass(frozen=True, slots=True)
class Subquery:
    """``(SELECT …)``, which means nothing here."""

    go: ClassVar = "*sqlparser.Subquery"


@dataclass(frozen=True, slots=True)
class Exists:
    """``EXISTS (SELECT …)``, which means nothing here."""

    go: ClassVar = "*sqlparser.ExistsExpr"


@dataclass(frozen=True, slots=True)
class Paren:
    """Something in parentheses."""

    inner: Node
    go: ClassVar = "*sqlparser.ParenExpr"


@dataclass(frozen=True, slots=True)
class Row:
    """Several values in parentheses; or those behind ``IN``, which may be one."""

    items: tuple[Node, ...]
    go: ClassVar = "sqlparser.ValTuple"


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left operator right``; the operator in lower case: ``=``, ``not in``, ``starts_with``."""

    operator: str
    left: Node
    right: Node
    go: ClassVar = "*sqlparser.ComparisonExpr"


@dataclass(frozen=True, slots=True)
class Between:
    """``left [NOT] BETWEEN low AND high``."""

    negated: bool
    left: Node
    low: Node
    high: Node
    go: ClassVar = "*sqlparser.RangeCond"


@dataclass(frozen=True, slots=True)
class Is:
    """``left IS what``; ``what`` in lower case: ``null``, ``not null``, ``true``, …"""

    left: Node
    what: str
    go: ClassVar = "*sqlparser.IsExpr"


@dataclass(frozen=True, slots=True)
class Both:
    """``left AND right``."""

    left: Node
    right: Node
    go: ClassVar = "*sqlparser.AndExpr"


@dataclass(frozen=True, slots=True)
class Either:
    """``left OR right``."""

    left: Node
    right: Node
    go: ClassVar = "*sqlparser.OrExpr"


@dataclass(frozen=True, slots=True)
class Negation:
    """``NOT inner``."""

    inner: Node
    go: ClassVar = "*sqlparser.NotExpr"


Node = (
    Value
    | Bool
    | Null
    | Column
    | Function
    | Unary
    | Arithmetic
    | Subquery
    | Exists
    | Paren
    | Row
    | Comparison
    | Between
    | Is
    | Both
    | Either
    | Negation
)


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query. ``limit``: it has a LIMIT clause (which is refused)."""

    where: Node | None
    group_by: tuple[Node, ...]
    order_by: tuple[Node, ...]
    limit: bool
