"""What the tests of access have in common: requests to any RPC, and a tenant whose things must stay as they are."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.command.v1 import Command, ScheduleActivityTaskCommandAttributes
from temporalio.api.common.v1 import ActivityType, Memo, Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    DescribeScheduleRequest,
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    ListWorkflowExecutionsRequest,
    PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    QueryWorkflowRequest,
    RegisterNamespaceRequest,
    RespondWorkflowTaskCompletedRequest,
    StartBatchOperationRequest,
    StartWorkflowExecutionRequest,
)

from hotmesh_temporal.errors import Code, RpcError
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.transport.methods import Method, by_path

MINE, THEIRS = "mine", "theirs"
SECRET = b"of no concern to others"
"""In the memo, the input and the type of what the other tenant runs."""

QUEUE = "work"
OF_REQUEST = {method.request.DESCRIPTOR.full_name: (path, method) for path, method in by_path().items()}
"""Path and method by the name of the request."""


def path_of(request: Message) -> str:
    """The path of the RPC that takes this request."""
    return OF_REQUEST[request.DESCRIPTOR.full_name][0]


async def call(frontend: Frontend, request: Message, deadline: float = 30.0) -> Any:
    """The reply of an engine of this process; nobody is asked who calls."""
    method = OF_REQUEST[request.DESCRIPTOR.full_name][1]
    return await frontend.call(method.service, method.name, request, metadata={}, deadline=deadline)


class Caller:
    """Somebody at the other end of a gRPC connection."""

    def __init__(self, address: str, authorization: str = "") -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._metadata = (("authorization", authorization),) if authorization else ()

    async def call(self, request: Message, timeout: float = 5.0) -> bytes:
        """The reply, as bytes. Raises `grpc.aio.AioRpcError`."""
        channel: Any = self._channel
        rpc = channel.unary_unary(path_of(request))
        return await rpc(request.SerializeToString(), metadata=self._metadata, timeout=timeout)

    async def refusal(self, request: Message, timeout: float = 5.0) -> tuple[str, str]:
        """Status and text of the error, ``("OK", "")`` if there is none."""
        try:
            await self.call(request, timeout)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        return "OK", ""

    async def close(self) -> None:
        """End the connection."""
        await self._channel.close()


DENIED = ("PERMISSION_DENIED", "Request unauthorized.")


async def add_namespace(frontend: Frontend, name: str) -> None:
    """Register a namespace."""
    day = Duration(seconds=86400)
    await call(frontend, RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=day))


def payloads() -> Payloads:
    """Something secret."""
    return Payloads(payloads=[Payload(data=SECRET)])


def start(namespace: str, workflow_id: str) -> StartWorkflowExecutionRequest:
    """A workflow that carries the secret."""
    return StartWorkflowExecutionRequest(
        namespace=namespace,
        workflow_id=workflow_id,
        workflow_type=WorkflowType(name=SECRET.decode()),
        task_queue=TaskQueue(name=QUEUE),
        request_id=str(uuid.uuid4()),
        input=payloads(),
        memo=Memo(fields={"memo": Payload(data=SECRET)}),
    )


@dataclass
class Tenant:
    """What goes on in the other namespace: a run with a task, an activity and a query in flight, another with a task
    that nobody has taken, a batch operation; and every token that was given out for them.
    """

    frontend: Frontend
    workflow_id: str = "order-1"
    run_id: str = ""
    tokens: dict[str, bytes] = field(default_factory=dict[str, bytes])

    @staticmethod
    async def busy(frontend: Frontend) -> Tenant:
        """Begin."""
        tenant = Tenant(frontend)
        tenant.run_id = (await call(frontend, start(THEIRS, tenant.workflow_id))).run_id
        await tenant._work()
        for name in ("order-2", "order-3", "order-4"):
            await call(frontend, start(THEIRS, name))
        await tenant._pages()
        schedule = CreateScheduleRequest(namespace=THEIRS, schedule_id="schedule-1", request_id=str(uuid.uuid4()))
        schedule.schedule.spec.interval.add().interval.FromSeconds(86400)
        schedule.schedule.state.notes = SECRET.decode()
        schedule.schedule.action.start_workflow.workflow_id = "scheduled"
        schedule.schedule.action.start_workflow.workflow_type.name = SECRET.decode()
        schedule.schedule.action.start_workflow.task_queue.name = QUEUE
        await call(frontend, schedule)
        batch = StartBatchOperationRequest(
            namespace=THEIRS, job_id="batch-1", reason=SECRET.decode(), visibility_query="WorkflowId = 'none'"
        )
        batch.signal_operation.signal = "go"
        await call(frontend, batch)
        await asyncio.sleep(0.3)  # it has nothing to do, and is done by then
        return tenant

    async def _work(self) -> None:
        first = await self._poll()
        schedule = ScheduleActivityTaskCommandAttributes(
            activity_id="a",
            activity_type=ActivityType(name="A"),
            task_queue=TaskQueue(name=QUEUE),
            input=payloads(),
            start_to_close_timeout=Duration(seconds=600),
            heartbeat_timeout=Duration(seconds=600),
        )
        command = Command(
            command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
            schedule_activity_task_command_attributes=schedule,
        )
        done = RespondWorkflowTaskCompletedRequest(namespace=THEIRS, task_token=first.task_token, commands=[command])
        await call(self.frontend, done)
        activity = PollActivityTaskQueueRequest(namespace=THEIRS, task_queue=TaskQueue(name=QUEUE))
        self.tokens["activity"] = (await call(self.frontend, activity)).task_token
        await self._ask()

    async def _ask(self) -> None:
        """A query that a worker has taken and not answered."""
        query = QueryWorkflowRequest(
            namespace=THEIRS, execution=self.execution, query=WorkflowQuery(query_type="state", query_args=payloads())
        )
        self.query = asyncio.create_task(call(self.frontend, query, 600.0))
        self.tokens["query"] = (await self._poll()).task_token

    async def _poll(self) -> Any:
        return await call(
            self.frontend, PollWorkflowTaskQueueRequest(namespace=THEIRS, task_queue=TaskQueue(name=QUEUE))
        )

    async def _pages(self) -> None:
        history = GetWorkflowExecutionHistoryRequest(namespace=THEIRS, execution=self.execution, maximum_page_size=1)
        reverse = GetWorkflowExecutionHistoryReverseRequest(
            namespace=THEIRS, execution=self.execution, maximum_page_size=1
        )
        runs = ListWorkflowExecutionsRequest(namespace=THEIRS, page_size=1)
        for name, request in {"history": history, "reverse": reverse, "runs": runs}.items():
            self.tokens[name] = (await call(self.frontend, request)).next_page_token
            assert self.tokens[name]

    @property
    def execution(self) -> WorkflowExecution:
        """The run that much happens to."""
        return WorkflowExecution(workflow_id=self.workflow_id, run_id=self.run_id)

    async def state(self) -> list[bytes]:
        """Everything that is to be seen of it; what others do must not change it."""
        history: GetWorkflowExecutionHistoryResponse = await call(
            self.frontend, GetWorkflowExecutionHistoryRequest(namespace=THEIRS, execution=self.execution)
        )
        described = await call(
            self.frontend, DescribeWorkflowExecutionRequest(namespace=THEIRS, execution=self.execution)
        )
        listed = await call(self.frontend, ListWorkflowExecutionsRequest(namespace=THEIRS))
        schedule = await call(self.frontend, DescribeScheduleRequest(namespace=THEIRS, schedule_id="schedule-1"))
        schedule.info.ClearField("future_action_times")
        return [each.SerializeToString(deterministic=True) for each in (history, described, listed, schedule)]

    def tokens_renamed(self, namespace: str) -> dict[str, bytes]:
        """The tokens with another namespace in them, as somebody would forge them who knows their form."""
        forged: dict[str, bytes] = {}
        for name, token in self.tokens.items():
            parts = msgspec.msgpack.decode(token)
            if isinstance(parts, list):
                parts[1] = namespace
            forged[name] = msgspec.msgpack.encode(parts)
        return forged


_TEXTS = {
    "activity_id": "a",
    "type": "A",
    "job_id": "batch-1",
    "schedule_id": "schedule-1",
    "signal_name": "go",
    "signal": "go",
    "reason": "because",
    "pause": "for now",
    "query_type": "state",
    "update_id": "u",
    "name": QUEUE,
    "rule_id": "rule-1",
    "operation_id": "operation-1",
    "worker_instance_key": "worker-1",
}


_PARTS = {
    *("workflow_execution", "execution", "executions", "query", "task_queue", "workflow_type", "update_ref", "request"),
    *("meta", "signal_operation", "patch"),
}
"""The parts of requests that name something, or without which one is not looked at."""


def aimed(method: Method, tenant: Tenant, token: bytes, *, by_run: bool) -> Message:
    """A request for the own namespace that names the other tenant's things wherever it has room for a name."""
    request = method.request()
    _aim(request, tenant, token, by_run, depth=0)
    if "namespace" in request.DESCRIPTOR.fields_by_name:
        setattr(request, "namespace", MINE)  # noqa: B010  # the field is not known to the type
    return request


def _aim(message: Message, tenant: Tenant, token: bytes, by_run: bool, depth: int) -> None:
    texts = {
        **_TEXTS,
        "namespace": THEIRS,
        "workflow_id": tenant.workflow_id,
        "business_id": tenant.workflow_id,
        "run_id": tenant.run_id if by_run else "",
        "request_id": str(uuid.uuid4()),
    }
    for each in message.DESCRIPTOR.fields:
        if each.name == "id" and "Activity" in message.DESCRIPTOR.name:
            setattr(message, each.name, "a")
        elif each.name in texts and each.type == FieldDescriptor.TYPE_STRING and not each.is_repeated:
            setattr(message, each.name, texts[each.name])
        elif each.name in ("task_token", "next_page_token", "long_poll_token"):
            setattr(message, each.name, token)
        elif each.name == "workflow_task_finish_event_id":
            setattr(message, each.name, 4)
        elif each.message_type is not None and each.message_type.full_name.startswith("temporal.") and depth < 3:
            _aim_part(message, each, tenant, token, by_run, depth)


def _aim_part(message: Message, each: Any, tenant: Tenant, token: bytes, by_run: bool, depth: int) -> None:
    if each.name not in _PARTS and each.message_type.full_name != "temporal.api.update.v1.Input":
        return
    value = getattr(message, each.name)
    _aim(value.add() if each.is_repeated else value, tenant, token, by_run, depth + 1)


async def outcome(frontend: Frontend, request: Message, deadline: float = 2.2) -> tuple[Code, bytes]:
    """The status of a call, and the reply or the text of the error."""
    try:
        reply = await asyncio.wait_for(call(frontend, request, deadline), 10)
    except RpcError as error:
        return Code(error.code), error.message.encode()
    return Code.OK, reply.SerializeToString()
