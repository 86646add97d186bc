"""Payloads that stand for nothing: in a memo, or among search attributes, they take an entry away."""

from __future__ import annotations

from collections.abc import MutableMapping

from temporalio.api.common.v1 import Memo, Payload, SearchAttributes

_NOTHING = (b"", b"null", b"[]")


def is_null(payload: Payload) -> bool:
    """By its data alone, whatever the encoding says; so does the server."""
    return payload.data in _NOTHING


def merge(fields: MutableMapping[str, Payload], key: str, value: Payload) -> None:
    """Set an entry, or take it away."""
    if is_null(value):
        fields.pop(key, None)
    else:
        fields[key].CopyFrom(value)  # a protobuf map makes the entry


def memo_without_nulls(given: Memo) -> Memo | None:
    """What of it a new run gets; None for nothing."""
    kept = {key: value for key, value in given.fields.items() if not is_null(value)}
    return Memo(fields=kept) if kept else None


def attributes_without_nulls(given: SearchAttributes) -> SearchAttributes | None:
    """What of them a new run gets; None for nothing."""
    kept = {key: value for key, value in given.indexed_fields.items() if not is_null(value)}
    return SearchAttributes(indexed_fields=kept) if kept else None
