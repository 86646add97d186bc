"""Which search attributes a workflow may set."""

from __future__ import annotations

from collections.abc import Iterable

SYSTEM = frozenset(
    {
        "WorkflowId", "RunId", "WorkflowType", "StartTime", "ExecutionTime", "CloseTime", "ExecutionStatus",
        "TaskQueue", "HistoryLength", "ExecutionDuration", "StateTransitionCount", "HistorySizeBytes",
        "ParentWorkflowId", "ParentRunId", "RootWorkflowId", "RootRunId",
    }
)  # fmt: skip
"""Kept by the service itself."""

PREDEFINED = frozenset(
    {
        "TemporalChangeVersion", "BinaryChecksums", "BuildIds", "BatcherNamespace", "BatcherUser",
        "TemporalScheduledStartTime", "TemporalScheduledById", "TemporalSchedulePaused", "TemporalNamespaceDivision",
        "TemporalPauseInfo", "TemporalReportedProblems",
    }
)  # fmt: skip
"""Known without being registered."""


def problem(names: Iterable[str], namespace: str) -> str | None:
    """What is wrong with these names, in the server's words; None if nothing is."""
    for name in names:
        if name in SYSTEM:
            return f"{name} attribute can't be set in SearchAttributes"
        if name not in PREDEFINED:
            return f"Namespace {namespace} has no mapping defined for search attribute {name}"
    return None
