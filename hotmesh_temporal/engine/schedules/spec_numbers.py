"""Numbers and durations as Go reads them (and says that it cannot): `strconv.Atoi`, `time.ParseDuration`."""

from __future__ import annotations

import re

from google.protobuf.duration_pb2 import Duration

from ..context import SECOND

NUMBER = re.compile(r"[+-]?[0-9]+")

_LARGEST = 2**63 - 1
_DAYS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)d", re.ASCII)
_TERM = re.compile(r"([0-9]*)(\.[0-9]*)?([^.0-9]*)", re.DOTALL)
_UNITS = {
    "ns": 1,
    "us": 1000,
    "\xb5s": 1000,
    "\u03bcs": 1000,
    "ms": SECOND // 1000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_ESCAPES = {"\a": "a", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v", "\\": "\\", '"': '"'}


class TextError(ValueError):
    """The text means nothing. The message is the server's."""


def integer(text: str) -> int:
    """A number of 64 bits. Raises `TextError`."""
    problem = "invalid syntax"
    if NUMBER.fullmatch(text):
        value = int(text[:40])  # longer ones are out of range just the same
        if -_LARGEST - 1 <= value <= _LARGEST:
            return value
        problem = "value out of range"
    raise TextError(f"strconv.Atoi: parsing {_quoted(text)}: {problem}")


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(each) for each in text) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return "\\" + _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def duration(text: str) -> Duration:
    """A duration like ``1h30m``; ``d`` is 24 hours. Raises `TextError`."""
    text = _DAYS.sub(lambda found: f"{24 * float(found[1]):f}h", text)
    negative, rest = text.startswith("-"), text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return Duration()
    if not rest:
        raise TextError(f"time: invalid duration {_bare(text)}")
    total = 0
    while rest:
        term = _TERM.match(rest)
        assert term  # the pattern matches anything
        total += _term(term, text)
        if total > _LARGEST + negative:
            raise TextError(f"time: invalid duration {_bare(text)}")
        rest = rest[term.end() :]
    seconds, nanos = divmod(total, SECOND)
    return Duration(seconds=-seconds, nanos=-nanos) if negative else Duration(seconds=seconds, nanos=nanos)


def _term(term: re.Match[str], text: str) -> int:
    """Nanoseconds of a number with its unit."""
    digits, fraction, unit = term[1], term[2] or "", term[3]
    if not digits and len(fraction) < 2:
        raise TextError(f"time: invalid duration {_bare(text)}")
    if not unit:
        raise TextError(f"time: missing unit in duration {_bare(text)}")
    if unit not in _UNITS:
        raise TextError(f"time: unknown unit {_bare(unit)} in duration {_bare(text)}")
    value = int(digits[-40:] or "0") * _UNITS[unit]
    if len(fraction) > 1:
        value += int(int(fraction[1:19]) * (_UNITS[unit] / 10 ** len(fraction[1:19])))
    return value


def _bare(text: str) -> str:
    """In quotes, as the durations of Go quote: what is not printable ASCII is written as bytes."""
    return '"' + "".join(map(_byte, text.encode("utf-8", "surrogatepass"))) + '"'


def _byte(code: int) -> str:
    if chr(code) in '"\\':
        return "\\" + chr(code)
    return chr(code) if 0x20 <= code < 0x80 else f"\\x{code:02x}"
