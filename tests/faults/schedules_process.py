"""The processes of the fault test of schedules: engines that work, and a client that creates and triggers schedules."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio import workflow
from temporalio.api.common.v1 import Payload, Payloads, WorkflowType
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import (
    IntervalSpec,
    Schedule,
    ScheduleAction,
    SchedulePatch,
    SchedulePolicies,
    ScheduleSpec,
    TriggerImmediatelyRequest,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import CreateScheduleRequest, PatchScheduleRequest
from temporalio.service import RPCError, RPCStatusCode

from hotmesh_temporal.client import Client
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker
from tests.faults.troubles import Meeting

QUEUE = "schedules"
PAST = 1_700_000_000
SCHEDULES = {
    "skip": (ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP, 0.0),
    "skip-slow": (ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP, 1.5),
    "buffer-one": (ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE, 0.6),
    "buffer-all": (ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL, 0.3),
    "cancel": (ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER, 5.0),
    "terminate": (ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER, 5.0),
    "allow": (ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL, 0.2),
}
"""Policy, and how long a run takes."""

_NAMES = list(SCHEDULES)


@workflow.defn(name="Rest")
class Rest:
    """Takes some time."""

    @workflow.run
    async def run(self, seconds: float) -> str:
        """Sleep."""
        if seconds:
            await workflow.sleep(seconds)
        return "rested"


def run_engine(meeting: Meeting, log: str) -> None:
    """Work until killed."""
    _log_to(log)
    asyncio.run(_work(meeting))


def run_client(meeting: Meeting, log: str, journal: str, pause: float) -> None:
    """Create the schedules, then trigger one after the other until killed. What was acknowledged is written down."""
    _log_to(log)
    done = acknowledged(journal)
    with open(journal, "a", buffering=1) as file:
        asyncio.run(_send(meeting, file, done, pause))


def acknowledged(journal: str) -> list[str]:
    """The calls that were answered."""
    file = Path(journal)
    return file.read_text().splitlines() if file.exists() else []


def schedule_of(number: int) -> str:
    """Which schedule the trigger of that number is for."""
    return _NAMES[number % len(_NAMES)]


def _log_to(path: str) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(target, 1)
    os.dup2(target, 2)
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s {os.getpid()} %(levelname)s %(name)s: %(message)s")


async def _connect(meeting: Meeting) -> Client:
    while True:
        try:
            return await meeting.client()
        except (RuntimeError, ContractError) as error:
            logging.warning("connecting again: %s", error)
            await asyncio.sleep(0.2)


async def _work(meeting: Meeting) -> None:
    client = await _connect(meeting)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Rest],
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )
    await worker.run()


async def _send(meeting: Meeting, journal: TextIO, done: list[str], pause: float) -> None:
    client = await _connect(meeting)
    for name in SCHEDULES:
        if name not in done:
            await _until_answered(lambda name=name: _create(client, name))
            journal.write(f"{name}\n")
    number = 0
    while True:
        if str(number) not in done:
            await asyncio.sleep(pause)
            await _until_answered(lambda number=number: _trigger(client, number))
            journal.write(f"{number}\n")
        number += 1


async def _until_answered(call: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """The database may be away; a call is the same each time, by its request id."""
    while True:
        try:
            return await call()
        except RPCError as error:
            if error.status not in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED):
                raise
            await asyncio.sleep(0.2)


async def _create(client: Client, name: str) -> None:
    policy, seconds = SCHEDULES[name]
    start = NewWorkflowExecutionInfo(
        workflow_id=name,
        workflow_type=WorkflowType(name="Rest"),
        task_queue=TaskQueue(name=QUEUE),
        input=Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=str(seconds).encode())]),
        workflow_task_timeout=Duration(seconds=2),
    )
    schedule = Schedule(
        spec=ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=1))]),
        action=ScheduleAction(start_workflow=start),
        policies=SchedulePolicies(overlap_policy=policy),
    )
    request = CreateScheduleRequest(
        namespace="default", schedule_id=name, schedule=schedule, request_id=str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    )
    await client.workflow_service.create_schedule(request)


async def _trigger(client: Client, number: int) -> None:
    trigger = TriggerImmediatelyRequest(scheduled_time=Timestamp(seconds=PAST + number))
    request = PatchScheduleRequest(
        namespace="default",
        schedule_id=schedule_of(number),
        patch=SchedulePatch(trigger_immediately=trigger),
        request_id=f"trigger {number}",
    )
    await client.workflow_service.patch_schedule(request)
