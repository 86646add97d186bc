"""GetWorkflowExecutionHistory, with paging and long poll, and its reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import EventType, HistoryEventFilterType
from temporalio.api.history.v1 import (
    History,
    HistoryEvent,
    WorkflowExecutionContinuedAsNewEventAttributes,
)
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
)

from ...engine.machines import workflow_task
from ...runtime.draining import Patience
from ...runtime.loaded import Loaded
from ...runtime.service import Runtime
from .. import tokens, validate
from ..tokens import HistoryPageToken
from .lookup import find, key_of

if TYPE_CHECKING:
    from ..server import Call

_LONG_POLL_SECONDS = 20.0
_DEFAULT_PAGE = 1000
_FOLLOWS = "follows-next-run-id"
_CLOSE_EVENT = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT


async def get_workflow_execution_history(
    runtime: Runtime, request: GetWorkflowExecutionHistoryRequest, call: Call
) -> GetWorkflowExecutionHistoryResponse:
    """One page of a history; with ``wait_new_event`` the call waits for what comes after it."""
    validate.execution(request.execution, present=request.HasField("execution"))
    loaded, token = await _begin(runtime, request)
    if request.wait_new_event and _has_nothing_new(request, token, loaded):
        patience = runtime.draining.patience(call.wait(_LONG_POLL_SECONDS))
        loaded = await _wait(runtime, request, token, loaded, patience)
    if request.history_event_filter_type == _CLOSE_EVENT:
        features = str(call.metadata.get("supported-server-features", ""))
        return await _close_event(runtime, request, token, loaded, follows_chains=_FOLLOWS in features.split(","))
    return await _page(runtime, request, token, loaded)


async def _begin(runtime: Runtime, request: GetWorkflowExecutionHistoryRequest) -> tuple[Loaded, HistoryPageToken]:
    execution = request.execution
    if not request.next_page_token:
        loaded = await find(runtime, request.namespace, execution)
        state = loaded.state
        return loaded, HistoryPageToken(
            state.namespace, state.workflow_id, state.run_id, 1, state.next_event_id, state.running
        )
    token = tokens.decode_page(request.next_page_token, run_id=execution.run_id, reverse=False)
    execution.run_id = token.run_id
    return await find(runtime, request.namespace, execution), token


def _has_nothing_new(request: GetWorkflowExecutionHistoryRequest, token: HistoryPageToken, loaded: Loaded) -> bool:
    if not loaded.state.running:
        return False
    if request.history_event_filter_type == _CLOSE_EVENT:
        return True
    return bool(request.next_page_token) and token.next_event_id >= loaded.state.next_event_id


async def _wait(
    runtime: Runtime,
    request: GetWorkflowExecutionHistoryRequest,
    token: HistoryPageToken,
    loaded: Loaded,
    patience: Patience,
) -> Loaded:
    while _has_nothing_new(request, token, loaded) and patience.remaining() > 0:
        loaded = await runtime.histories.wait_for_change(key_of(loaded), loaded, patience)
    return loaded


async def _close_event(
    runtime: Runtime,
    request: GetWorkflowExecutionHistoryRequest,
    token: HistoryPageToken,
    loaded: Loaded,
    *,
    follows_chains: bool,
) -> GetWorkflowExecutionHistoryResponse:
    """The closing event alone; nothing (and a token to go on with) while the run is open."""
    state = loaded.state
    if state.running:
        following = tokens.encode(token) if request.wait_new_event else b""
        return GetWorkflowExecutionHistoryResponse(history=History(), next_page_token=following)
    last = await runtime.histories.event(loaded, state.next_event_id - 1)
    if state.new_run_id and not follows_chains:
        last = _as_continued(last, state.new_run_id)
    return GetWorkflowExecutionHistoryResponse(history=History(events=[last]))


def _as_continued(last: HistoryEvent, new_run_id: str) -> HistoryEvent:
    """What clients are shown that do not say that they follow the next run of a retry or cron schedule themselves."""
    attributes = WorkflowExecutionContinuedAsNewEventAttributes(new_execution_run_id=new_run_id)
    return HistoryEvent(
        event_id=last.event_id,
        event_time=last.event_time,
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
        task_id=last.task_id,
        workflow_execution_continued_as_new_event_attributes=attributes,
    )


async def _page(
    runtime: Runtime, request: GetWorkflowExecutionHistoryRequest, token: HistoryPageToken, loaded: Loaded
) -> GetWorkflowExecutionHistoryResponse:
    """Pages of a run that grows meanwhile may go beyond the end at which the reading began, and stop there."""
    state = loaded.state
    first, end = token.next_event_id, token.before if token.for_worker else state.next_event_id
    history, reached = History(), first
    if first < end:
        pages = request.maximum_page_size if request.maximum_page_size > 0 else _DEFAULT_PAGE
        history, reached = await runtime.histories.read(loaded, first, end, max_batches=pages)
    done = reached >= end or (reached > token.before and not request.wait_new_event)
    whole = reached >= end and not request.wait_new_event
    if whole and state.running and state.task is not None and state.task.unwritten:
        scheduled, started = workflow_task.transient_events(state, state.task, identity="")
        history.events.append(scheduled)
        if state.task.started_at:
            history.events.append(started)
    following = b""
    if not done or (request.wait_new_event and state.running):
        token.next_event_id = reached
        token.before = end if request.wait_new_event else token.before
        following = tokens.encode(token)
    return GetWorkflowExecutionHistoryResponse(history=history, next_page_token=following)


async def get_workflow_execution_history_reverse(
    runtime: Runtime, request: GetWorkflowExecutionHistoryReverseRequest, call: Call
) -> GetWorkflowExecutionHistoryReverseResponse:
    """One page of a history, the newest events first."""
    del call
    validate.execution(request.execution, present=request.HasField("execution"))
    execution, before = request.execution, 0
    if request.next_page_token:
        token = tokens.decode_page(request.next_page_token, run_id=execution.run_id, reverse=True)
        execution.run_id, before = token.run_id, token.before
    loaded = await find(runtime, request.namespace, execution)
    state = loaded.state
    before = before or state.next_event_id
    pages = request.maximum_page_size if request.maximum_page_size > 0 else _DEFAULT_PAGE
    events = await runtime.histories.read_reverse(loaded, before, pages)
    following = b""
    if events and events[-1].event_id > 1:
        following = tokens.encode(
            HistoryPageToken(
                state.namespace, state.workflow_id, state.run_id, 1, events[-1].event_id, state.running, reverse=True
            )
        )
    return GetWorkflowExecutionHistoryReverseResponse(history=History(events=events), next_page_token=following)
