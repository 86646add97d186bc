"""Values of search attributes: from their payloads, and as text in the server's error messages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from temporalio.api.common.v1 import Payload

TEXT, KEYWORD, INT, DOUBLE, BOOL, DATETIME, KEYWORD_LIST = range(1, 8)
"""Values of ``temporal.api.enums.v1.IndexedValueType``."""

KIND_NAMES: Mapping[int, str] = {
    TEXT: "Text",
    KEYWORD: "Keyword",
    INT: "Int",
    DOUBLE: "Double",
    BOOL: "Bool",
    DATETIME: "Datetime",
    KEYWORD_LIST: "KeywordList",
}
"""Types as they are named in the metadata of payloads and in messages."""

AttributeValue = str | int | float | bool | list[str]
"""The value of a payload; a time is its text."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)")
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class InvalidValue(ValueError):
    """The payload is no value of that type. ``text``: the value as the server writes it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def value_of(payload: Payload, kind: int) -> AttributeValue | None:
    """The value of a payload that is to be of this type; None if it is null.

    A list of one value stands for the value. Raises `InvalidValue`.
    """
    if payload.metadata.get("encoding") == b"binary/null":
        return None
    value = _decoded(payload)
    if value is None or value == []:
        return None
    if kind == KEYWORD_LIST:
        return _keywords(value)
    elements: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
    if len(elements) != 1 or not _fits(elements[0], kind):
        raise InvalidValue(written(value))
    return elements[0]


def _keywords(value: Any) -> list[str]:
    elements: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [0]
    if not all(isinstance(each, str) or each is None for each in elements):
        raise InvalidValue(written(value))
    return [str(each or "") for each in elements]


def _fits(value: Any, kind: int) -> bool:
    if isinstance(value, bool):
        return kind == BOOL
    if isinstance(value, str):
        return kind in (TEXT, KEYWORD) or (kind == DATETIME and _is_time(value))
    if isinstance(value, int):
        return kind == DOUBLE or (kind == INT and -(2**63) <= value < 2**63)
    return isinstance(value, float) and kind == DOUBLE


def _is_time(text: str) -> bool:
    try:
        return bool(_TIME.fullmatch(text)) and bool(parse_time(text))
    except ValueError:
        return False


def parse_time(text: str) -> datetime:
    """The time of an RFC 3339 text. What is finer than a microsecond is dropped. Raises ``ValueError``."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"no time: {text}")
    short = re.sub(r"[.,](\d{1,6})\d*", lambda found: "." + found[1].ljust(6, "0"), text)
    return datetime.fromisoformat(short.replace("Z", "+00:00"))


def _decoded(payload: Payload) -> Any:
    encoding = payload.metadata.get("encoding")
    if encoding == b"binary/plain":
        raise InvalidValue(f"[{' '.join(str(byte) for byte in payload.data)}]")
    if encoding != b"json/plain":
        raise InvalidValue(_unreadable(payload))
    try:
        return json.loads(payload.data, parse_constant=_no_constant)
    except ValueError as error:
        raise InvalidValue(_unreadable(payload)) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unreadable(payload: Payload) -> str:
    parts = [
        f'metadata:{{key:"{key}"  value:{_quoted(payload.metadata[key])}}}' for key in sorted(payload.metadata.keys())
    ]
    if payload.data:
        parts.append(f"data:{_quoted(payload.data)}")
    return f"value from <{'  '.join(parts)}>"


def _quoted(data: bytes) -> str:
    text = data.decode("utf-8", "backslashreplace").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\n", "\\n").replace("\t", "\\t") + '"'


def written(value: Any) -> str:
    """A JSON value as Go's ``%v`` writes it: that is how it stands in the server's messages."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _written_number(float(value))
    if isinstance(value, list):
        return f"[{' '.join(written(each) for each in cast('list[Any]', value))}]"
    if isinstance(value, dict):
        items = sorted(cast("dict[str, Any]", value).items())
        return f"map[{' '.join(f'{key}:{written(each)}' for key, each in items)}]"
    return str(value)


def _written_number(value: float) -> str:
    """The shortest text that reads back the same; a million and more with an exponent."""
    mantissa, exponent = _shortest(value)
    if -4 <= exponent < 6:
        fixed = f"{value:.{max(len(mantissa.replace('-', '').replace('.', '')) - 1 - exponent, 0)}f}"
        return fixed
    return f"{mantissa}e{exponent:+03d}"


def _shortest(value: float) -> tuple[str, int]:
    """Mantissa with one digit before the point, and exponent."""
    digits = max(len(repr(value).split("e")[0].replace("-", "").replace(".", "").strip("0")) - 1, 0)
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return mantissa, int(exponent)


def encoded(value: AttributeValue, kind: int) -> Payload:
    """The payload that lists answer with."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    for special, escape in _ESCAPES.items():
        text = text.replace(special, escape)
    return Payload(metadata={"encoding": b"json/plain", "type": KIND_NAMES[kind].encode()}, data=text.encode())


def _plain(value: AttributeValue) -> AttributeValue:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    return value
