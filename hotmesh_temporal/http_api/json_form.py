"""Messages as JSON, with Temporal's short form of payloads: ``[1, "two"]`` for two payloads of JSON.

In the short form a payload of encoding ``json/plain`` is its JSON, one of ``json/protobuf`` its object with
``_protoMessageType`` beside the fields; any other has the long form, ``{"metadata": …, "data": …}`` in base64.
"""

from __future__ import annotations

import base64
import json
import re
from functools import cache
from typing import Any, cast

import msgspec
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload

_PAYLOAD, _PAYLOADS = "temporal.api.common.v1.Payload", "temporal.api.common.v1.Payloads"
_KINDS = {_PAYLOAD, _PAYLOADS}
_UNKNOWN = re.compile(r'has no field named "([^"]*)"')
_TYPE_KEY = "_protoMessageType"
_Raw = msgspec.Raw


class BadBody(ValueError):
    """A body that is no JSON, or not that of the request."""


def to_json(message: Message, *, short: bool) -> Any:
    """A message as JSON values. Fields with their default are left out, as the real server does."""
    document = MessageToDict(message)
    if short:
        _shorten(message, document)
    return document


def from_json(content: bytes, message: Message, *, short: bool) -> None:
    """Set a message to what a body says. Raises `BadBody`."""
    try:
        first = _first_value(content)
        document = _lengthened(message.DESCRIPTOR, _Raw(first)) if short else msgspec.json.decode(first)
        if not isinstance(document, dict):
            raise BadBody("the body has to be a JSON object")
        ParseDict(cast("dict[str, Any]", document), message)
    except ParseError as error:
        unknown = _UNKNOWN.search(str(error))
        raise BadBody(f'unknown field "{unknown[1]}"' if unknown else str(error)) from error
    except (UnicodeDecodeError, msgspec.DecodeError, TypeError, AttributeError) as error:
        raise BadBody(str(error)) from error


def _first_value(content: bytes) -> bytes:
    """A body up to the end of its first value; what follows is not looked at, as on the real server."""
    text = content.decode().strip()
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return content  # what is wrong with it is said by whoever reads it
    return text[:end].encode()


# -- to the short form ----------------------------------------------------------------------------------------------


def _shorten(message: Message, document: dict[str, Any]) -> None:
    ways = _ways(message.DESCRIPTOR)
    for field, value in message.ListFields() if ways else ():
        if field.name not in ways:
            continue
        key = field.json_name
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            for name in value:
                inner = document[key]
                text = str(name).lower() if isinstance(name, bool) else str(name)
                inner[text] = _short(value[name], inner[text])
        elif field.is_repeated:
            document[key] = [_short(*each) for each in zip(value, document[key], strict=True)]
        else:
            document[key] = _short(value, document[key])


def _short(message: Message, document: Any) -> Any:
    name = message.DESCRIPTOR.full_name
    if name == _PAYLOAD:
        return _short_payload(cast(Payload, message), document)
    if name == _PAYLOADS:
        payloads = cast(Any, message).payloads
        listed = [_short_payload(*each) for each in zip(payloads, document.get("payloads", []), strict=True)]
        # Payloads of the user's own encodings keep the long form of the list around them.
        return listed if all(map(_is_plain, payloads)) else {"payloads": listed}
    _shorten(message, document)
    return document


def _is_plain(payload: Payload) -> bool:
    """Whether a payload is of an encoding that the short form knows."""
    encoding, size = payload.metadata.get("encoding"), len(payload.metadata)
    if encoding == b"json/protobuf":
        return bool(payload.metadata.get("messageType")) and size == 2
    return encoding == b"binary/null" or (encoding == b"json/plain" and size == 1)


def _short_payload(payload: Payload, document: Any) -> Any:
    if not payload.data or not _is_plain(payload):
        return document
    kind = payload.metadata.get("messageType")
    try:
        content = json.loads(payload.data)
        if not kind:
            return content
        if isinstance(content, dict):
            return {**cast("dict[str, Any]", content), _TYPE_KEY: kind.decode()}
    except ValueError:
        pass  # what says that it is JSON and is not stays as it is
    return document


# -- from the short form --------------------------------------------------------------------------------------------


def _lengthened(kind: Any, raw: msgspec.Raw) -> Any:
    """The JSON of a message with all its payloads in the long form. Theirs is kept as it was written."""
    if kind.full_name == _PAYLOAD:
        return _long_payload(raw)
    if kind.full_name == _PAYLOADS and bytes(raw).lstrip()[:1] == b"[":
        return {"payloads": [_long_payload(each) for each in msgspec.json.decode(raw, type=list[_Raw])]}
    ways = _ways(kind) if kind.full_name != _PAYLOADS else frozenset({"payloads"})
    if not ways or bytes(raw).lstrip()[:1] != b"{":
        return msgspec.json.decode(raw)
    document: dict[str, Any] = {}
    for name, value in msgspec.json.decode(raw, type=dict[str, _Raw]).items():
        field: Any = kind.fields_by_name.get(name) or kind.fields_by_camelcase_name.get(name)
        leads = field is not None and field.name in ways and (bytes(value) != b"null" or _is_payload(field))
        document[name] = _long_field(field, value) if leads else msgspec.json.decode(value)
    return document


def _is_payload(field: Any) -> bool:
    return field.message_type.full_name == _PAYLOAD and not field.is_repeated


def _long_field(field: Any, raw: msgspec.Raw) -> Any:
    kind = field.message_type
    if kind.GetOptions().map_entry:
        inner = kind.fields_by_name["value"].message_type
        return {name: _lengthened(inner, each) for name, each in msgspec.json.decode(raw, type=dict[str, _Raw]).items()}
    if field.is_repeated:
        return [_lengthened(kind, each) for each in msgspec.json.decode(raw, type=list[_Raw])]
    return _lengthened(kind, raw)


def _long_payload(raw: msgspec.Raw) -> Any:
    text = bytes(raw)
    value = msgspec.json.decode(text)
    if _is_long(value):
        return value
    if value is None:
        return _payload({"encoding": b"binary/null"}, b"")
    kind: Any = cast("dict[str, Any]", value).pop(_TYPE_KEY, "") if isinstance(value, dict) else ""
    if kind and isinstance(kind, str):
        return _payload({"encoding": b"json/protobuf", "messageType": kind.encode()}, msgspec.json.encode(value))
    return _payload({"encoding": b"json/plain"}, text)


def _is_long(value: Any) -> bool:
    """Whether it is a payload as it is: with metadata, and with data unless it is the null."""
    if not isinstance(value, dict):
        return False
    try:
        payload = ParseDict(cast("dict[str, Any]", value), Payload())
    except ParseError:
        return False
    return bool(payload.metadata) and (bool(payload.data) or payload.metadata.get("encoding") == b"binary/null")


def _payload(metadata: dict[str, bytes], data: bytes) -> dict[str, Any]:
    coded = {name: base64.b64encode(each).decode() for name, each in metadata.items()}
    return {"metadata": coded, "data": base64.b64encode(data).decode()}


@cache
def _ways(kind: Descriptor) -> frozenset[str]:
    """The fields of a message through which a payload can be reached."""
    if kind.full_name in _KINDS:
        return frozenset()
    parts = ((each.name, each.message_type) for each in kind.fields)
    return frozenset(name for name, part in parts if part is not None and _leads(part, frozenset()))


def _leads(kind: Descriptor, above: frozenset[str]) -> bool:
    if kind.full_name in _KINDS:
        return True
    if kind.full_name in above or kind.full_name.startswith("google."):
        return False
    inside = above | {kind.full_name}
    return any(each.message_type is not None and _leads(each.message_type, inside) for each in kind.fields)
