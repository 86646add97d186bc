"""Which search attributes a workflow may set, and to what."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.common.v1 import SearchAttributes

from .attribute_values import (
    BOOL,
    DATETIME,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    KIND_NAMES,
    InvalidValue,
    value_of,
)
from .context import Limits, Namespace
from .nulls import merge

SYSTEM: Mapping[str, int] = {
    "WorkflowId": KEYWORD,
    "RunId": KEYWORD,
    "WorkflowType": KEYWORD,
    "StartTime": DATETIME,
    "ExecutionTime": DATETIME,
    "CloseTime": DATETIME,
    "ExecutionStatus": KEYWORD,
    "TaskQueue": KEYWORD,
    "HistoryLength": INT,
    "ExecutionDuration": INT,
    "StateTransitionCount": INT,
    "HistorySizeBytes": INT,
    "ParentWorkflowId": KEYWORD,
    "ParentRunId": KEYWORD,
    "RootWorkflowId": KEYWORD,
    "RootRunId": KEYWORD,
    "TemporalExternalPayloadCount": INT,
    "TemporalExternalPayloadSizeBytes": INT,
    "TemporalUsedWorkerDeploymentVersions": KEYWORD_LIST,
    "TemporalWorkerDeployment": KEYWORD,
    "TemporalWorkerDeploymentVersion": KEYWORD,
    "TemporalWorkflowVersioningBehavior": KEYWORD,
}
"""Kept by the service itself, with their types."""

PREDEFINED: Mapping[str, int] = {
    "TemporalChangeVersion": KEYWORD_LIST,
    "BinaryChecksums": KEYWORD_LIST,
    "BuildIds": KEYWORD_LIST,
    "BatcherNamespace": KEYWORD,
    "BatcherUser": KEYWORD,
    "TemporalScheduledStartTime": DATETIME,
    "TemporalScheduledById": KEYWORD,
    "TemporalSchedulePaused": BOOL,
    "TemporalNamespaceDivision": KEYWORD,
    "TemporalPauseInfo": KEYWORD_LIST,
    "TemporalReportedProblems": KEYWORD_LIST,
}
"""Known without being added, and free to be set."""


def kind_of(name: str, namespace: Namespace) -> int | None:
    """The type of an attribute that a workflow may set; None if there is none of that name."""
    custom = namespace.attributes.get(name)
    return custom.kind if custom is not None else PREDEFINED.get(name)


def field_of(name: str, namespace: Namespace) -> str:
    """The field that an attribute has in search documents."""
    custom = namespace.attributes.get(name)
    return custom.symbol if custom is not None else name


def problem(given: SearchAttributes, namespace: Namespace, limits: Limits) -> str | None:
    """What is wrong with attributes that are to be set, in the server's words; None if nothing is."""
    return unmapped(given, namespace) or invalid(given, namespace) or too_large(given, namespace, limits)


def unmapped(given: SearchAttributes, namespace: Namespace) -> str | None:
    """One that the namespace does not have."""
    for name in given.indexed_fields:
        if name not in SYSTEM and kind_of(name, namespace) is None:
            return f"Namespace {namespace.name} has no mapping defined for search attribute {name}"
    return None


def invalid(given: SearchAttributes, namespace: Namespace) -> str | None:
    """One that cannot be set, or not to this value."""
    for name, payload in given.indexed_fields.items():
        kind = kind_of(name, namespace)
        if kind is None:
            return f"{name} attribute can't be set in SearchAttributes"
        try:
            value_of(payload, kind)
        except InvalidValue as error:
            return f"invalid value for search attribute {name} of type {KIND_NAMES[kind]}: {error.text}"
    return None


def too_large(given: SearchAttributes, namespace: Namespace, limits: Limits) -> str | None:
    """One value, or all together, are too large."""
    for name, payload in given.indexed_fields.items():
        size = len(payload.data)
        if size > limits.search_attribute_size:
            return f"search attribute {name} value size {size} exceeds size limit {limits.search_attribute_size}"
    return too_large_together(given, namespace, limits)


def too_large_together(given: SearchAttributes, namespace: Namespace, limits: Limits) -> str | None:
    """All together are too large, under the names of the columns that a Temporal server has for them."""
    limit = limits.search_attributes_size
    if given.ByteSize() <= limit // 2:
        return None
    columns = SearchAttributes()
    for number, (name, payload) in enumerate(given.indexed_fields.items(), 1):
        custom = namespace.attributes.get(name)
        column = f"{KIND_NAMES[custom.kind]}{number:02}" if custom is not None else name
        columns.indexed_fields[column].CopyFrom(payload)
    size = columns.ByteSize()
    return f"total size of search attributes {size} exceeds size limit {limit}" if size > limit else None


def merged(current: SearchAttributes, changes: SearchAttributes) -> SearchAttributes:
    """The attributes after a change; a null takes one away."""
    result = SearchAttributes()
    result.CopyFrom(current)
    for name, payload in changes.indexed_fields.items():
        merge(result.indexed_fields, name, payload)
    return result


def declare(given: SearchAttributes, namespace: Namespace) -> None:
    """Write the types into the payloads that do not name one."""
    for name, payload in given.indexed_fields.items():
        kind = kind_of(name, namespace)
        if kind is not None and "type" not in payload.metadata:
            payload.metadata["type"] = KIND_NAMES[kind].encode()
