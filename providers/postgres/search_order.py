"""Sort keys and page tokens. A page continues behind the keys of the last document, so writes do not shift pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import Order

from .documents import NUMBER_COLUMNS, TEXT_COLUMNS
from .driver import Placeholders, Row


@dataclass(frozen=True, slots=True)
class SortKey:
    """An expression to sort by; absent values come first when descending, else last, as Postgres does by itself."""

    expression: str
    type: str
    descending: bool

    @property
    def order_by(self) -> str:
        """The item of ORDER BY."""
        return f"{self.expression} {'DESC' if self.descending else 'ASC'}"

    def after(self, value: Any, values: Placeholders) -> str:
        """True for rows behind one with this value."""
        if value is None:
            return f"{self.expression} IS NOT NULL" if self.descending else "false"
        bound = f"{values.add(value)}::{self.type}"
        if self.descending:
            return f"{self.expression} < {bound}"
        return f"({self.expression} > {bound} OR {self.expression} IS NULL)"

    def same(self, value: Any, values: Placeholders) -> str:
        """True for rows with this value."""
        if value is None:
            return f"{self.expression} IS NULL"
        return f"{self.expression} = {values.add(value)}::{self.type}"


def sort_keys(order: Sequence[Order], values: Placeholders) -> list[SortKey]:
    """The expressions of an order. A field without a column may hold numbers or texts: one expression for each."""
    keys: list[SortKey] = []
    for item in order:
        if item.field in TEXT_COLUMNS:
            keys.append(SortKey(TEXT_COLUMNS[item.field], "text", item.descending))
        elif item.field in NUMBER_COLUMNS:
            keys.append(SortKey(NUMBER_COLUMNS[item.field], "bigint", item.descending))
        else:
            keys.extend(_json_keys(item, values))
    return keys


def _json_keys(item: Order, values: Placeholders) -> list[SortKey]:
    name = f"{values.add(item.field)}::text"
    kind, text = f"jsonb_typeof(fields -> {name})", f"(fields ->> {name})"
    number = (
        f"(CASE {kind} WHEN 'number' THEN {text}::numeric WHEN 'boolean' THEN {text}::boolean::integer::numeric END)"
    )
    string = f"(CASE {kind} WHEN 'string' THEN {text} COLLATE \"C\" END)"
    return [SortKey(number, "numeric", item.descending), SortKey(string, "text", item.descending)]


def encode_token(row: Row, order: Sequence[Order], count: int) -> bytes:
    """The token of the page behind ``row``."""
    keys = [row[f"key_{n}"] for n in range(count)]
    plain = [str(key) if isinstance(key, Decimal) else key for key in keys]
    return json.dumps([_signature(order), plain, row["doc_id"]]).encode()


def decode_token(token: bytes, order: Sequence[Order], keys: Sequence[SortKey], values: Placeholders) -> list[str]:
    """Conditions that continue behind the token's row; none for the first page. Raises `InvalidArgument`."""
    if not token:
        return []
    try:
        signature, plain, doc_id = json.loads(token)
        if signature != _signature(order) or len(plain) != len(keys) or not isinstance(doc_id, str):
            raise ValueError("made for another order")
        last = [_typed(value, key) for value, key in zip(plain, keys, strict=True)]
    except (ValueError, TypeError, InvalidOperation) as error:
        raise InvalidArgument(f"the page token was not made by this query: {error}") from error
    return _behind(keys, last, doc_id, values)


def _behind(keys: Sequence[SortKey], last: Sequence[Any], doc_id: str, values: Placeholders) -> list[str]:
    condition = f"doc_id > {values.add(doc_id)}::text"
    for key, value in zip(reversed(keys), reversed(last), strict=True):
        condition = f"({key.after(value, values)} OR ({key.same(value, values)} AND {condition}))"
    if keys and keys[0].descending and last[0] is not None:
        # Implied, but in a form by which an index finds its place.
        return [f"{keys[0].expression} <= {values.add(last[0])}::{keys[0].type}", condition]
    return [condition]


def _typed(value: Any, key: SortKey) -> Any:
    if value is None:
        return None
    if key.type == "numeric":
        return Decimal(value)
    if not isinstance(value, str if key.type == "text" else int):
        raise ValueError("a value has the wrong type")
    return value


def _signature(order: Sequence[Order]) -> list[list[Any]]:
    return [[item.field, item.descending] for item in order]
