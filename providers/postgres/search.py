"""The search index: one table, system fields in indexed columns, the others in a JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import (
    All,
    Condition,
    Order,
    SearchDocument,
    SearchPage,
    SearchService,
    SearchValue,
)
from hotmesh_temporal.contracts.types import Transaction

from .base import Service
from .commit import commit_call
from .database import Command, nothing
from .documents import COLUMNS, SELECTED, document_arguments, document_of
from .driver import Placeholders
from .search_order import decode_token, encode_token, sort_keys
from .search_where import where
from .transaction import run_or_queue

_FROM = "FROM hotmesh.documents WHERE app = $1 AND namespace = $2 AND hotmesh.live(expires_at)"


class PostgresSearch(Service, SearchService):
    """See `SearchService`."""

    async def upsert(self, documents: Sequence[SearchDocument], transaction: Transaction | None = None) -> None:
        # The same call as in a commit, with nothing but documents.
        statement, values = commit_call({"p_app": self._db.app, **document_arguments(documents)})
        command = Command(statement, tuple(values), nothing, repeatable=True)
        await run_or_queue(self._db, transaction, command, None)

    async def delete(self, doc_ids: Sequence[str], transaction: Transaction | None = None) -> int:
        sql = "DELETE FROM hotmesh.documents WHERE app = $1 AND doc_id = ANY ($2) RETURNING hotmesh.live(expires_at)"
        return await self._write(
            sql,
            list(doc_ids),
            transaction=transaction,
            placeholder=0,
            decode=lambda rows: sum(1 for row in rows if row[0]),
        )

    async def get(self, doc_id: str) -> SearchDocument | None:
        sql = f"SELECT {SELECTED} FROM hotmesh.documents WHERE app = $1 AND doc_id = $2 AND hotmesh.live(expires_at)"
        rows = await self._db.read(sql, self._db.app, doc_id)
        return document_of(rows[0]) if rows else None

    async def query(
        self,
        namespace: str,
        condition: Condition = All(),  # noqa: B008  a frozen value, safe to share
        *,
        order: Sequence[Order] = (Order("StartTime"),),
        page_size: int = 1000,
        page_token: bytes = b"",
    ) -> SearchPage:
        if page_size < 1:
            raise InvalidArgument(f"page size {page_size} must be at least 1")
        values = Placeholders([self._db.app, namespace])
        keys = sort_keys(order, values)
        parts = [where(condition, values), *decode_token(page_token, order, keys, values)]
        selected = ", ".join([SELECTED, *(f"{key.expression} AS key_{n}" for n, key in enumerate(keys))])
        order_by = ", ".join([*(key.order_by for key in keys), "doc_id"])
        limit = values.add(page_size + 1)
        sql = f"SELECT {selected} {_FROM} AND {' AND '.join(parts)} ORDER BY {order_by} LIMIT {limit}"
        rows = await self._db.read(sql, *values.args)
        token = b"" if len(rows) <= page_size else encode_token(rows[page_size - 1], order, len(keys))
        return SearchPage(tuple(document_of(row) for row in rows[:page_size]), token)

    async def count(
        self,
        namespace: str,
        condition: Condition = All(),  # noqa: B008  a frozen value, safe to share
        *,
        group_by: str | None = None,
    ) -> Mapping[SearchValue | None, int]:
        values = Placeholders([self._db.app, namespace])
        condition_sql = where(condition, values)
        if group_by is None:
            rows = await self._db.read(f"SELECT count(*) {_FROM} AND {condition_sql}", *values.args)
            return {None: rows[0][0]}
        expression = COLUMNS.get(group_by) or f"fields -> {values.add(group_by)}::text"
        sql = f"SELECT {expression}, count(*) {_FROM} AND {condition_sql} GROUP BY 1"
        rows = await self._db.read(sql, *values.args)
        return {_group(row[0], is_json=group_by not in COLUMNS): row[1] for row in rows}


def _group(value: Any, *, is_json: bool) -> Any:
    """The value of a group, as something that can be a key."""
    if not is_json or value is None:
        return value
    parsed: Any = json.loads(value)
    return tuple(cast("list[Any]", parsed)) if isinstance(parsed, list) else parsed
