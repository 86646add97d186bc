"""Read the history of a run from any Temporal service, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import HistoryEventFilterType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.service import WorkflowService

_CLOSING = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT


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


async def closing_event(service: WorkflowService, namespace: str, workflow_id: str, run_id: str) -> HistoryEvent | None:
    """The last event of a run, if it is closed."""
    request = GetWorkflowExecutionHistoryRequest(
        namespace=namespace,
        execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        history_event_filter_type=_CLOSING,
    )
    page = await service.get_workflow_execution_history(request, retry=True)
    events = page.history.events
    return events[-1] if events else None
