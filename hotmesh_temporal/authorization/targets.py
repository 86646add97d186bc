"""What a request reaches: its own namespace, and each that is named inside of it.

A namespace inside of a request that nobody compares with the caller's rights is a hole. So every such field of the
protocol has a row here, and a test fails as soon as the installed protocol has one more.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from ..frontend.tokens import namespace_of_task
from .interface import Target
from .methods import needs, path_of

NESTED = {
    "temporal.api.workflowservice.v1.StartWorkflowExecutionRequest": "StartWorkflowExecution",
    "temporal.api.workflowservice.v1.UpdateWorkflowExecutionRequest": "UpdateWorkflowExecution",
    "temporal.api.command.v1.StartChildWorkflowExecutionCommandAttributes": "StartWorkflowExecution",
    "temporal.api.command.v1.SignalExternalWorkflowExecutionCommandAttributes": "SignalWorkflowExecution",
    "temporal.api.command.v1.RequestCancelExternalWorkflowExecutionCommandAttributes": "RequestCancelWorkflowExecution",
}
"""Messages inside of requests whose ``namespace`` is one that something is done in, and the RPC that does the same."""

_POINTER = "it is kept and shown, and nothing is looked up by it"
MENTIONED = {
    "temporal.api.common.v1.Link.Activity.namespace": _POINTER,
    "temporal.api.common.v1.Link.Callback.namespace": _POINTER,
    "temporal.api.common.v1.Link.NexusOperation.namespace": _POINTER,
    "temporal.api.common.v1.Link.Workflow.namespace": _POINTER,
    "temporal.api.common.v1.Link.WorkflowEvent.namespace": _POINTER,
    "temporal.api.failure.v1.ChildWorkflowExecutionFailureInfo.namespace": "it tells of what has happened",
    "temporal.api.nexus.v1.EndpointTarget.Worker.namespace": "only administrators of the server make endpoints",
    "temporal.api.operatorservice.v1.DeleteNamespaceRequest.namespace_id": "without a name it needs a role for all",
}
"""Fields that name a namespace in which nothing is done by them, or that are looked after otherwise, and why."""


def targets_of(method: str, request: Message) -> list[Target]:
    """Everything that a request reaches; its own namespace first."""
    own = _own_namespace(request)
    scope, access = needs(method)
    targets = [Target(method, own, scope, access, request)]
    seen = {(method, own)}
    for each in _nested(request):
        name: str = getattr(each, "namespace")  # noqa: B009  # the messages of NESTED have it, their common class not
        path = path_of(NESTED[each.DESCRIPTOR.full_name])
        if name and name != own and (path, name) not in seen:
            seen.add((path, name))
            targets.append(Target(path, name, *needs(path), request))
    return targets


def _own_namespace(request: Message) -> str:
    name: str = getattr(request, "namespace", "")
    if not name:
        token: bytes = getattr(request, "task_token", b"")
        return namespace_of_task(token) if token else ""
    return name


def _nested(message: Message) -> Iterator[Message]:
    """The messages of `NESTED` inside of a message."""
    ways = _ways(message.DESCRIPTOR)
    for field, value in message.ListFields() if ways else ():
        if field.name not in ways:
            continue
        for each in (value,) if isinstance(value, Message) else value:
            if each.DESCRIPTOR.full_name in NESTED:
                yield each
            yield from _nested(each)


@cache
def _ways(kind: Descriptor) -> frozenset[str]:
    """The fields of a message through which one of `NESTED` can be reached."""
    parts = ((each.name, each.message_type) for each in kind.fields)
    return frozenset(name for name, part in parts if part is not None and _leads(part, frozenset()))


def _leads(kind: Descriptor, above: frozenset[str]) -> bool:
    if kind.full_name in NESTED:
        return True
    if kind.full_name in above or kind.full_name.startswith("google.") or kind.GetOptions().map_entry:
        return False
    inside = above | {kind.full_name}
    return any(field.message_type is not None and _leads(field.message_type, inside) for field in kind.fields)
