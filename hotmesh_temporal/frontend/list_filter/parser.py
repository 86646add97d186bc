"""Reads a query, and says what is wrong with one in the words of the server."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from ...errors import RpcError, invalid_argument
from .nodes import Negation, Node, Paren, Query, Row, Unary

if TYPE_CHECKING:
    from lark import Token

    from .tree import Reader

_OFFSET, _CLAUSE_OFFSET = 27, 21
"""What the server puts before a query with conditions, and before one that begins with GROUP BY or ORDER BY."""

_DEEPEST = 40
"""Parentheses, NOTs and signs within one another: far more than any query needs, and no more than the stack holds."""

_SIGNS = {"LPAR", "RPAR", "COMMA", "DOT", "SEMICOLON", "COMPARE", "SIGN", "INVERSION", "_BINARY", "_BOTH", "_EITHER"}
"""Tokens that messages do not name."""


def parse_query(text: str) -> Query:
    """The tree of a query that is not empty. INVALID_ARGUMENT for what is no query."""
    from lark.exceptions import UnexpectedToken

    from .tree import TreeReader

    try:
        tree = _parser().parse(text)
    except UnexpectedToken as error:
        token: Token = error.token  # pyright: ignore[reportUnknownVariableType]  # Lark does not say what it is
        raise _malformed(text, token) from None
    query = TreeReader(text).transform(tree)
    if query.where is not None and _is_too_deep(query.where):
        raise _syntax_error(_OFFSET + len(text), "")
    return query


@lru_cache(maxsize=1)
def _parser() -> Reader:
    from .tree import new_parser

    return new_parser()


def _malformed(text: str, token: Token) -> RpcError:
    """The error of a token that cannot stand where it is."""
    begin, offset = list(islice(_parser().lex(text), 2)), _OFFSET
    if begin and begin[0].type in ("_GROUP", "_ORDER"):
        if len(begin) > 1 and begin[1].type == "_BY":
            offset = _CLAUSE_OFFSET
        else:
            token = begin[0]
    end = len(text) if token.type == "$END" else token.end_pos or 0
    return _syntax_error(offset + end, "" if token.type in {*_SIGNS, "$END"} else str(token))


def _syntax_error(end: int, near: str) -> RpcError:
    said = f" near '{near}'" if near else ""
    return invalid_argument(f"invalid query: malformed SQL query: syntax error at position {end + 1}{said}")


def _is_too_deep(node: Node) -> bool:
    """Something lies within more than `_DEEPEST` parentheses, NOTs and signs."""
    rest: list[tuple[Any, int]] = [(node, 0)]
    while rest:
        each, depth = rest.pop()
        depth += isinstance(each, (Negation, Paren, Row, Unary))
        if depth > _DEEPEST:
            return True
        rest.extend((part, depth) for part in _parts(each))
    return False


def _parts(node: Any) -> tuple[Any, ...]:
    if isinstance(node, Row):
        return node.items
    names = ("inner", "left", "right", "low", "high", "operand")
    return tuple(getattr(node, name) for name in names if hasattr(node, name))
