"""Fields of a request by name and text, as they stand in paths and queries."""

from __future__ import annotations

import base64
import binascii
import re
import string
from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

_Field = FieldDescriptor
_INTEGERS = {
    _Field.CPPTYPE_INT32: ("Int", -(1 << 31), (1 << 31) - 1),
    _Field.CPPTYPE_INT64: ("Int", -(1 << 63), (1 << 63) - 1),
    _Field.CPPTYPE_UINT32: ("Uint", 0, (1 << 32) - 1),
    _Field.CPPTYPE_UINT64: ("Uint", 0, (1 << 64) - 1),
}
_FLOATS = (_Field.CPPTYPE_FLOAT, _Field.CPPTYPE_DOUBLE)
_TRUTH = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_INTEGER = re.compile(r"[+-]?[0-9]+")
_BASE64 = frozenset(string.ascii_letters + string.digits + "+/")
_ENTRY = re.compile(r"(.*)\[(.*)\]")


class BadParameter(ValueError):
    """A value that its field cannot have."""


def set_field(message: Message, path: str, values: list[str]) -> None:
    """Set the field of a path such as ``execution.run_id``; names may also be in camel case.

    A field that there is not is passed over. Raises `BadParameter`.
    """
    entry = _ENTRY.fullmatch(path)
    names = (entry[1] if entry else path).split(".")
    for name in names[:-1]:
        part = _field(message, name)
        if part is None or part.message_type is None or part.is_repeated:
            return
        message = getattr(message, part.name)
    field = _field(message, names[-1])
    if field is None:
        return
    try:
        _assign(message, field, values, entry[2] if entry else None)
    except BadParameter:
        raise
    except ValueError as error:
        raise BadParameter(f'parsing field "{field.name}": {error}') from error


def set_query(message: Message, query: Iterable[tuple[str, list[str]]], bound: Iterable[str]) -> None:
    """Set the fields of a query, but for those that the path has set. Raises `BadParameter`."""
    fixed = {_plain(each) for each in bound}
    for name, values in query:
        if _plain(name) not in fixed:
            set_field(message, name, values)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _field(message: Message, name: str) -> Any:
    fields = message.DESCRIPTOR.fields_by_name
    return fields.get(name) or message.DESCRIPTOR.fields_by_camelcase_name.get(name)


def _assign(message: Message, field: Any, values: list[str], key: str | None) -> None:
    target: Any = getattr(message, field.name)
    if field.is_repeated:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            if key is not None:
                _assign_entry(target, field, key, values)
        elif field.message_type is None:
            target.extend(_value(field, each) for each in values)
        else:
            for each in values:
                _parse(target.add(), each)
        return
    if len(values) > 1:
        raise BadParameter(f'too many values for field "{field.name}": {", ".join(values)}')
    if field.message_type is not None:
        target.SetInParent()
        _parse(target, values[0])
    else:
        setattr(message, field.name, _value(field, values[0]))


def _assign_entry(target: Any, field: Any, key: str, values: list[str]) -> None:
    entry = field.message_type.fields_by_name
    value = entry["value"]
    if value.message_type is not None:
        raise ValueError("a message cannot be given in a query")
    target[_value(entry["key"], key)] = _value(value, values[-1])


def _parse(message: Message, text: str) -> None:
    """A time, a duration, a mask or a wrapper: what is a text in JSON."""
    try:
        ParseDict(text, message)  # pyright: ignore[reportArgumentType]  # these messages are texts
    except (ParseError, TypeError, AttributeError) as error:
        raise ValueError(f"{text!r} is no {message.DESCRIPTOR.name}") from error


def _value(field: Any, text: str) -> Any:
    kind = field.cpp_type
    if kind in _INTEGERS:
        return _integer(text, *_INTEGERS[kind])
    if kind == _Field.CPPTYPE_BOOL:
        if text not in _TRUTH:
            raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
        return _TRUTH[text]
    if kind == _Field.CPPTYPE_ENUM:
        return _enum(field, text)
    if kind in _FLOATS:
        return float(text)
    return _bytes(text) if field.type == _Field.TYPE_BYTES else text


def _integer(text: str, name: str, least: int, most: int) -> int:
    # These are the words of the real server, which is written in Go.
    if not _INTEGER.fullmatch(text) or (name == "Uint" and text[0] in "+-"):
        raise ValueError(f'strconv.Parse{name}: parsing "{text}": invalid syntax')
    number = int(text)
    if not least <= number <= most:
        raise ValueError(f'strconv.Parse{name}: parsing "{text}": value out of range')
    return number


def _enum(field: Any, text: str) -> int:
    found = field.enum_type.values_by_name.get(text)
    if found is not None:
        return found.number
    if _INTEGER.fullmatch(text) and int(text) in field.enum_type.values_by_number:
        return int(text)
    raise ValueError(f'"{text}" is not a valid value')


def _bytes(text: str) -> bytes:
    coded = text.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(coded, validate=True)
    except binascii.Error as error:
        short = len(coded) // 4 * 4
        wrong = next((at for at, each in enumerate(coded.rstrip("=")) if each not in _BASE64), short)
        raise ValueError(f"illegal base64 data at input byte {wrong}") from error
