"""The processes that are killed: a worker, and a client that starts, signals and updates the workflows.

The client writes down what was acknowledged. Its successor sends what was not, under the same request and update ids,
and so does a client itself whose call failed for a reason that may pass.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.update.v1 import Outcome
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    PollWorkflowExecutionUpdateRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)
from temporalio.client import WorkflowExecutionStatus
from temporalio.converter import default as default_converter
from temporalio.service import RPCError, RPCStatusCode

from hotmesh_temporal.client import Client
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker
from tests.faults.crowd import (
    ACTIVITIES,
    QUEUE,
    SIGNALS,
    UPDATES,
    WORKFLOWS,
    Task,
    begins_with_update,
    continues,
    workflow_id,
)
from tests.faults.troubles import Meeting

_MAY_PASS = {
    RPCStatusCode.FAILED_PRECONDITION,  # an update went with a workflow task that failed (unhandled command)
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.ABORTED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.DEADLINE_EXCEEDED,
}
_PARALLEL = 20
_REJECTED = "rejected"
_CUT_OFF = "AcceptedUpdateCompletedWorkflow"
_ACCEPTED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED
_COMPLETED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED

Call = Callable[[], Awaitable[str]]
"""Something to do for the client. Returns what has to be remembered of the answer."""


def run_worker(meeting: Meeting, log: str) -> None:
    """Work until killed."""
    _log_to(log)
    asyncio.run(_work(meeting))


def run_client(meeting: Meeting, log: str, done: str, count: int, pause: float) -> None:
    """Start ``count`` workflows, signal and update them, one call every ``pause`` seconds at most."""
    _log_to(log)
    acknowledged = read_journal(done)
    with open(done, "a", buffering=1) as journal:
        asyncio.run(_Sender(meeting, journal, acknowledged).send_all(count, pause))


def read_journal(path: str) -> dict[str, str]:
    """What was acknowledged, with what is remembered of the answer."""
    file = Path(path)
    lines = file.read_text().splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines)


def _log_to(path: str) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(target, 1)
    os.dup2(target, 2)
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s {os.getpid()} %(levelname)s %(name)s: %(message)s")
    # The failing attempts of activities and children are part of the plan.
    logging.getLogger("temporalio.activity").setLevel(logging.CRITICAL)
    logging.getLogger("temporalio.workflow").setLevel(logging.ERROR)


def _show_tasks_on_signal() -> None:
    """Upon SIGUSR1 write to the log what this process is waiting for."""

    def show() -> None:
        for task in asyncio.all_tasks():
            task.print_stack()

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, show)


async def _connect(meeting: Meeting) -> Client:
    """The database may be restarting right now."""
    _show_tasks_on_signal()
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
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=20,
        max_concurrent_activities=20,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        debug_mode=True,  # a workflow that stood still with its process is not taken for a deadlock
    )
    await worker.run()


# -- the client --------------------------------------------------------------------------------------------------------


class _Sender:
    def __init__(self, meeting: Meeting, journal: TextIO, acknowledged: dict[str, str]) -> None:
        self._meeting = meeting
        self._journal = journal
        self._acknowledged = acknowledged
        self._limit = asyncio.Semaphore(_PARALLEL)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def send_all(self, count: int, pause: float) -> None:
        client = await _connect(self._meeting)
        calls = _Calls(client)
        for name, after in _plan(count):
            if name not in self._acknowledged:
                call = partial(calls.make, name)
                self._tasks[name] = asyncio.create_task(self._send(name, call, self._tasks.get(after)))
                await asyncio.sleep(pause)
        await asyncio.gather(*self._tasks.values())
        await client.close()

    async def _send(self, name: str, call: Call, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await after
        async with self._limit:
            answer = await _until_acknowledged(name, call)
        self._journal.write(f"{name}={answer}\n")


def _plan(count: int) -> Iterable[tuple[str, str]]:
    """Names of calls, each with the one that must be acknowledged before.

    A start is soon followed by the first signal and update; the others come later, so that they meet all kinds of
    steps. The last update is what a workflow waits for: the one that is rejected comes before it.
    """
    ahead, rounds = 10, max(SIGNALS, UPDATES)
    for number in range(count + ahead * rounds):
        if number < count:
            yield f"start {number}", ""
        for turn in range(rounds):
            behind = number - ahead * turn
            if 0 <= behind < count:
                yield from _round(behind, turn)


def _round(number: int, turn: int) -> Iterable[tuple[str, str]]:
    start = f"start {number}"
    if turn < SIGNALS:
        yield f"signal {number} {turn}", start
    if turn == UPDATES - 1:
        yield f"reject {number}", start
        yield f"update {number} {turn}", f"reject {number}"
    elif turn < UPDATES and not (turn == 0 and begins_with_update(number)):
        yield f"update {number} {turn}", start


async def _until_acknowledged(name: str, call: Call) -> str:
    while True:
        try:
            return await call()
        except RPCError as error:
            if _was_applied(name, error.status):
                logging.warning("%s was there already: %s", name, error)
                return ""
            if error.status not in _MAY_PASS:
                logging.error("%s was refused: %s %s", name, error.status.name, error)
                raise
            logging.warning("%s again: %s %s", name, error.status.name, error)
        await asyncio.sleep(0.1)


def _was_applied(name: str, status: RPCStatusCode) -> bool:
    """A request or update id is known to the run that it was for. Once that has continued as new, a repetition fails
    so."""
    kind, number, *_ = name.split()
    refusal = RPCStatusCode.ALREADY_EXISTS if kind == "start" else RPCStatusCode.NOT_FOUND
    return kind != "reject" and continues(int(number)) and status == refusal


class _Calls:
    """The client's calls, each by its name in the plan."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._service = client.workflow_service

    async def make(self, name: str) -> str:
        """What has to be remembered of the answer: the outcome of an update."""
        kind, number, *rest = name.split()
        match kind:
            case "start" if begins_with_update(int(number)):
                return await self._start_with_update(int(number))
            case "start":
                await self._service.start_workflow_execution(await self._start(int(number)))
                return ""
            case "signal":
                await self._signal(int(number), int(rest[0]))
                return ""
            case "update":
                return await self._update(int(number), int(rest[0]))
            case _:
                return await self._update(int(number), -1)

    async def _start(self, number: int) -> StartWorkflowExecutionRequest:
        request = StartWorkflowExecutionRequest(
            namespace=self._client.namespace,
            workflow_id=workflow_id(number),
            request_id=f"start-{number}",
            workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
        )
        request.workflow_type.name = "Crowd"
        request.task_queue.name = QUEUE
        request.input.payloads.extend(await _encode(Task(number)))
        request.workflow_task_timeout.FromSeconds(2)
        return request

    async def _signal(self, number: int, value: int) -> None:
        request = SignalWorkflowExecutionRequest(
            namespace=self._client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id(number)),
            signal_name="add",
            request_id=f"signal-{number}-{value}",
        )
        request.input.payloads.extend(await _encode(value))
        await self._service.signal_workflow_execution(request)

    async def _change(self, number: int, value: int, stage: Stage.ValueType) -> UpdateWorkflowExecutionRequest:
        request = UpdateWorkflowExecutionRequest(
            namespace=self._client.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id(number))
        )
        request.wait_policy.lifecycle_stage = stage
        request.request.meta.update_id = update_id(value)
        request.request.input.name = "change"
        request.request.input.args.payloads.extend(await _encode(value))
        return request

    async def _start_with_update(self, number: int) -> str:
        request = ExecuteMultiOperationRequest(namespace=self._client.namespace)
        start = await self._start(number)
        start.workflow_id_conflict_policy = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
        request.operations.add().start_workflow.CopyFrom(start)
        request.operations.add().update_workflow.CopyFrom(await self._change(number, 0, _ACCEPTED))
        response = await self._service.execute_multi_operation(request)
        return await self._outcome(number, response.responses[1].update_workflow)

    async def _update(self, number: int, value: int) -> str:
        """Some wait for the outcome at once, others ask for it later."""
        stage = _COMPLETED if number % 2 else _ACCEPTED
        request = await self._change(number, value, stage)
        return await self._outcome(number, await self._service.update_workflow_execution(request))

    async def _outcome(self, number: int, response: UpdateWorkflowExecutionResponse) -> str:
        if response.stage < _ACCEPTED:
            raise RPCError("not accepted in time", RPCStatusCode.DEADLINE_EXCEEDED, b"")
        request = PollWorkflowExecutionUpdateRequest(namespace=self._client.namespace, update_ref=response.update_ref)
        request.wait_policy.lifecycle_stage = _COMPLETED
        outcome = response.outcome if response.HasField("outcome") else None
        while outcome is None:
            polled = await self._service.poll_workflow_execution_update(request)
            outcome = polled.outcome if polled.HasField("outcome") else None
        if continues(number) and outcome.failure.application_failure_info.type == _CUT_OFF:
            # It came to the worker together with what let the workflow continue as new, or the next run end: there, it
            # was repeated, as nobody can know what came of the first.
            if await self._is_continued(response.update_ref.workflow_execution):
                raise RPCError("not completed by its run", RPCStatusCode.ABORTED, b"")
            return ""
        return await _text(number, outcome)

    async def _is_continued(self, execution: WorkflowExecution) -> bool:
        handle = self._client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
        return (await handle.describe()).status == WorkflowExecutionStatus.CONTINUED_AS_NEW


def update_id(value: int) -> str:
    """Id of the update with that number."""
    return f"update-{value}" if value >= 0 else "update-rejected"


async def _text(number: int, outcome: Outcome) -> str:
    if outcome.HasField("success"):
        (value,) = await default_converter().decode(outcome.success.payloads, [int])
        return str(value)
    if outcome.failure.message == "negative":
        return _REJECTED
    raise RuntimeError(f"an update of workflow {number} failed: {outcome.failure}")


async def _encode(value: Any) -> list[Payload]:
    return await default_converter().encode([value])
