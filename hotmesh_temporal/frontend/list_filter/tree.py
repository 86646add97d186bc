"""The parser that Lark makes of the grammar, and the nodes that become of its trees.

Imported when the first query is read: Lark takes a while.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from lark import Lark, Token, Tree, v_args  # pyright: ignore[reportUnknownVariableType]  # v_args is half typed
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from .grammar import GRAMMAR, KEYWORDS, TERMINALS
from .nodes import (
    Arithmetic,
    Between,
    Bool,
    Both,
    Column,
    Comparison,
    Either,
    Exists,
    Function,
    Is,
    Negation,
    Node,
    Null,
    Paren,
    Query,
    Row,
    Subquery,
    Unary,
    Value,
    ValueType,
)

_OPERATORS = {"<>": "!=", "rlike": "regexp"}
_ESCAPES = {"0": "\x00", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


class _Group(tuple[Node, ...]):
    """The fields of GROUP BY."""


class _Order(tuple[Node, ...]):
    """The fields of ORDER BY."""


class Reader(Protocol):
    """What is used of a parser."""

    def parse(self, text: str) -> Tree[Token]:
        """The tree of a text. Raises `UnexpectedToken`."""
        ...

    def lex(self, text: str) -> Iterator[Token]:
        """The tokens of a text."""
        ...


def new_parser() -> Reader:
    """The parser of the grammar; it makes trees, for `TreeReader`."""
    return Lark(
        GRAMMAR,
        parser="lalr",
        lexer="basic",
        maybe_placeholders=False,
        propagate_positions=True,
        lexer_callbacks={
            "NAME": _word,
            "STRING": _string,
            "BACKQUOTED": _backquoted,
            "HEX": _valueless,
            "PLACE": _valueless,
            "OPEN": _open,
        },
    )


# -- tokens: their meaning, and the type that the grammar knows ------------------------------------------------------


def _word(token: Token) -> Token:
    lower = token.lower()
    if lower not in KEYWORDS:
        return token
    return Token.new_borrow_pos(TERMINALS.get(lower, "_WORD"), lower, token)


def _string(token: Token) -> Token:
    """Without its quotes and escapes."""
    quote = token[0]
    pattern = re.compile(rf"\\(.)|{quote}{quote}", re.DOTALL)
    meant = pattern.sub(lambda found: _ESCAPES.get(found[1], found[1]) if found[1] is not None else quote, token[1:-1])
    return Token.new_borrow_pos("STRING", meant, token)


def _backquoted(token: Token) -> Token:
    return Token.new_borrow_pos("NAME", token[1:-1].replace("``", "`"), token)


def _valueless(token: Token) -> Token:
    return Token.new_borrow_pos("OTHER", ":v1" if token == "?" else str(token), token)


def _open(token: Token) -> Token:
    """A text or comment without an end."""
    return token if token.startswith("/*") else Token.new_borrow_pos("OPEN", token[1:], token)


# -- nodes -----------------------------------------------------------------------------------------------------------


class TreeReader(Transformer_NonRecursive[Token, Query]):
    """Makes the nodes of a tree. The methods are the rules of the grammar, and get what the parts of a rule became."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def start(self, parts: list[Node | _Group | _Order]) -> Query:
        """A query, whose clauses and conditions come in this order or not at all."""
        where = [part for part in parts if not isinstance(part, (_Group, _Order))]
        group, order = ([part for part in parts if isinstance(part, kind)] for kind in (_Group, _Order))
        fields = (tuple(clause[0]) if clause else () for clause in (group, order))
        return Query(where[0] if where else None, *fields, limit=False)

    def limited(self, parts: list[Any]) -> Query:
        """A query with LIMIT, and with whatever is behind that."""
        return replace(self.start([part for part in parts if not isinstance(part, Token)]), limit=True)

    def group(self, fields: list[Node]) -> _Group:
        """GROUP BY."""
        return _Group(fields)

    def order(self, fields: list[Node]) -> _Order:
        """ORDER BY."""
        return _Order(fields)

    def either(self, parts: list[Node]) -> Node:
        """``left OR right``."""
        return Either(*parts)

    def both(self, parts: list[Node]) -> Node:
        """``left AND right``."""
        return Both(*parts)

    def negated(self, parts: list[Any]) -> Node:
        """``NOT inner``."""
        return Negation(parts[1])

    def is_state(self, parts: list[Any]) -> Node:
        """``left IS [NOT] state``."""
        return Is(parts[0], " ".join(parts[1:]))

    def exists(self, parts: list[Any]) -> Node:
        """``EXISTS (SELECT …)``."""
        del parts
        return Exists()

    def compared(self, parts: list[Any]) -> Node:
        """``left operator right``."""
        operator = " ".join(_OPERATORS.get(word, word) for word in map(str, parts[1:-1]))
        return Comparison(operator, parts[0], parts[-1])

    def among(self, parts: list[Any]) -> Node:
        """``left [NOT] IN right``."""
        return Comparison("in" if len(parts) == 2 else "not in", parts[0], parts[-1])

    def between(self, parts: list[Any]) -> Node:
        """``left [NOT] BETWEEN low AND high``."""
        return Between(len(parts) > 3, parts[0], parts[-2], parts[-1])

    def row(self, items: list[Node]) -> Node:
        """What is behind IN."""
        return Row(tuple(items))

    def arithmetic(self, parts: list[Any]) -> Node:
        """``left operator right``, which mean nothing."""
        del parts
        return Arithmetic()

    @v_args(meta=True)
    def unary(self, meta: Meta, parts: list[Any]) -> Node:
        """A sign and what it belongs to; a number has it in its text."""
        operator, operand = str(parts[0]), parts[1]
        if operator in "-+" and isinstance(operand, Value) and operand.type is ValueType.INT:
            return Value(ValueType.INT, _signed(operator, operand.text))
        return Unary(operator, operand, self._text[meta.start_pos : meta.end_pos])

    def string(self, parts: list[Token]) -> Node:
        """A text."""
        return Value(ValueType.STRING, str(parts[0]))

    def integer(self, parts: list[Token]) -> Node:
        """A number without a point."""
        return Value(ValueType.INT, str(parts[0]))

    def decimal(self, parts: list[Token]) -> Node:
        """A number with a point or an exponent."""
        return Value(ValueType.FLOAT, str(parts[0]))

    def other(self, parts: list[Token]) -> Node:
        """A literal without a value."""
        return Value(ValueType.OTHER, str(parts[0]))

    def truth(self, parts: list[Token]) -> Node:
        """``TRUE`` or ``FALSE``."""
        return Bool(parts[0] == "true")

    def null(self, parts: list[Token]) -> Node:
        """``NULL``."""
        del parts
        return Null()

    def paren(self, items: list[Node]) -> Node:
        """One or more in parentheses."""
        return Row(tuple(items)) if len(items) > 1 else Paren(items[0])

    def column(self, names: list[Token]) -> Node:
        """A name."""
        return Column(".".join(names))

    def function(self, parts: list[Any]) -> Node:
        """A call."""
        del parts
        return Function()

    def subquery(self, parts: list[Any]) -> Node:
        """``(SELECT …)``."""
        del parts
        return Subquery()


def _signed(operator: str, text: str) -> str:
    if operator == "+":
        return text
    return text[1:] if text.startswith("-") else f"-{text}"
