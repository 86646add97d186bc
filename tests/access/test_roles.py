"""Roles, and the table of what each RPC needs: by itself, and by a served port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListClustersRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    GetClusterInfoRequest,
    GetSystemInfoRequest,
    ListNamespacesRequest,
    ListWorkflowExecutionsRequest,
    PollWorkflowTaskQueueRequest,
    SignalWorkflowExecutionRequest,
)
from temporalio.bridge.proto.health.v1 import HealthCheckRequest

from hotmesh_temporal.authorization import Access, Claims, Role, Scope, Target
from hotmesh_temporal.authorization.methods import METHODS, OF_WORKERS, needs
from hotmesh_temporal.authorization.permissions import claims_of, parse_permission
from hotmesh_temporal.authorization.roles import RoleAuthorizer
from hotmesh_temporal.authorization.targets import MENTIONED, NESTED
from hotmesh_temporal.transport.methods import by_path
from tests.access.support import DENIED, MINE, Caller, Tenant

WORKFLOW = "/temporal.api.workflowservice.v1.WorkflowService/"
ROLES = {"read": Role.READER, "write": Role.WRITER, "admin": Role.ADMIN, "worker": Role.WORKER}


def test_every_method_has_a_row() -> None:
    assert set(by_path()) - set(METHODS) == set()
    assert needs("/temporal.api.workflowservice.v1.WorkflowService/NeverHeardOf") == (Scope.CLUSTER, Access.ADMIN)
    assert set(METHODS) >= OF_WORKERS


def test_what_belongs_to_a_namespace_names_one() -> None:
    """A row that says otherwise than the request would let everybody in, or nobody."""
    open_or_not = {
        path: ("namespace" in method.request.DESCRIPTOR.fields_by_name, METHODS[path][0] is Scope.NAMESPACE)
        for path, method in by_path().items()
    }
    assert {path: each for path, each in open_or_not.items() if each[0] != each[1]} == {}


def namespaces_in(kind: Any, above: tuple[str, ...] = ()) -> Iterator[Any]:
    """Every text field below the top of a message whose name speaks of a namespace."""
    for each in kind.fields:
        inner = each.message_type
        if inner is not None and inner.full_name.startswith("temporal.") and inner.full_name not in above:
            yield from namespaces_in(inner, (*above, inner.full_name))
        elif (
            "namespace" in each.name
            and each.type == FieldDescriptor.TYPE_STRING
            and (above or each.name != "namespace")
        ):
            yield each


def test_every_namespace_inside_of_a_request_is_looked_after() -> None:
    fields = {each for method in by_path().values() for each in namespaces_in(method.request.DESCRIPTOR)}
    unknown = {
        each.full_name
        for each in fields
        if each.containing_type.full_name not in NESTED and each.full_name not in MENTIONED
    }
    assert unknown == set()
    assert len(fields) > 8


def test_roles_written_down() -> None:
    claims = claims_of("web", [parse_permission(each) for each in ("a:read", "a:Write", "temporal-system:worker")])
    assert claims == Claims("web", Role.WORKER, {"a": Role.READER | Role.WRITER})
    for wrong, text in {"orders": "form", ":read": "form", "a:owner": "read, write, worker, admin", "": "form"}.items():
        with pytest.raises(ValueError, match=text):
            parse_permission(wrong)


@pytest.mark.parametrize(
    ("access", "allowed"),
    [
        (Access.READ, {"read", "write", "admin", "read+worker", "write+worker"}),
        (Access.WRITE, {"write", "admin", "write+worker"}),
        (Access.ADMIN, {"admin"}),
        (Access.OPEN, {"", "read", "write", "admin", "worker", "read+worker", "write+worker", "none"}),
    ],
)
async def test_each_role_by_each_access(access: Access, allowed: set[str]) -> None:
    for text in ("", "read", "write", "admin", "worker", "read+worker", "write+worker", "none"):
        role = Role.UNDEFINED
        for part in text.split("+"):
            role |= ROLES.get(part, Role.UNDEFINED)
        claims = None if text == "none" else Claims("who", namespaces={"a": role})
        target = Target("/x/UpdateSomething", "a", Scope.NAMESPACE, access, GetSystemInfoRequest())
        assert (await RoleAuthorizer().authorize(claims, target)).allowed == (text in allowed), text
        # The role in one namespace is none in another, and none for the server as a whole.
        for other in (("b", Scope.NAMESPACE), ("", Scope.NAMESPACE), ("A", Scope.NAMESPACE), ("a", Scope.CLUSTER)):
            target = Target("/x/UpdateSomething", *other, access, GetSystemInfoRequest())
            assert (await RoleAuthorizer().authorize(claims, target)).allowed == (access is Access.OPEN)


async def test_a_worker_may_do_what_workers_do() -> None:
    claims = Claims("worker", namespaces={"a": Role.WORKER})
    allowed = {
        path.rpartition("/")[2]
        for path in METHODS
        if (await RoleAuthorizer().authorize(claims, Target(path, "a", *needs(path), GetSystemInfoRequest()))).allowed
    }
    assert {"PollWorkflowTaskQueue", "RespondActivityTaskCompleted", "GetSystemInfo", "DescribeNamespace"} <= allowed
    assert not {"StartWorkflowExecution", "ListWorkflowExecutions", "QueryWorkflow", "UpdateNamespace"} & allowed


async def test_who_may_do_what_at_the_port(theirs: Tenant, as_whom: dict[str, Caller]) -> None:
    ok, missing = ("OK", ""), "NOT_FOUND"
    execution = WorkflowExecution(workflow_id="nothing")
    signal = SignalWorkflowExecutionRequest(namespace=MINE, workflow_execution=execution, signal_name="s")
    listing = ListWorkflowExecutionsRequest(namespace=MINE)
    attribute = AddSearchAttributesRequest(
        namespace=MINE, search_attributes={"Customer": IndexedValueType.INDEXED_VALUE_TYPE_TEXT}
    )
    poll = PollWorkflowTaskQueueRequest(namespace=MINE, task_queue=TaskQueue(name="q"))

    async def who(request: object, timeout: float = 5.0) -> set[str]:
        """Those who are let in."""
        found = {name: await caller.refusal(request, timeout) for name, caller in as_whom.items()}  # pyright: ignore[reportArgumentType]  (any request)
        assert all(
            each in (DENIED, ok) or each[0] in (missing, "UNIMPLEMENTED", "ALREADY_EXISTS") for each in found.values()
        ), found
        return {name for name, each in found.items() if each != DENIED}

    everybody = {"mine", "reader", "worker", "admin", "both", "operator", "auditor"}
    assert await who(GetSystemInfoRequest()) == await who(HealthCheckRequest()) == everybody | {"nobody"}
    assert await who(listing) == everybody - {"worker"}
    assert await who(signal) == {"mine", "admin", "both", "operator"}
    assert await who(attribute) == {"admin", "operator"}
    assert await who(DescribeNamespaceRequest(namespace=MINE)) == everybody
    assert await who(ListNamespacesRequest()) == await who(GetClusterInfoRequest()) == {"operator", "auditor"}
    assert await who(ListClustersRequest()) == {"operator"}
    assert await as_whom["worker"].refusal(poll, 2.2) == ok
    assert await as_whom["reader"].refusal(poll, 2.2) == DENIED


async def test_a_refusal_has_the_details_of_the_server(as_whom: dict[str, Caller]) -> None:
    import grpc.aio
    from google.rpc.status_pb2 import Status
    from temporalio.api.errordetails.v1 import PermissionDeniedFailure

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await as_whom["nobody"].call(ListWorkflowExecutionsRequest(namespace=MINE))
    trailers = dict(caught.value.trailing_metadata() or ())
    status = Status.FromString(bytes(trailers["grpc-status-details-bin"]))  # pyright: ignore[reportArgumentType]  (a -bin header is bytes)
    detail = PermissionDeniedFailure()
    assert status.details[0].Unpack(detail)
    assert (status.code, status.message, detail.reason) == (7, "Request unauthorized.", "")
