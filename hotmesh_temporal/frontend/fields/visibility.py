"""Lists and counts of executions."""

from __future__ import annotations

from temporalio.api.filter.v1 import StartTimeFilter, StatusFilter, WorkflowExecutionFilter, WorkflowTypeFilter
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    ListArchivedWorkflowExecutionsRequest,
    ListClosedWorkflowExecutionsRequest,
    ListOpenWorkflowExecutionsRequest,
    ListWorkflowExecutionsRequest,
    ScanWorkflowExecutionsRequest,
)

from .rows import Rows

_NO_ARCHIVE = "the answer is always that there is no archive"
_OLDER = {"namespace", "maximum_page_size", "next_page_token", "start_time_filter", "execution_filter", "type_filter"}

ROWS = (
    Rows(ListWorkflowExecutionsRequest, honoured={"namespace", "page_size", "next_page_token", "query"}),
    Rows(ScanWorkflowExecutionsRequest, honoured={"namespace", "page_size", "next_page_token", "query"}),
    Rows(CountWorkflowExecutionsRequest, honoured={"namespace", "query"}),
    Rows(ListOpenWorkflowExecutionsRequest, honoured=_OLDER),
    Rows(ListClosedWorkflowExecutionsRequest, honoured=_OLDER | {"status_filter"}),
    Rows(
        ListArchivedWorkflowExecutionsRequest,
        honoured={"namespace"},
        no_effect=dict.fromkeys(("page_size", "next_page_token", "query"), _NO_ARCHIVE),
    ),
    Rows(StartTimeFilter, honoured={"earliest_time", "latest_time"}),
    Rows(
        WorkflowExecutionFilter,
        honoured={"workflow_id"},
        no_effect={"run_id": "a Temporal server leaves it out of account too"},
    ),
    Rows(WorkflowTypeFilter, honoured={"name"}),
    Rows(StatusFilter, honoured={"status"}),
)
