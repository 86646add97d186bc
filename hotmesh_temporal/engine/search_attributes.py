"""Which search attributes a workflow may set, and to what."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, cast

from google.protobuf.text_encoding import CEscape
from temporalio.api.common.v1 import Payload, SearchAttributes

from .limits import Limits
from .nulls import is_null

SYSTEM = frozenset(
    {
        "WorkflowId", "RunId", "WorkflowType", "StartTime", "ExecutionTime", "CloseTime", "ExecutionStatus",
        "TaskQueue", "HistoryLength", "ExecutionDuration", "StateTransitionCount", "HistorySizeBytes",
        "ParentWorkflowId", "ParentRunId", "RootWorkflowId", "RootRunId",
    }
)  # fmt: skip
"""Kept by the service itself."""

PREDEFINED = {
    "TemporalChangeVersion": "KeywordList",
    "BinaryChecksums": "KeywordList",
    "BuildIds": "KeywordList",
    "BatcherNamespace": "Keyword",
    "BatcherUser": "Keyword",
    "TemporalScheduledStartTime": "Datetime",
    "TemporalScheduledById": "Keyword",
    "TemporalSchedulePaused": "Bool",
    "TemporalNamespaceDivision": "Keyword",
    "TemporalPauseInfo": "KeywordList",
    "TemporalReportedProblems": "KeywordList",
}
"""Known without being registered, with the type of their values."""


def problem(given: SearchAttributes, namespace: str, limits: Limits) -> str | None:
    """What is wrong with these, in the server's words; None if nothing is."""
    total = 0
    for name in given.indexed_fields:
        if name in SYSTEM:
            return f"{name} attribute can't be set in SearchAttributes"
        if name not in PREDEFINED:
            return f"Namespace {namespace} has no mapping defined for search attribute {name}"
    for name, value in given.indexed_fields.items():
        wrong = _problem_of_value(name, value)
        if wrong is not None:
            return wrong
        if len(value.data) > limits.search_attribute_size:
            size, most = len(value.data), limits.search_attribute_size
            return f"search attribute {name} value size {size} exceeds size limit {most}"
        total += len(name) + len(value.data)
    if total > limits.search_attributes_size:
        return f"total size of search attributes {total} exceeds size limit {limits.search_attributes_size}"
    return None


def typed(given: SearchAttributes) -> SearchAttributes:
    """The same with the type of each value beside it, as it is stored. They have no `problem`."""
    result = SearchAttributes()
    for name, value in given.indexed_fields.items():
        result.indexed_fields[name].CopyFrom(value)
        if not is_null(value):
            result.indexed_fields[name].metadata["type"] = PREDEFINED[name].encode()
    return result


def _problem_of_value(name: str, payload: Payload) -> str | None:
    if is_null(payload):
        return None
    kind = PREDEFINED[name]
    prefix = f"invalid value for search attribute {name} of type {kind}: "
    try:
        value: Any = json.loads(payload.data) if payload.metadata.get("encoding") == b"json/plain" else _UNREADABLE
    except ValueError:
        value = _UNREADABLE
    if value is _UNREADABLE:
        return f"{prefix}value from <{_text(payload)}>"
    return None if _fits(kind, value) else prefix + _shown(value)


_UNREADABLE = object()


def _fits(kind: str, value: Any) -> bool:
    several = cast("list[Any]", value) if isinstance(value, list) else None
    if kind == "KeywordList":
        return several is not None and all(isinstance(each, str) for each in several)
    one = cast("Any", several[0] if several is not None and len(several) == 1 else value)
    if kind == "Bool":
        return isinstance(one, bool)
    return isinstance(one, str) and (kind == "Keyword" or _is_time(one))


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).tzinfo is not None
    except ValueError:
        return False


def _shown(value: Any) -> str:
    """A JSON value as the server (Go) prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | int):
        return f"{value:g}"
    if isinstance(value, list):
        return "[" + " ".join(map(_shown, cast("list[Any]", value))) + "]"
    if isinstance(value, dict):
        entries = sorted(cast("dict[str, Any]", value).items())
        return "map[" + " ".join(f"{key}:{_shown(each)}" for key, each in entries) + "]"
    return str(value)


def _text(payload: Payload) -> str:
    """A payload in the text format of protobuf, with the server's spaces."""
    entries = [
        f'metadata:{{key:"{key}"  value:"{_escaped(payload.metadata[key])}"}}' for key in sorted(payload.metadata)
    ]
    if payload.data:
        entries.append(f'data:"{_escaped(payload.data)}"')
    return "  ".join(entries)


def _escaped(data: bytes) -> str:
    return CEscape(data, as_utf8=False)
