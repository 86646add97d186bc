"""Throttled and paused queues on one engine: what polls get, and when."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.command.v1 import Command, ScheduleActivityTaskCommandAttributes
from temporalio.api.common.v1 import ActivityType, WorkflowType
from temporalio.api.enums.v1 import CommandType, TaskQueueKind
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from hotmesh_temporal.contracts.types import ThrottleOptions
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime import throttle
from hotmesh_temporal.runtime.keys import QueueKey
from hotmesh_temporal.runtime.throttle import PAUSED
from tests.quorum.conftest import engine_on
from tests.support import by_hand

_TOPIC = QueueKey("default", False, "q").topic
_A_MOMENT = 0.4
_SOON = 2.0


@pytest_asyncio.fixture
async def frontend(tmp_path: Path) -> AsyncGenerator[Frontend, None]:
    frontend = engine_on(tmp_path / "one.sqlite3")
    await frontend.start()
    yield frontend
    await frontend.close()


async def _set_rate(frontend: Frontend, rate: int, topic: str | None = _TOPIC) -> None:
    await frontend.runtime.store.set_throttle_rate(ThrottleOptions(rate, topic))
    await frontend.runtime.throttle.refresh()


async def _waits(poll: asyncio.Task[PollWorkflowTaskQueueResponse]) -> bool:
    """The poll has got nothing, though there was time."""
    await asyncio.wait([poll], timeout=_A_MOMENT)
    return not poll.done()


async def test_a_paused_queue_gives_nothing_and_a_resumed_one_all_of_it(frontend: Frontend) -> None:
    idle = asyncio.create_task(by_hand.poll(frontend))
    assert await _waits(idle)
    await _set_rate(frontend, PAUSED)
    await by_hand.start(frontend, "first")
    await by_hand.start(frontend, "second")
    late = asyncio.create_task(by_hand.poll(frontend))
    assert await _waits(idle)
    assert await _waits(late)
    await _set_rate(frontend, 0)
    tasks = await asyncio.wait_for(asyncio.gather(idle, late), _SOON)
    assert {task.workflow_execution.workflow_id for task in tasks} == {"first", "second"}


async def test_another_queue_is_not_paused(frontend: Frontend) -> None:
    await _set_rate(frontend, PAUSED)
    await by_hand.start(frontend, "w", queue="other")
    task = await asyncio.wait_for(by_hand.poll(frontend, queue="other"), _SOON)
    assert task.workflow_execution.workflow_id == "w"


async def test_everything_is_paused_but_a_queue_with_a_rate_of_its_own(frontend: Frontend) -> None:
    await _set_rate(frontend, PAUSED, topic=None)
    await _set_rate(frontend, 0, QueueKey("default", False, "other").topic)
    await by_hand.start(frontend, "w")
    await by_hand.start(frontend, "v", queue="other")
    assert await asyncio.wait_for(by_hand.poll(frontend, queue="other"), _SOON)
    held = asyncio.create_task(by_hand.poll(frontend))
    assert await _waits(held)
    await _set_rate(frontend, 0, topic=None)
    assert (await asyncio.wait_for(held, _SOON)).workflow_execution.workflow_id == "w"


async def test_tasks_of_a_throttled_queue_come_one_by_one_in_their_order(frontend: Frontend) -> None:
    await _set_rate(frontend, 300)
    names, times = list[str](), list[float]()

    async def work() -> None:
        task = await by_hand.poll(frontend)
        names.append(task.workflow_execution.workflow_id)
        times.append(time.monotonic())

    polls = [asyncio.create_task(work()) for _ in range(4)]
    for number in range(4):
        await by_hand.start(frontend, str(number))
    await asyncio.wait_for(asyncio.gather(*polls), 10)
    assert names == ["0", "1", "2", "3"]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    # A task is counted when it leaves its queue, and seen a commit later.
    assert all(pause > 0.2 for pause in pauses), pauses


async def test_a_lower_rate_wakes_who_waits_for_the_higher_one(frontend: Frontend) -> None:
    await _set_rate(frontend, 60_000)
    await by_hand.start(frontend, "first")
    await by_hand.start(frontend, "second")
    await asyncio.wait_for(by_hand.poll(frontend), _SOON)
    held = asyncio.create_task(by_hand.poll(frontend))
    assert await _waits(held)
    await _set_rate(frontend, 10)
    assert (await asyncio.wait_for(held, _SOON)).workflow_execution.workflow_id == "second"


async def test_a_sticky_queue_is_paused_with_the_queue_that_it_serves(frontend: Frontend) -> None:
    sticky = TaskQueue(name="mine", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name="q")
    await by_hand.start(frontend, "w")
    await by_hand.answer(frontend, await by_hand.poll(frontend), sticky="mine", patience=60)
    request = PollWorkflowTaskQueueRequest(namespace="default", task_queue=sticky, identity="worker")
    poll = asyncio.create_task(by_hand.call(frontend, request, PollWorkflowTaskQueueResponse))
    assert await _waits(poll)
    await _set_rate(frontend, PAUSED)
    await by_hand.signal(frontend, "w")
    assert await _waits(poll)
    await _set_rate(frontend, 0)
    assert (await asyncio.wait_for(poll, _SOON)).workflow_execution.workflow_id == "w"


async def test_a_paused_queue_starts_no_workflow_eagerly(frontend: Frontend) -> None:
    await _set_rate(frontend, PAUSED)
    request = StartWorkflowExecutionRequest(
        namespace="default",
        workflow_id="w",
        workflow_type=WorkflowType(name="W"),
        task_queue=TaskQueue(name="q"),
        request_id="1",
        request_eager_execution=True,
    )
    reply = await by_hand.call(frontend, request, StartWorkflowExecutionResponse)
    assert not reply.HasField("eager_workflow_task")
    await _set_rate(frontend, 0)
    task = await asyncio.wait_for(by_hand.poll(frontend), _SOON)
    assert not task.history.events[0].workflow_execution_started_event_attributes.eager_execution_accepted


async def test_a_paused_queue_gives_no_task_with_an_answer(frontend: Frontend) -> None:
    await by_hand.start(frontend, "w")
    task = await by_hand.poll(frontend)
    await by_hand.signal(frontend, "w")
    await _set_rate(frontend, PAUSED, topic=None)
    eager = ScheduleActivityTaskCommandAttributes(
        activity_id="a",
        activity_type=ActivityType(name="A"),
        task_queue=TaskQueue(name="q"),
        request_eager_execution=True,
    )
    eager.schedule_to_close_timeout.FromSeconds(60)
    command = Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK, schedule_activity_task_command_attributes=eager
    )
    answer = RespondWorkflowTaskCompletedRequest(
        task_token=task.task_token, commands=[command], return_new_workflow_task=True
    )
    reply = await by_hand.call(frontend, answer, RespondWorkflowTaskCompletedResponse)
    assert not reply.HasField("workflow_task")
    assert not reply.activity_tasks
    held = asyncio.create_task(by_hand.poll(frontend))
    assert await _waits(held)
    await _set_rate(frontend, 0, topic=None)
    assert (await asyncio.wait_for(held, _SOON)).workflow_execution.workflow_id == "w"


async def test_an_engine_that_starts_later_knows_the_stored_rates(frontend: Frontend, tmp_path: Path) -> None:
    await _set_rate(frontend, PAUSED)
    later = engine_on(tmp_path / "one.sqlite3")
    await later.start()
    try:
        await by_hand.start(later, "w")
        held = asyncio.create_task(by_hand.poll(later))
        assert await _waits(held)
        held.cancel()
        await asyncio.wait([held])
    finally:
        await later.close()


async def test_a_rate_of_one_engine_counts_more_than_a_stored_one_until_it_is_taken_back(frontend: Frontend) -> None:
    rates = frontend.runtime.throttle
    await _set_rate(frontend, 50)
    rates.set_own(None, PAUSED)
    assert rates.rate(_TOPIC) == PAUSED
    rates.set_own(_TOPIC, 7)
    assert rates.rate(_TOPIC) == 7
    rates.set_own(None, 0)
    assert rates.rate(_TOPIC) == 50


async def test_a_change_that_nobody_was_told_of_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "REFRESH_SECONDS", 0.2)
    frontend = engine_on(tmp_path / "one.sqlite3")
    await frontend.start()
    try:
        store = frontend.runtime.store
        await store.set_throttle_rate(ThrottleOptions(PAUSED, _TOPIC))
        await asyncio.sleep(0.6)  # several looks
        await by_hand.start(frontend, "w")
        held = asyncio.create_task(by_hand.poll(frontend))
        assert await _waits(held)
        await store.set_throttle_rate(ThrottleOptions(0, _TOPIC))
        assert (await asyncio.wait_for(held, _SOON)).workflow_execution.workflow_id == "w"
    finally:
        await frontend.close()
