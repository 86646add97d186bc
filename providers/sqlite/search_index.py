"""Rows of the search index: how a document is written and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import SearchDocument, SearchValue

from .database import Session
from .jobs import delete_document

COLUMNS: dict[str, str] = {
    "WorkflowId": "workflow_id",
    "RunId": "run_id",
    "WorkflowType": "workflow_type",
    "ExecutionStatus": "status",
    "TaskQueue": "task_queue",
    "StartTime": "start_time",
    "CloseTime": "close_time",
    "ExecutionTime": "execution_time",
    "ExecutionDuration": "execution_duration",
    "HistoryLength": "history_length",
    "HistorySizeBytes": "history_size",
    "StateTransitionCount": "transitions",
    "ParentWorkflowId": "parent_workflow_id",
    "ParentRunId": "parent_run_id",
    "RootWorkflowId": "root_workflow_id",
    "RootRunId": "root_run_id",
}
"""Fields with a column of their own; they hold one text or number. Every other field is rows of hm_search_fields."""

ABSENT = b""
"""What stands in a column for no value: greater than every text and number."""

SCALAR, BOOLEAN, LIST, EMPTY_LIST = "s", "b", "l", "e"

_NAMES = tuple(COLUMNS)
_COLUMN_LIST = ", ".join(COLUMNS.values())

# Columns that stay as they are from start to end of a run. Writing an indexed column costs its index pages even if the
# value is the same, so a document whose fixed columns have not changed is updated without them.
_FIXED = ("WorkflowId", "WorkflowType", "TaskQueue", "StartTime")
_CHANGING = tuple(name for name in _NAMES if name not in _FIXED)

_UPDATE = f"""
UPDATE hm_search_documents SET data = ?, {", ".join(f"{COLUMNS[name]} = ?" for name in _CHANGING)}
WHERE scope = ? AND doc_id = ? AND space = ? AND {" AND ".join(f"{COLUMNS[name]} = ?" for name in _FIXED)}
RETURNING doc_key
"""

_UPSERT = f"""
INSERT INTO hm_search_documents (scope, doc_id, space, expires_at, data, {_COLUMN_LIST})
VALUES (?1, ?2, ?3, (SELECT expires_at FROM hm_jobs WHERE scope = ?1 AND job_id = ?2), ?4,
    {", ".join(f"?{number}" for number in range(5, 5 + len(_NAMES)))})
ON CONFLICT (scope, doc_id) DO UPDATE SET space = excluded.space, data = excluded.data,
    {", ".join(f"{column} = excluded.{column}" for column in COLUMNS.values())}
RETURNING doc_key
"""

FieldRow = tuple[str, int, str, Any]


def write_document(session: Session, scope: int, document: SearchDocument) -> None:
    """Add or replace one document."""
    columns = column_values(document.fields)
    space = ensure_space(session, scope, document.namespace)
    doc_key = _update(session, scope, space, document, columns)
    is_new = doc_key is None
    if doc_key is None:
        values = (scope, document.doc_id, space, document.data, *(columns.get(name, ABSENT) for name in _NAMES))
        doc_key = cast("int", session.execute(_UPSERT, values).fetchone()[0])
    _write_fields(session, doc_key, field_rows(document.fields), is_new=is_new)


def _update(
    session: Session, scope: int, space: int, document: SearchDocument, columns: Mapping[str, Any]
) -> int | None:
    changing = (columns.get(name, ABSENT) for name in _CHANGING)
    fixed = (columns.get(name, ABSENT) for name in _FIXED)
    row = session.execute(_UPDATE, (document.data, *changing, scope, document.doc_id, space, *fixed)).fetchone()
    return None if row is None else row[0]


def column_values(fields: Mapping[str, SearchValue]) -> dict[str, str | int | float]:
    """The fields that have columns. Raises `InvalidArgument` for a value that a column cannot hold."""
    values: dict[str, str | int | float] = {}
    for name in _NAMES:
        if name in fields:
            value = fields[name]
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise InvalidArgument(f"search field {name} must be one text or number, not {value!r}")
            values[name] = value
    return values


def field_rows(fields: Mapping[str, SearchValue]) -> list[FieldRow]:
    """The rows of all other fields."""
    rows: list[FieldRow] = []
    for name, value in fields.items():
        if name in COLUMNS:
            continue
        if isinstance(value, bool):
            rows.append((name, 0, BOOLEAN, int(value)))
        elif isinstance(value, (str, int, float)):
            rows.append((name, 0, SCALAR, value))
        else:
            rows.extend((name, position, LIST, element) for position, element in enumerate(value))
            if not value:
                rows.append((name, 0, EMPTY_LIST, ABSENT))
    return rows


def _write_fields(session: Session, doc_key: int, rows: list[FieldRow], *, is_new: bool) -> None:
    """Bring the field rows to ``rows``, touching only those that differ."""
    if is_new and not rows:
        return
    stored = set(
        session.execute("SELECT field, position, kind, value FROM hm_search_fields WHERE doc_key = ?", (doc_key,))
    )
    wanted = set(rows)
    for name, position, _, _ in stored - wanted:
        session.execute(
            "DELETE FROM hm_search_fields WHERE doc_key = ? AND field = ? AND position = ?", (doc_key, name, position)
        )
    for row in wanted - stored:
        session.execute(
            "INSERT INTO hm_search_fields (doc_key, field, position, kind, value) VALUES (?, ?, ?, ?, ?)",
            (doc_key, *row),
        )


def delete_documents(session: Session, scope: int, doc_ids: Sequence[str]) -> int:
    """Remove documents; returns how many there were."""
    return sum(delete_document(session, scope, doc_id) for doc_id in doc_ids)


# -- spaces ------------------------------------------------------------------------------------------------------------


def find_space(session: Session, scope: int, namespace: str) -> int | None:
    """The key of a namespace, or None if it never had a document."""
    row = session.execute(
        "SELECT space FROM hm_search_spaces WHERE scope = ? AND namespace = ?", (scope, namespace)
    ).fetchone()
    return None if row is None else row[0]


def ensure_space(session: Session, scope: int, namespace: str) -> int:
    """The key of a namespace, made if it is missing."""
    found = find_space(session, scope, namespace)
    if found is None:
        values = (scope, namespace)
        cursor = session.execute("INSERT INTO hm_search_spaces (scope, namespace) VALUES (?, ?)", values)
        found = cursor.lastrowid or 0
    return found


# -- reading -----------------------------------------------------------------------------------------------------------

DOCUMENT_COLUMNS = f"d.doc_key, d.doc_id, d.data, {', '.join(f'd.{column}' for column in COLUMNS.values())}"


def build_documents(
    session: Session, rows: Sequence[tuple[Any, ...]], namespaces: Iterable[str]
) -> list[SearchDocument]:
    """Documents of rows that begin with `DOCUMENT_COLUMNS`; ``namespaces`` has one name for each."""
    fields = {row[0]: _named_columns(row[3:]) for row in rows}
    for doc_key in fields:
        _read_fields(session, doc_key, fields[doc_key])
    return [
        SearchDocument(row[1], namespace, fields[row[0]], row[2])
        for row, namespace in zip(rows, namespaces, strict=True)
    ]


def _named_columns(values: Sequence[Any]) -> dict[str, SearchValue]:
    return {name: value for name, value in zip(_NAMES, values, strict=False) if value != ABSENT}


def _read_fields(session: Session, doc_key: int, fields: dict[str, SearchValue]) -> None:
    rows = session.execute(
        "SELECT field, kind, value FROM hm_search_fields WHERE doc_key = ? ORDER BY field, position", (doc_key,)
    )
    for name, kind, value in rows:
        if kind == EMPTY_LIST:
            fields[name] = []
        elif kind == LIST:
            cast("list[str]", fields.setdefault(name, [])).append(value)
        else:
            fields[name] = bool(value) if kind == BOOLEAN else value
