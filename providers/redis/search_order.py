"""Orders of documents and the tokens of pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import Order

from .search_entries import LONGEST_TEXT, TEXT, sort_key
from .search_match import Fields
from .search_plan import Range

_TOKEN_VERSION = 1


class Found(NamedTuple):
    """A document that matches: its sort keys and id."""

    keys: tuple[bytes, ...]
    doc_id: str


class Sorting:
    """An order, and the place in it where a page begins."""

    def __init__(self, order: Sequence[Order], token: bytes = b"") -> None:
        self.order = tuple(order)
        self.after = self._read(token) if token else None

    def found(self, doc_id: str, fields: Fields) -> Found:
        """A document as it is sorted."""
        return Found(tuple(sort_key(fields.get(each.field)) for each in self.order), doc_id)

    def sort(self, documents: list[Found]) -> None:
        """By the order's fields, then by id."""
        documents.sort(key=lambda found: found.doc_id)
        for place in reversed(range(len(self.order))):
            documents.sort(key=lambda found: found.keys[place], reverse=self.order[place].descending)

    def is_on_page(self, found: Found) -> bool:
        """Whether it comes after where the page begins."""
        if self.after is None:
            return True
        for each, key, limit in zip(self.order, found.keys, self.after.keys, strict=True):
            if key != limit:
                return (key < limit) == each.descending
        return found.doc_id > self.after.doc_id

    def rest_of(self, span: Range) -> Range:
        """The part of a range of the first field (or of ids, without an order) in which the page is."""
        if self.after is None:
            return span
        if not self.order:
            return span._replace(low=b"(" + self.after.doc_id.encode())
        start = self.after.keys[0]
        if start[:1] == TEXT:
            # Entries hold the beginning of a text only.
            start = start[:LONGEST_TEXT].rstrip(b"\x00")
        if self.order[0].descending:
            return span._replace(high=b"[" + start + b"\xff")
        return span._replace(low=b"[" + start)

    def token(self, last: Found) -> bytes:
        """The token of the page that begins after a document."""
        shown = [key.hex() for key in last.keys]
        return json.dumps([_TOKEN_VERSION, self._signature, shown, last.doc_id], separators=(",", ":")).encode()

    @property
    def _signature(self) -> list[list[Any]]:
        return [[each.field, each.descending] for each in self.order]

    def _read(self, token: bytes) -> Found:
        try:
            version, signature, shown, doc_id = json.loads(token)
            keys = tuple(bytes.fromhex(key) for key in cast("list[str]", shown))
        except (ValueError, TypeError) as error:
            raise InvalidArgument("the page token is not one of this service") from error
        if (version, signature, len(keys)) != (_TOKEN_VERSION, self._signature, len(self.order)):
            raise InvalidArgument("the page token was not made for this order")
        return Found(keys, str(doc_id))
