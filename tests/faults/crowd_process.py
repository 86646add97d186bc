"""The processes that are killed: a worker, and a client that starts and signals the workflows.

The client writes down what was acknowledged. Its successor sends what was not, under the same request ids, and so does
a client itself whose call failed for a reason that may pass.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import TextIO

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest
from temporalio.converter import default as default_converter
from temporalio.service import RPCError, RPCStatusCode

from hotmesh_temporal.client import Client
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker
from tests.faults.crowd import ACTIVITIES, QUEUE, SIGNALS, Crowd, Doubles, Task, continues, workflow_id

_MAY_PASS = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.ABORTED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.DEADLINE_EXCEEDED,
}
_PARALLEL = 20

Call = Callable[[], Awaitable[None]]


def run_worker(connection: str, log: str) -> None:
    """Work until killed."""
    _log_to(log)
    asyncio.run(_work(connection))


def run_client(connection: str, log: str, done: str, count: int, pause: float) -> None:
    """Start ``count`` workflows and send each its signals, one call every ``pause`` seconds at most."""
    _log_to(log)
    with open(done, "a+", buffering=1) as journal:
        journal.seek(0)
        acknowledged = set(journal.read().splitlines())
        asyncio.run(_Sender(connection, journal, acknowledged).send_all(count, pause))


def _log_to(path: str) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(target, 1)
    os.dup2(target, 2)
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s {os.getpid()} %(levelname)s %(name)s: %(message)s")
    # The failing attempts of activities are part of the plan.
    logging.getLogger("temporalio.activity").setLevel(logging.CRITICAL)


async def _connect(connection: str) -> Client:
    """The database may be restarting right now."""
    while True:
        try:
            return await Client.connect(connection=connection)
        except RuntimeError as error:
            logging.warning("connecting again: %s", error)
            await asyncio.sleep(0.2)


async def _work(connection: str) -> None:
    client = await _connect(connection)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Crowd, Doubles],
        activities=ACTIVITIES,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=20,
        max_concurrent_activities=20,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )
    await worker.run()


# -- the client --------------------------------------------------------------------------------------------------------


class _Sender:
    def __init__(self, connection: str, journal: TextIO, acknowledged: set[str]) -> None:
        self._connection = connection
        self._journal = journal
        self._acknowledged = acknowledged
        self._limit = asyncio.Semaphore(_PARALLEL)

    async def send_all(self, count: int, pause: float) -> None:
        client = await _connect(self._connection)
        starts: dict[int, asyncio.Task[None]] = {}
        signals: list[asyncio.Task[None]] = []
        for number, signal in _plan(count):
            name = f"start {number}" if signal is None else f"signal {number} {signal}"
            if name in self._acknowledged:
                continue
            if signal is None:
                starts[number] = asyncio.create_task(self._send(name, partial(_start, client, number)))
            else:
                call = partial(_signal, client, number, signal)
                signals.append(asyncio.create_task(self._send(name, call, starts.get(number))))
            await asyncio.sleep(pause)
        await asyncio.gather(*starts.values(), *signals)
        await client.close()

    async def _send(self, name: str, call: Call, after: asyncio.Task[None] | None = None) -> None:
        if after is not None:
            await after
        async with self._limit:
            await _until_acknowledged(name, call)
        self._journal.write(name + "\n")


def _plan(count: int) -> Iterable[tuple[int, int | None]]:
    """Starts, each soon followed by the first signal; the other signals later, so that they meet all kinds of steps."""
    ahead = 10
    for number in range(count + ahead * SIGNALS):
        if number < count:
            yield number, None
        for signal in range(SIGNALS):
            behind = number - ahead * signal
            if 0 <= behind < count:
                yield behind, signal


async def _until_acknowledged(name: str, call: Call) -> None:
    while True:
        try:
            await call()
            return
        except RPCError as error:
            if _was_applied(name, error.status):
                logging.warning("%s was there already: %s", name, error)
                return
            if error.status not in _MAY_PASS:
                logging.error("%s was refused: %s %s", name, error.status.name, error)
                raise
            logging.warning("%s again: %s %s", name, error.status.name, error)
        await asyncio.sleep(0.1)


def _was_applied(name: str, status: RPCStatusCode) -> bool:
    """A request id is known to the run that it was for. Once that run has continued as new, sending again fails so."""
    kind, number, *_ = name.split()
    refusal = RPCStatusCode.ALREADY_EXISTS if kind == "start" else RPCStatusCode.NOT_FOUND
    return continues(int(number)) and status == refusal


async def _start(client: Client, number: int) -> None:
    request = StartWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_id=workflow_id(number),
        request_id=f"start-{number}",
        workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
    )
    request.workflow_type.name = "Crowd"
    request.task_queue.name = QUEUE
    request.input.payloads.extend(await default_converter().encode([Task(number)]))
    request.workflow_task_timeout.FromSeconds(2)
    await client.workflow_service.start_workflow_execution(request)


async def _signal(client: Client, number: int, signal: int) -> None:
    request = SignalWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id(number)),
        signal_name="add",
        request_id=f"signal-{number}-{signal}",
    )
    request.input.payloads.extend(await default_converter().encode([signal]))
    await client.workflow_service.signal_workflow_execution(request)
