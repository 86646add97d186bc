"""Read the history of a run from any Temporal service, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.service import WorkflowService


async def history_events(
    service: WorkflowService, namespace: str, workflow_id: str, run_id: str
) -> AsyncIterator[HistoryEvent]:
    """The events of a run in order, as far as there are any now. Raises ``RPCError`` (NOT_FOUND: no such run)."""
    request = GetWorkflowExecutionHistoryRequest(
        namespace=namespace, execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    )
    while True:
        page = await service.get_workflow_execution_history(request, retry=True)
        for event in page.history.events:
            yield event
        if not page.next_page_token:
            return
        request.next_page_token = page.next_page_token


async def last_event(service: WorkflowService, namespace: str, workflow_id: str, run_id: str) -> HistoryEvent | None:
    """The newest event of a run. Raises ``RPCError`` (NOT_FOUND: no such run)."""
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=namespace,
        execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        maximum_page_size=1,
    )
    page = await service.get_workflow_execution_history_reverse(request, retry=True)
    events = page.history.events
    return events[0] if events else None
