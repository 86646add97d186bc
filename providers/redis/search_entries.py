"""Entries of the search index: values as bytes whose order is the order of the values.

An entry is a value, typed, followed by the id of the document. Numbers come before texts before truth values before
the mark of an absent value, so a range never mixes them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import SearchDocument, SearchValue

from .database import blob

NUMBER, TEXT, TRUTH, ABSENT = b"\x10", b"\x20", b"\x30", b"\x40"

SORTED_FIELDS = ("StartTime", "CloseTime")
"""Fields that every document has an entry of, if only to say that it has no value: lists are ordered by them."""

UNINDEXED = frozenset({"ExecutionDuration", "HistoryLength", "HistorySizeBytes", "StateTransitionCount"})
"""Fields that are rarely asked for alone and change with every run: found by looking at the documents."""

SINGLE_VALUED = frozenset(
    {*SORTED_FIELDS, "ExecutionStatus", "ExecutionTime", "RunId", "TaskQueue", "WorkflowId", "WorkflowType"}
)
"""Fields that never hold a list."""

LONGEST_TEXT = 256
"""Bytes of a text that stand in its entry; the rest is compared in the document."""

_SIGN = 1 << 63
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, Any])


def encode_number(number: float) -> bytes:
    """16 bytes: the nearest float, and how far an integer is away from it."""
    try:
        nearest = float(number)
    except OverflowError as error:
        raise InvalidArgument(f"{number} is too large to be searched for") from error
    if math.isnan(nearest):
        raise InvalidArgument("a search field cannot be NaN")
    (bits,) = struct.unpack(">Q", struct.pack(">d", nearest + 0.0))
    ordered = bits ^ (0xFFFFFFFFFFFFFFFF if bits & _SIGN else _SIGN)
    rest = int(number) - int(nearest) if isinstance(number, int) else 0
    return NUMBER + struct.pack(">QQ", ordered, rest + _SIGN)


def _escaped(text: str) -> bytes:
    # A zero byte inside is followed by 0xff, the one at the end by the id, in which 0xff cannot be.
    stored = text.encode().replace(b"\x00", b"\x00\xff")
    if len(stored) <= LONGEST_TEXT:
        return stored
    cut = stored[:LONGEST_TEXT]
    return cut[:-1] if cut.endswith(b"\x00") else cut


def may_be_cut(text: str) -> bool:
    """Whether entries of other texts may begin with all that entries of this one hold."""
    return len(text.encode().replace(b"\x00", b"\x00\xff")) >= LONGEST_TEXT - 1


def encode_value(value: Any) -> bytes:
    """The part of an entry before the id."""
    if isinstance(value, bool):
        return TRUTH + (b"\x01" if value else b"\x00")
    if isinstance(value, str):
        return encode_prefix(value) + b"\x00"
    return encode_number(value)


def encode_prefix(text: str) -> bytes:
    """What entries of texts with this beginning begin with."""
    return TEXT + _escaped(text)


def sort_key(value: Any) -> bytes:
    """As `encode_value`, but of a whole text; of a list the first element; of nothing the mark of an absent value."""
    if isinstance(value, str):
        return TEXT + value.encode().replace(b"\x00", b"\x00\xff") + b"\x00"
    elements = _elements(value) if value is not None else ()
    if not elements:
        return ABSENT
    return encode_value(elements[0]) if elements[0] is value else sort_key(elements[0])


def id_of(entry: bytes) -> str:
    """The document of an entry."""
    kind = entry[:1]
    if kind == NUMBER:
        return entry[17:].decode()
    if kind == TRUTH:
        return entry[2:].decode()
    if kind == ABSENT:
        return entry[1:].decode()
    end = entry.index(b"\x00")
    while entry[end + 1 : end + 2] == b"\xff":
        end = entry.index(b"\x00", end + 1)
    return entry[end + 1 :].decode()


def value_part(entry: bytes) -> bytes:
    """What stands before the id."""
    return entry[: len(entry) - len(id_of(entry).encode())]


def decode_value(part: bytes) -> SearchValue | None:
    """The value of what `value_part` gives (a text may be cut); None for the mark of an absent one."""
    kind = part[:1]
    if kind == ABSENT:
        return None
    if kind == TRUTH:
        return part[1:] == b"\x01"
    if kind == TEXT:
        return part[1:-1].replace(b"\x00\xff", b"\x00").decode(errors="ignore")
    ordered, rest = struct.unpack(">QQ", part[1:])
    bits = ordered ^ (_SIGN if ordered & _SIGN else 0xFFFFFFFFFFFFFFFF)
    (nearest,) = struct.unpack(">d", struct.pack(">Q", bits))
    return int(nearest) + rest - _SIGN if nearest.is_integer() else nearest


def entries_of(document: SearchDocument) -> list[Any]:
    """The entries of a document: a flat list of field, entry."""
    doc_id, found = document.doc_id.encode(), list[Any]()
    for name, value in document.fields.items():
        if name not in UNINDEXED:
            for element in dict.fromkeys(_elements(value)):
                found += (name, blob(encode_value(element) + doc_id))
    for name in SORTED_FIELDS:
        if name not in document.fields:
            found += (name, blob(ABSENT + doc_id))
    return found


def _elements(value: SearchValue) -> Sequence[Any]:
    return [value] if isinstance(value, (str, int, float)) else value


def document_arguments(document: SearchDocument) -> tuple[Any, ...]:
    """A document as the scripts take it."""
    fields = {name: _stored(value) for name, value in document.fields.items()}
    try:
        packed = _encoder.encode(fields)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgument(f"search document {document.doc_id!r} cannot be stored: {error}") from error
    return document.doc_id, document.namespace, blob(packed), blob(document.data), entries_of(document)


def _stored(value: SearchValue) -> Any:
    return value if isinstance(value, (str, int, float)) else list(value)


def read_fields(packed: bytes) -> Mapping[str, SearchValue]:
    """The fields of a stored document."""
    return _decoder.decode(packed)
