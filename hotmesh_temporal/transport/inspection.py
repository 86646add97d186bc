"""Calls about the server itself, which everybody may make: the watch of its health, and what it serves.

The check of its health is an RPC like any other; the watch is a stream. Reflection tells tools like grpcurl which
services there are, if ``grpcio-reflection`` is installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from temporalio.bridge.proto.health.v1 import HealthCheckRequest, HealthCheckResponse, health_pb2

from ..errors import Code, RpcError
from .interface import Frontend

HEALTH = "grpc.health.v1.Health"
_REFLECTIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
SERVICES = ("temporal.api.operatorservice.v1.OperatorService", "temporal.api.workflowservice.v1.WorkflowService")
"""What is served for applications."""

_LOOK_SECONDS = 0.25
_Context = grpc.aio.ServicerContext[Any, Any]
_State = HealthCheckResponse.ServingStatus.ValueType


def open_handlers(frontend: Frontend) -> tuple[grpc.GenericRpcHandler, ...]:
    """What answers the calls of this module, and no other call."""
    return tuple(each for each in (HealthWatch(frontend), reflection()) if each is not None)


class HealthWatch(grpc.GenericRpcHandler):
    """``grpc.health.v1.Health/Watch``: how the server is now, and each time when that changes."""

    def __init__(self, frontend: Frontend) -> None:
        self._frontend = frontend
        self._handler: Any = grpc.unary_stream_rpc_method_handler(
            self._watch,  # pyright: ignore[reportArgumentType]  # the stubs do not know of coroutines
            request_deserializer=HealthCheckRequest.FromString,
            response_serializer=HealthCheckResponse.SerializeToString,
        )

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """See base class."""
        return self._handler if handler_call_details.method == f"/{HEALTH}/Watch" else None

    async def _watch(self, request: HealthCheckRequest, context: _Context) -> AsyncIterator[HealthCheckResponse]:
        del context
        known: _State | None = None
        while True:
            state = await self._state(request)
            if state != known:
                known = state
                yield HealthCheckResponse(status=state)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _state(self, request: HealthCheckRequest) -> _State:
        try:
            reply = await self._frontend.call("health", "Check", request, metadata={}, deadline=None)
        except RpcError as error:
            unknown = error.code == Code.NOT_FOUND
            return HealthCheckResponse.SERVICE_UNKNOWN if unknown else HealthCheckResponse.NOT_SERVING
        assert isinstance(reply, HealthCheckResponse)
        return reply.status


def reflection() -> grpc.GenericRpcHandler | None:
    """What tells which services there are; None if ``grpcio-reflection`` is not installed."""
    try:
        from grpc_reflection.v1alpha import (  # pyright: ignore[reportMissingTypeStubs]  # it has none
            reflection,
            reflection_pb2,
        )
    except ImportError:
        return None
    servicer: Any = reflection.aio.ReflectionServicer([HEALTH, *_REFLECTIONS, *SERVICES], pool=_Pool())
    handler: Any = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    # Both versions have the same messages.
    return _Paths({f"/{name}/ServerReflectionInfo": handler for name in _REFLECTIONS})


class _Paths(grpc.GenericRpcHandler):
    def __init__(self, handlers: dict[str, Any]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


class _Pool:
    """All messages that there are, and the health service: the SDK has it under another name."""

    def __init__(self) -> None:
        self._common = Default()
        self._health = DescriptorPool()
        file = FileDescriptorProto()
        health_pb2.DESCRIPTOR.CopyToProto(file)
        renamed = text_format.MessageToString(file).replace(file.package, HEALTH.rpartition(".")[0])
        self._health.Add(text_format.Parse(renamed, FileDescriptorProto()))

    def __getattr__(self, name: str) -> Any:
        def find(*arguments: Any) -> Any:
            try:
                return getattr(self._health, name)(*arguments)
            except KeyError:
                return getattr(self._common, name)(*arguments)

        return find
