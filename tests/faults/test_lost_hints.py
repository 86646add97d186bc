"""Losing every hint between processes costs time and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hotmesh_temporal.providers.sqlite import SqliteBackend
from temporalio.api.command.v1 import Command, CompleteWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import CommandType, EventType, HistoryEventFilterType, QueryResultType
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    QueryWorkflowRequest,
    QueryWorkflowResponse,
    RespondQueryTaskCompletedRequest,
    RespondQueryTaskCompletedResponse,
)

from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime.hints import Hints
from tests.support import by_hand

_RUN = WorkflowExecution(workflow_id="w")
_LONGEST = 25.0


async def _say_nothing(_: Hints, message: dict[str, Any]) -> None:
    del message


@pytest_asyncio.fixture
async def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[Frontend, Frontend], None]:
    """Two engines on one database that never hear of each other: a client's and a worker's."""
    monkeypatch.setattr(Hints, "_publish", _say_nothing)
    spec = ConnectionSpec(provider="sqlite", url=f"sqlite:///{tmp_path / 'shared.sqlite3'}")
    client, worker = Frontend(SqliteBackend(spec)), Frontend(SqliteBackend(spec))
    await client.start()
    await worker.start()
    yield client, worker
    await client.close()
    await worker.close()


async def _close_event(client: Frontend) -> int:
    request = GetWorkflowExecutionHistoryRequest(
        namespace="default",
        execution=_RUN,
        wait_new_event=True,
        history_event_filter_type=HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
    )
    while True:
        reply = await by_hand.call(client, request, GetWorkflowExecutionHistoryResponse)
        if reply.history.events:
            return reply.history.events[0].event_type
        request.next_page_token = reply.next_page_token


async def test_tasks_signals_and_results_arrive(pair: tuple[Frontend, Frontend]) -> None:
    client, worker = pair
    begin = time.monotonic()
    polling = asyncio.create_task(by_hand.poll(worker))
    await asyncio.sleep(0.2)  # the poll has looked once, and now waits
    await by_hand.start(client, "w")
    await by_hand.answer(worker, await polling)
    polling = asyncio.create_task(by_hand.poll(worker))
    await asyncio.sleep(0.2)
    await by_hand.signal(client, "w")
    task = await polling
    assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED in [event.event_type for event in task.history.events]
    closing = asyncio.create_task(_close_event(client))
    await asyncio.sleep(0.2)
    done = Command(
        command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(),
    )
    await by_hand.answer(worker, task, done)
    assert await closing == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    assert time.monotonic() - begin < _LONGEST


async def test_a_query_finds_its_worker_and_the_way_back(pair: tuple[Frontend, Frontend]) -> None:
    client, worker = pair
    await by_hand.start(client, "w")
    await by_hand.answer(worker, await by_hand.poll(worker))
    polling = asyncio.create_task(by_hand.poll(worker))
    await asyncio.sleep(0.2)
    request = QueryWorkflowRequest(namespace="default", execution=_RUN, query=WorkflowQuery(query_type="state"))
    asking = asyncio.create_task(by_hand.call(client, request, QueryWorkflowResponse))
    task = await polling
    assert task.query.query_type == "state"
    answered = QueryResultType.QUERY_RESULT_TYPE_ANSWERED
    answer = RespondQueryTaskCompletedRequest(task_token=task.task_token, namespace="default", completed_type=answered)
    answer.query_result.payloads.add(data=b"fine")
    await by_hand.call(worker, answer, RespondQueryTaskCompletedResponse)
    assert (await asking).query_result.payloads[0].data == b"fine"
