"""Nobody reaches another namespace by what a request has inside: ids, tokens, nested requests, commands.

The first half asks the engine itself, with nobody in between who would ask for credentials: a namespace is a wall there
too. The second half asks a served port.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid

from google.protobuf.message import Message
from temporalio.api.command.v1 import (
    Command,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import BatchOperationState, CommandType, QueryResultType
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DeleteScheduleRequest,
    DeleteWorkflowExecutionRequest,
    DescribeBatchOperationRequest,
    DescribeNamespaceRequest,
    ExecuteMultiOperationRequest,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryReverseRequest,
    ListWorkflowExecutionsRequest,
    PollWorkflowTaskQueueRequest,
    RecordActivityTaskHeartbeatRequest,
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    RespondQueryTaskCompletedRequest,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    StartBatchOperationRequest,
    TerminateWorkflowExecutionRequest,
)

from hotmesh_temporal.errors import Code
from hotmesh_temporal.frontend.dispatch import HANDLERS
from hotmesh_temporal.transport.methods import by_path
from tests.access.support import (
    DENIED,
    MINE,
    QUEUE,
    SECRET,
    THEIRS,
    Caller,
    Tenant,
    aimed,
    call,
    outcome,
    path_of,
    start,
)

LEFT_OUT = {
    *("ListNamespaces", "GetSearchAttributes", "GetClusterInfo", "GetSystemInfo", "ListClusters", "Check"),
    *("RegisterNamespace", "DeprecateNamespace", "DeleteNamespace"),
}
"""They are about the server as a whole, or end what the test stands on."""

TOO_MUCH = (
    DeleteWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCompletedByIdRequest,
    DeleteScheduleRequest,
)
"""What leaves nothing to do for those that come after it."""

ANSWERS: tuple[type[Message], ...] = (
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    RespondActivityTaskCanceledRequest,
    RecordActivityTaskHeartbeatRequest,
    RespondQueryTaskCompletedRequest,
)


def attacks(theirs: Tenant, *, by_run: bool, token: bytes) -> list[Message]:
    """A request to every RPC that is answered: the own namespace, and everything else in it theirs."""
    kinds = {(each.service, each.name): each for each in by_path().values()}
    methods = [kinds[service, name] for service, names in HANDLERS.items() for name in names if name not in LEFT_OUT]
    return [aimed(each, theirs, token, by_run=by_run) for each in methods]


async def test_no_method_reaches_another_namespace_by_ids_and_tokens(theirs: Tenant) -> None:
    before = await theirs.state()
    tokens = {b"", *theirs.tokens.values(), *theirs.tokens_renamed(MINE).values()}
    requests = attacks(theirs, by_run=True, token=b"") + attacks(theirs, by_run=False, token=b"")
    for token in tokens - {b""}:
        requests += [each for each in attacks(theirs, by_run=True, token=token) if takes_token(each)]
    told: list[str] = []

    async def attack(request: Message) -> None:
        code, text = await outcome(theirs.frontend, request)
        if SECRET in text or code in (Code.INTERNAL, Code.UNKNOWN):
            told.append(f"{path_of(request)}: {code.name} {text!r}")

    await asyncio.gather(*map(attack, requests))
    assert told == []
    assert await theirs.state() == before
    assert not theirs.query.done()


def takes_token(request: Message) -> bool:
    return any("token" in each for each in request.DESCRIPTOR.fields_by_name)


async def test_these_requests_would_do_much_in_their_own_namespace(theirs: Tenant) -> None:
    """So that the test above means something: the same requests, but for the namespace."""
    done: list[str] = []
    read: list[str] = []
    for request in attacks(theirs, by_run=True, token=b""):
        if isinstance(request, TOO_MUCH) or path_of(request).endswith(("TaskQueue", "/QueryWorkflow")):
            continue  # or it would wait
        if "namespace" in request.DESCRIPTOR.fields_by_name:
            setattr(request, "namespace", THEIRS)  # noqa: B010  # the field is not known to the type
        before = await theirs.state()
        code, text = await outcome(theirs.frontend, request)
        name = path_of(request).rpartition("/")[2]
        if SECRET in text:
            read.append(name)
        if code == Code.OK and await theirs.state() != before:
            done.append(name)
    assert {"SignalWorkflowExecution", "RequestCancelWorkflowExecution"} <= set(done)
    assert {"GetWorkflowExecutionHistory", "DescribeWorkflowExecution", "ListWorkflowExecutions"} <= set(read)
    assert {"DescribeSchedule", "ListSchedules", "PatchSchedule"} <= {*read, *done}
    assert len(done) >= 8, done


async def test_task_tokens_of_another_namespace(theirs: Tenant) -> None:
    """A task token names its namespace: nobody uses it with another (CVE-2023-3485), forged or not."""
    before = await theirs.state()
    refused = {
        b"Operation requested with a token from a different namespace.",
        b"Error deserializing task token.",
    }
    for kind, token in itertools.product(ANSWERS, theirs.tokens.values()):
        code, text = await outcome(theirs.frontend, kind(namespace=MINE, task_token=token))  # pyright: ignore[reportCallIssue]  (each kind has both)
        assert (code, text in refused) == (Code.INVALID_ARGUMENT, True), kind
    for kind, token in itertools.product(ANSWERS, theirs.tokens_renamed(MINE).values()):
        code, _ = await outcome(theirs.frontend, kind(namespace=MINE, task_token=token))  # pyright: ignore[reportCallIssue]  (each kind has both)
        assert code in (Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.OK), kind
    assert await theirs.state() == before
    assert not theirs.query.done()


async def test_a_query_is_answered_only_in_its_namespace(theirs: Tenant) -> None:
    """Its id and who asked are in the token; with another namespace in it, it is nobody's."""
    answered = QueryResultType.QUERY_RESULT_TYPE_ANSWERED
    forged = RespondQueryTaskCompletedRequest(
        namespace=MINE, task_token=theirs.tokens_renamed(MINE)["query"], completed_type=answered
    )
    assert await outcome(theirs.frontend, forged) == (
        Code.NOT_FOUND,
        b"query task not found, or already expired",
    )
    own = RespondQueryTaskCompletedRequest(namespace=THEIRS, task_token=theirs.tokens["query"], completed_type=answered)
    assert (await outcome(theirs.frontend, own))[0] == Code.OK
    await theirs.query


async def test_pages_do_not_go_on_in_another_namespace(theirs: Tenant) -> None:
    execution = WorkflowExecution(workflow_id=theirs.workflow_id)
    await call(theirs.frontend, start(MINE, theirs.workflow_id))
    for kind, name in (
        (GetWorkflowExecutionHistoryRequest, "history"),
        (GetWorkflowExecutionHistoryReverseRequest, "reverse"),
    ):
        for token in (theirs.tokens[name], theirs.tokens_renamed(MINE)[name]):
            page = kind(namespace=MINE, execution=execution, next_page_token=token)
            assert (await outcome(theirs.frontend, page))[0] == Code.NOT_FOUND
    runs = ListWorkflowExecutionsRequest(namespace=MINE, next_page_token=theirs.tokens["runs"])
    assert {each.execution.workflow_id for each in (await call(theirs.frontend, runs)).executions} <= {
        theirs.workflow_id
    }


def both(namespace: str, started_in: str, updated_in: str) -> ExecuteMultiOperationRequest:
    """An update with a start."""
    request = ExecuteMultiOperationRequest(namespace=namespace)
    request.operations.add().start_workflow.CopyFrom(start(started_in, "with-start"))
    update = request.operations.add().update_workflow
    update.namespace = updated_in
    update.workflow_execution.workflow_id = "with-start"
    update.request.input.name = "update"
    return request


async def test_operations_in_a_bundle_belong_to_its_namespace(theirs: Tenant, as_whom: dict[str, Caller]) -> None:
    """CVE-2025-14986: what was asked for in one namespace was checked by the rules of another."""
    for started_in, updated_in in ((THEIRS, MINE), (MINE, THEIRS), (THEIRS, THEIRS)):
        bundle = both(MINE, started_in, updated_in)
        code, text = await outcome(theirs.frontend, bundle)
        assert (code, text) == (Code.INVALID_ARGUMENT, b"Update-with-Start could not be executed.")
        assert await as_whom["mine"].refusal(bundle) == DENIED
        assert (await as_whom["both"].refusal(bundle))[0] == "INVALID_ARGUMENT"


def commands(workflow_id: str) -> dict[str, Command]:
    """Everything by which a workflow reaches another one."""
    other = WorkflowExecution(workflow_id=workflow_id)
    signal = SignalExternalWorkflowExecutionCommandAttributes(namespace=THEIRS, execution=other, signal_name="go")
    cancel = RequestCancelExternalWorkflowExecutionCommandAttributes(namespace=THEIRS, workflow_id=workflow_id)
    child = StartChildWorkflowExecutionCommandAttributes(
        namespace=THEIRS, workflow_id="child", workflow_type=WorkflowType(name="W"), task_queue=TaskQueue(name=QUEUE)
    )
    kinds = CommandType
    return {
        "signal": Command(
            command_type=kinds.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
            signal_external_workflow_execution_command_attributes=signal,
        ),
        "cancel": Command(
            command_type=kinds.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION,
            request_cancel_external_workflow_execution_command_attributes=cancel,
        ),
        "child": Command(
            command_type=kinds.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
            start_child_workflow_execution_command_attributes=child,
        ),
    }


async def test_commands_into_another_namespace(theirs: Tenant, as_whom: dict[str, Caller]) -> None:
    """CVE-2025-14987: the answer to a task was checked, the namespaces that its commands name were not."""
    before = await theirs.state()
    poll = PollWorkflowTaskQueueRequest(namespace=MINE, task_queue=TaskQueue(name=QUEUE))
    for what, command in commands(theirs.workflow_id).items():
        await call(theirs.frontend, start(MINE, f"own-{what}"))
        task = await call(theirs.frontend, poll)
        answer = RespondWorkflowTaskCompletedRequest(namespace=MINE, task_token=task.task_token, commands=[command])
        assert await as_whom["mine"].refusal(answer) == DENIED, what
        assert await as_whom["worker"].refusal(answer) == DENIED, what
        # What is allowed in both reaches the engine, which says what a command may do.
        assert (await as_whom["both"].refusal(answer))[0] != "PERMISSION_DENIED", what
    assert await theirs.state() == before


async def ended(theirs: Tenant, job_id: str) -> None:
    """Wait for a batch operation."""
    while True:
        found = await call(theirs.frontend, DescribeBatchOperationRequest(namespace=MINE, job_id=job_id))
        if found.state != BatchOperationState.BATCH_OPERATION_STATE_RUNNING:
            return
        await asyncio.sleep(0.05)


async def test_batches_stay_in_their_namespace(theirs: Tenant) -> None:
    """CVE-2026-5199: what carried a batch out took the namespace of a name that the caller could choose."""
    before = await theirs.state()
    for number, how in enumerate(("executions", "visibility_query")):
        batch = StartBatchOperationRequest(namespace=MINE, job_id=f"{how}-{number}", reason="r")
        batch.termination_operation.identity = "me"
        if how == "executions":
            batch.executions.append(theirs.execution)
            batch.executions.append(WorkflowExecution(workflow_id="order-2"))
        else:
            batch.visibility_query = "ExecutionStatus = 'Running'"
        await call(theirs.frontend, batch)
        await ended(theirs, batch.job_id)
    assert await theirs.state() == before


# -- by a served port ---------------------------------------------------------------------------------------------


async def test_no_method_of_another_namespace_is_allowed(theirs: Tenant, as_whom: dict[str, Caller]) -> None:
    """Every RPC there is, also those that are not implemented: it is refused before anything is looked at."""
    before = await theirs.state()
    wrong: dict[str, tuple[str, str]] = {}
    for path, method in by_path().items():
        request = aimed(method, theirs, b"", by_run=True)
        if "namespace" not in request.DESCRIPTOR.fields_by_name:
            continue
        setattr(request, "namespace", THEIRS)  # noqa: B010  # the field is not known to the type
        found = await as_whom["mine"].refusal(request)
        if found != DENIED:
            wrong[path] = found
    assert wrong == {}
    assert await theirs.state() == before


async def test_a_token_without_a_namespace_beside_it_counts(theirs: Tenant, as_whom: dict[str, Caller]) -> None:
    """An answer to a task need not name its namespace; then it is the token's that has to be allowed."""
    before = await theirs.state()
    for kind, token in itertools.product(ANSWERS, (*theirs.tokens.values(), b"", b"nonsense")):
        assert await as_whom["mine"].refusal(kind(task_token=token)) == DENIED  # pyright: ignore[reportCallIssue]  (each kind has one)
    assert await theirs.state() == before


async def test_a_namespace_is_not_shown_by_its_id(theirs: Tenant, as_whom: dict[str, Caller]) -> None:
    described = await call(theirs.frontend, DescribeNamespaceRequest(namespace=THEIRS))
    by_id = DescribeNamespaceRequest(id=described.namespace_info.id)
    assert await as_whom["mine"].refusal(by_id) == DENIED
    assert await as_whom["auditor"].refusal(by_id) == ("OK", "")
    assert await as_whom["mine"].refusal(DescribeNamespaceRequest(namespace=MINE)) == ("OK", "")
    # Nor by its id under the name of another, and it is not deleted so either.
    both_named = DescribeNamespaceRequest(namespace=MINE, id=described.namespace_info.id)
    assert (await as_whom["mine"].refusal(both_named))[0] == "INVALID_ARGUMENT"
    deletion = DeleteNamespaceRequest(namespace_id=described.namespace_info.id)
    assert await as_whom["admin"].refusal(deletion) == DENIED
    deletion.namespace = MINE
    assert (await as_whom["admin"].refusal(deletion))[0] == "INVALID_ARGUMENT"
    assert (await call(theirs.frontend, DescribeNamespaceRequest(namespace=THEIRS))).namespace_info.state == 1
    # Somebody who may not see a namespace is not told either whether it is there.
    assert await as_whom["mine"].refusal(DescribeNamespaceRequest(namespace=str(uuid.uuid4()))) == DENIED
    assert path_of(by_id).endswith("/DescribeNamespace")
