"""The RPCs that are served, read from the service descriptors of the installed SDK."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.operatorservice.v1 import service_pb2 as operator_pb2
from temporalio.api.testservice.v1 import service_pb2 as test_pb2
from temporalio.api.workflowservice.v1 import service_pb2 as workflow_pb2
from temporalio.bridge.proto.health.v1 import health_pb2

# The SDK compiles the standard health messages under a package of its own; on the wire they are the same.
_HEALTH = "grpc.health.v1.Health"


@dataclass(frozen=True)
class Method:
    """One RPC: the names that `Frontend.call` takes, and the class of its request."""

    service: str
    name: str
    request: type[Message]


def _services() -> Iterator[tuple[str, str, ServiceDescriptor]]:
    for short, full, file in (
        ("workflow", "", workflow_pb2.DESCRIPTOR),
        ("operator", "", operator_pb2.DESCRIPTOR),
        ("test", "", test_pb2.DESCRIPTOR),
        ("health", _HEALTH, health_pb2.DESCRIPTOR),
    ):
        services: dict[str, Any] = dict(file.services_by_name)
        for descriptor in services.values():
            yield short, full or descriptor.full_name, descriptor


@cache
def by_path() -> dict[str, Method]:
    """Every unary RPC by its HTTP/2 path, ``/package.Service/Method``."""
    return {
        f"/{full}/{rpc.name}": Method(short, rpc.name, GetMessageClass(rpc.input_type))
        for short, full, descriptor in _services()
        for rpc in descriptor.methods
        if not (rpc.client_streaming or rpc.server_streaming)
    }


@cache
def rpc_name(snake: str) -> str:
    """The RPC of a method of the SDK's service clients: ``start_workflow_execution`` → ``StartWorkflowExecution``."""
    return "".join(word.capitalize() for word in snake.split("_"))
