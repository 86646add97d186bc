"""The service that is moved from: every question to it, and the one thing that is done to runs there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsRequest,
    TerminateWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from ..engine.events import CLOSES_RUN
from ..histories import all_namespaces
from ..runtime.keys import RunKey
from .families import Member
from .histories import history_events, last_event

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
TERMINATED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED
IDENTITY = "hotmesh-temporal migrate"
_PAGE = 500


class Source:
    """A Temporal service. ``reason``: with which its runs are ended when they are taken away; it names the target."""

    def __init__(self, client: Client, reason: str) -> None:
        self.client = client
        self.service = client.workflow_service
        self.reason = reason

    async def namespaces(self, wanted: Sequence[str]) -> list[DescribeNamespaceResponse]:
        """Those of these names, or all that there are. Raises ``RPCError`` (NOT_FOUND) for one that there is not."""
        if not wanted:
            return await all_namespaces(self.service)
        return [
            await self.service.describe_namespace(DescribeNamespaceRequest(namespace=name), retry=True)
            for name in wanted
        ]

    async def list(self, namespace: str, query: str) -> AsyncIterator[WorkflowExecutionInfo]:
        """Every run that a list filter finds."""
        request = ListWorkflowExecutionsRequest(namespace=namespace, query=query, page_size=_PAGE)
        while True:
            page = await self.service.list_workflow_executions(request, retry=True)
            for info in page.executions:
                yield info
            if not page.next_page_token:
                return
            request.next_page_token = page.next_page_token

    async def describe(self, key: RunKey) -> DescribeWorkflowExecutionResponse | None:
        """A run; without a run id the newest one of the workflow id. None if there is none."""
        execution = WorkflowExecution(workflow_id=key.workflow_id, run_id=key.run_id)
        request = DescribeWorkflowExecutionRequest(namespace=key.namespace, execution=execution)
        try:
            described = await self.service.describe_workflow_execution(request, retry=True)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return None
        info = described.workflow_execution_info
        if not info.first_run_id:
            info.first_run_id = await self._first_run_id(key._replace(run_id=info.execution.run_id))
        return described

    async def _first_run_id(self, key: RunKey) -> str:
        """Of the chain that a run belongs to: old servers say it in the history only."""
        async for event in history_events(self.service, *key):
            return event.workflow_execution_started_event_attributes.first_execution_run_id or key.run_id
        return key.run_id

    async def parent(self, member: Member) -> RunKey | None:
        """The parent of a run, if it has one."""
        if not member.is_sure:
            described = await self.describe(member.key)
            above = described.workflow_execution_info.parent_execution if described is not None else None
            member.is_sure = True
            if above is not None and above.run_id:
                member.parent = RunKey(member.key.namespace, above.workflow_id, above.run_id)
        return member.parent

    async def history(self, key: RunKey) -> list[HistoryEvent]:
        """Its events, as far as there are any now."""
        return [event async for event in history_events(self.service, *key)]

    async def closing(self, key: RunKey) -> HistoryEvent | None:
        """The event that closed it; None if it is open or not there."""
        try:
            event = await last_event(self.service, *key)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return None
        return event if event is not None and event.event_type in CLOSES_RUN else None

    async def fence(self, key: RunKey) -> bool:
        """End an open run there, so that nothing can happen to it any more. False if it is closed already."""
        request = TerminateWorkflowExecutionRequest(
            namespace=key.namespace,
            workflow_execution=WorkflowExecution(workflow_id=key.workflow_id, run_id=key.run_id),
            reason=self.reason,
            identity=IDENTITY,
        )
        try:
            await self.service.terminate_workflow_execution(request, retry=True)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    def is_fence(self, event: HistoryEvent | None) -> bool:
        """The event is the end of a run that was taken away to this target."""
        if event is None or event.event_type != TERMINATED:
            return False
        return event.workflow_execution_terminated_event_attributes.reason == self.reason
