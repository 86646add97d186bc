"""SearchService on SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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

from .clock import now_ms
from .database import Session
from .search_index import (
    ABSENT,
    BOOLEAN,
    COLUMNS,
    DOCUMENT_COLUMNS,
    build_documents,
    delete_documents,
    find_space,
    write_document,
)
from .search_sql import Sorting, Sql, after_token, condition_sql, make_token, sorting_sql
from .service import Service

_VISIBLE = "d.space = ? AND (d.expires_at IS NULL OR d.expires_at > ?)"

_GET = f"""
SELECT {DOCUMENT_COLUMNS}, s.namespace FROM hm_search_documents d JOIN hm_search_spaces s ON s.space = d.space
WHERE d.scope = ? AND d.doc_id = ? AND (d.expires_at IS NULL OR d.expires_at > ?)
"""


class SqliteSearch(Service, SearchService):
    """The index of one app. Documents of expired jobs are not seen."""

    async def upsert(self, documents: Sequence[SearchDocument], transaction: Transaction | None = None) -> None:
        """See the contract."""
        scope, documents = self._scope, tuple(documents)

        def work(session: Session) -> None:
            for document in documents:
                write_document(session, scope, document)

        await self._run(work, transaction, None)

    async def delete(self, doc_ids: Sequence[str], transaction: Transaction | None = None) -> int:
        """See the contract."""
        scope, wanted = self._scope, tuple(doc_ids)
        return await self._run(lambda session: delete_documents(session, scope, wanted), transaction, 0)

    async def get(self, doc_id: str) -> SearchDocument | None:
        """See the contract."""
        scope = self._scope
        return await self._database.scan(lambda session: _get(session, scope, doc_id))

    async def query(
        self,
        namespace: str,
        condition: Condition = All(),  # noqa: B008  frozen value, safe to share
        *,
        order: Sequence[Order] = (Order("StartTime"),),
        page_size: int = 1000,
        page_token: bytes = b"",
    ) -> SearchPage:
        """See the contract."""
        if page_size < 1:
            raise InvalidArgument("page_size must be at least 1")
        scope, where, sorting = self._scope, condition_sql(condition), sorting_sql(order)
        after = after_token(sorting, page_token) if page_token else Sql("1")
        return await self._database.scan(
            lambda session: _query(session, scope, namespace, where, sorting, after, page_size)
        )

    async def count(
        self,
        namespace: str,
        condition: Condition = All(),  # noqa: B008  frozen value, safe to share
        *,
        group_by: str | None = None,
    ) -> Mapping[SearchValue | None, int]:
        """See the contract. A document with a list counts for each of its elements."""
        scope, where = self._scope, condition_sql(condition)
        return await self._database.scan(lambda session: _count(session, scope, namespace, where, group_by))


def _get(session: Session, scope: int, doc_id: str) -> SearchDocument | None:
    row = session.execute(_GET, (scope, doc_id, now_ms())).fetchone()
    return None if row is None else build_documents(session, [row[:-1]], [row[-1]])[0]


def _query(
    session: Session, scope: int, namespace: str, where: Sql, sorting: Sorting, after: Sql, page_size: int
) -> SearchPage:
    space = find_space(session, scope, namespace)
    keys = "".join(f", {key.text} AS k{number}" for number, key in enumerate(sorting.keys))
    statement = f"""
        SELECT {DOCUMENT_COLUMNS}{keys} FROM hm_search_documents d
        WHERE {_VISIBLE} AND {where.text} AND {after.text} ORDER BY {sorting.order_by} LIMIT ?
    """
    key_parameters = [parameter for key in sorting.keys for parameter in key.parameters]
    parameters = [*key_parameters, space, now_ms(), *where.parameters, *after.parameters, page_size + 1]
    rows = session.execute(statement, parameters).fetchall()
    page = rows[:page_size]
    documents = build_documents(session, page, [namespace] * len(page))
    return SearchPage(tuple(documents), _next_token(sorting, rows, page_size))


def _next_token(sorting: Sorting, rows: list[tuple[Any, ...]], page_size: int) -> bytes:
    if len(rows) <= page_size:
        return b""
    last = rows[page_size - 1]
    values = last[len(last) - len(sorting.keys) :]
    return make_token(sorting, values, last[1])


def _count(
    session: Session, scope: int, namespace: str, where: Sql, group_by: str | None
) -> dict[SearchValue | None, int]:
    parameters: list[Any] = [find_space(session, scope, namespace), now_ms(), *where.parameters]
    condition = f"{_VISIBLE} AND {where.text}"
    if group_by is None:
        statement = f"SELECT count(*) FROM hm_search_documents d WHERE {condition}"
        return {None: session.execute(statement, parameters).fetchone()[0]}
    source, value, kind = _group_source(group_by)
    if group_by not in COLUMNS:
        parameters.insert(0, group_by)
    statement = f"""
        SELECT {value}, {kind}, count(*) FROM hm_search_documents d {source} WHERE {condition} GROUP BY 1, 2
    """
    return {_group_value(value, kind): count for value, kind, count in session.execute(statement, parameters)}


def _group_source(name: str) -> tuple[str, str, str]:
    """JOIN, value and kind of a field to group by."""
    column = COLUMNS.get(name)
    if column is not None:
        return "", f"d.{column}", "NULL"
    return "LEFT JOIN hm_search_fields f ON f.doc_key = d.doc_key AND f.field = ?", "f.value", "f.kind"


def _group_value(value: Any, kind: str | None) -> SearchValue | None:
    if value is None or value == ABSENT:
        return None
    return bool(value) if kind == BOOLEAN else value
