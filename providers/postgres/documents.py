"""Search documents as columns: Temporal's system fields have their own, everything else goes into one JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, cast

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.search import SearchDocument, SearchValue

from .driver import Row

TEXT_COLUMNS = {
    "ExecutionStatus": "status",
    "WorkflowType": "workflow_type",
    "WorkflowId": "workflow_id",
    "RunId": "run_id",
    "TaskQueue": "task_queue",
}
NUMBER_COLUMNS = {
    "StartTime": "start_time",
    "CloseTime": "close_time",
    "ExecutionTime": "execution_time",
    "ExecutionDuration": "execution_duration",
    "HistoryLength": "history_length",
    "HistorySizeBytes": "history_size",
    "StateTransitionCount": "state_transitions",
}
COLUMNS = TEXT_COLUMNS | NUMBER_COLUMNS

SELECTED = f"doc_id, namespace, {', '.join(COLUMNS.values())}, fields, data"

_PARAMETERS = {
    "status": "p_doc_status",
    "workflow_type": "p_types",
    "workflow_id": "p_workflow_ids",
    "run_id": "p_run_ids",
    "task_queue": "p_task_queues",
    "start_time": "p_start_times",
    "close_time": "p_close_times",
    "execution_time": "p_execution_times",
    "execution_duration": "p_durations",
    "history_length": "p_lengths",
    "history_size": "p_sizes",
    "state_transitions": "p_transitions",
}


def document_arguments(given: Sequence[SearchDocument]) -> dict[str, Any]:
    """Parallel arrays for ``put_documents``, sorted by id. Raises `InvalidArgument` for a value of a wrong type."""
    latest = {document.doc_id: document for document in given}
    documents = [latest[doc_id] for doc_id in sorted(latest)]
    arguments: dict[str, Any] = {
        "p_docs": [document.doc_id for document in documents],
        "p_namespaces": [document.namespace for document in documents],
        "p_doc_data": [document.data for document in documents],
    }
    for name, column in TEXT_COLUMNS.items():
        arguments[_PARAMETERS[column]] = [_text(name, document.fields.get(name)) for document in documents]
    for name, column in NUMBER_COLUMNS.items():
        arguments[_PARAMETERS[column]] = [_number(name, document.fields.get(name)) for document in documents]
    arguments["p_fields"] = [_other_fields(document) for document in documents]
    return {name: values for name, values in arguments.items() if any(value is not None for value in values)}


def document_of(row: Row) -> SearchDocument:
    """A document from the columns `SELECTED`."""
    fields: dict[str, SearchValue] = {}
    for name, column in COLUMNS.items():
        if row[column] is not None:
            fields[name] = row[column]
    if row["fields"] is not None:
        fields.update(json.loads(row["fields"]))
    return SearchDocument(row["doc_id"], row["namespace"], fields, row["data"])


def _text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise InvalidArgument(f"search field {name} must be a text, not {type(value).__name__}")


def _number(name: str, value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise InvalidArgument(f"search field {name} must be a whole number, not {type(value).__name__}")


def _other_fields(document: SearchDocument) -> str | None:
    fields = {name: plain(name, value) for name, value in document.fields.items() if name not in COLUMNS}
    return json.dumps(fields, ensure_ascii=False) if fields else None


def plain(name: str, value: Any) -> Any:
    """A field value as JSON has it; raises `InvalidArgument` for what is no `SearchValue`."""
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        items = list(cast("Sequence[Any]", value))
        if all(isinstance(item, str) for item in items):
            return items
    raise InvalidArgument(f"search field {name!r} has a value that cannot be indexed: {value!r}")
