"""A query as tokens, as MySQL writes them: that is what the server's parser reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from ...errors import RpcError, invalid_argument


class Kind(Enum):
    """What a token is."""

    NAME = auto()
    KEYWORD = auto()
    STRING = auto()
    INT = auto()
    FLOAT = auto()
    OTHER = auto()
    """A literal without a value: ``0x1F``, ``:name``, ``?``."""
    SYMBOL = auto()
    BAD = auto()
    """Nothing that may stand anywhere."""
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """``text``: a keyword in lower case, a name or string without its quotes. From ``start`` up to ``end``."""

    kind: Kind
    text: str
    start: int
    end: int


_WORDS = """
    and as asc between by case cross default delete desc describe distinct drop else exists explain false for force
    from group having if ignore in index inner insert interval into is join key left like limit lock match natural
    not null on or order outer regexp rename replace right rlike select set show starts_with straight_join table
    then to true union unique update use using values when where xor
"""
KEYWORDS = frozenset(_WORDS.split())
"""Words that are no names, unless in backquotes."""

_SPACE = re.compile(r"(?:\s|--[^\n]*|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_@][A-Za-z0-9_@]*")
_NUMBER = re.compile(
    r"(?P<hex>0x[0-9A-Fa-f]*)|(?P<float>(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d*)?|\d+[eE][+-]?\d*)|(?P<int>\d+)"
)
_PLACE = re.compile(r"::?[A-Za-z_@][A-Za-z0-9_@.]*|\?")
_SYMBOL = re.compile(r"<=>|<=|>=|<>|!=|<<|>>|->>|->|&&|\|\||[=<>!|&+\-*/%^~(),.;]")
_QUOTED = {
    "'": re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL),
    '"': re.compile(r'"((?:[^"\\]|""|\\.)*)"', re.DOTALL),
    "`": re.compile(r"`((?:[^`]|``)+)`", re.DOTALL),
}
_ESCAPES = {"0": "\x00", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


def malformed(token: Token, offset: int) -> RpcError:
    """The error of a token that cannot stand where it is; ``offset``: what the server has before the query."""
    near = f" near '{token.text}'" if token.text and token.kind not in (Kind.SYMBOL, Kind.END) else ""
    position = offset + token.end + 1
    return invalid_argument(f"invalid query: malformed SQL query: syntax error at position {position}{near}")


def tokens(text: str) -> list[Token]:
    """The tokens of a text; the last one is END, or BAD if the text goes on with something that is no token."""
    found: list[Token] = []
    place = _skip(text, 0)
    while place < len(text):
        token = _token(text, place)
        found.append(token)
        if token.kind is Kind.BAD:
            return found
        place = _skip(text, token.end)
    return [*found, Token(Kind.END, "", len(text), len(text))]


def _skip(text: str, place: int) -> int:
    space = _SPACE.match(text, place)
    return space.end() if space else place


def _token(text: str, place: int) -> Token:
    first = text[place]
    if first in _QUOTED:
        return _quoted(text, place)
    if name := _NAME.match(text, place):
        lower = name[0].lower()
        is_keyword = lower in KEYWORDS
        return Token(Kind.KEYWORD if is_keyword else Kind.NAME, lower if is_keyword else name[0], place, name.end())
    if number := _NUMBER.match(text, place):
        return _number(text, number)
    if other := _PLACE.match(text, place):
        return Token(Kind.OTHER, other[0] if other[0] != "?" else ":v1", place, other.end())
    if text.startswith("/*", place):  # it has no end
        return Token(Kind.BAD, text[place:], place, len(text))
    if symbol := _SYMBOL.match(text, place):
        return Token(Kind.SYMBOL, symbol[0], place, symbol.end())
    return Token(Kind.BAD, first, place, place + 1)


def _quoted(text: str, place: int) -> Token:
    quote = text[place]
    found = _QUOTED[quote].match(text, place)
    if found is None:
        return Token(Kind.BAD, text[place + 1 :], place, len(text))
    inside = found[1].replace(quote * 2, quote) if quote == "`" else _meant(found[1], quote)
    return Token(Kind.NAME if quote == "`" else Kind.STRING, inside, place, found.end())


def _meant(text: str, quote: str) -> str:
    """A string without its escapes."""
    pattern = re.compile(rf"\\(.)|{quote}{quote}", re.DOTALL)
    return pattern.sub(lambda found: _ESCAPES.get(found[1], found[1]) if found[1] is not None else quote, text)


def _number(text: str, found: re.Match[str]) -> Token:
    if _NAME.match(text, found.end()):  # 1a is neither a number nor a name
        return Token(Kind.BAD, found[0], found.start(), found.end())
    kind = Kind.OTHER if found["hex"] else Kind.FLOAT if found["float"] else Kind.INT
    return Token(kind, found[0], found.start(), found.end())
