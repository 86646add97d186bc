"""Health and reflection of a served port, as on the real server: what each of the two answers is compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest_asyncio
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2  # pyright: ignore[reportMissingTypeStubs]  # it has none
from temporalio.bridge.proto.health.v1 import HealthCheckRequest, HealthCheckResponse

from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.transport.grpc_server import GrpcListener
from tests.access.support import Caller
from tests.quorum.conftest import engine_on
from tests.support.temporal_server import TemporalServer

SERVICES = [
    "",
    "temporal.api.workflowservice.v1.WorkflowService",
    "temporal.api.operatorservice.v1.OperatorService",
    "grpc.health.v1.Health",
    "nobody.knows.it",
]
REFLECTIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
ADMIN = "temporal.server.api.adminservice.v1.AdminService"
"""The real server's own tool speaks it; we have none."""


class Served:
    """An engine and its port."""

    def __init__(self, frontend: Frontend, address: str) -> None:
        self.frontend = frontend
        self.address = address


@pytest_asyncio.fixture
async def ours(tmp_path: Path) -> AsyncIterator[Served]:
    frontend = engine_on(tmp_path / "x.sqlite3")
    await frontend.start()
    listener = GrpcListener(frontend)
    yield Served(frontend, await listener.start())
    await listener.close()
    await frontend.close()


def watch(channel: Any, service: str) -> Any:
    call = channel.unary_stream(
        "/grpc.health.v1.Health/Watch", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
    )
    return call(HealthCheckRequest(service=service), timeout=10)


async def told(channel: Any, version: str, **question: Any) -> Any:
    """The answer to a question of reflection."""
    call = channel.stream_stream(
        f"/{version}/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    async for reply in call(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=10):
        return reply


async def seen(address: str) -> dict[str, Any]:
    """What a server says of itself."""
    found: dict[str, Any] = {}
    caller = Caller(address)
    async with grpc.aio.insecure_channel(address) as channel:
        for service in SERVICES:
            found[f"check {service}"] = await caller.refusal(HealthCheckRequest(service=service))
            stream = watch(channel, service)
            found[f"watch {service}"] = (await stream.read()).status
            stream.cancel()
        for version in REFLECTIONS:
            listed = await told(channel, version, list_services="")
            names = [each.name for each in listed.list_services_response.service]
            found[f"{version} lists"] = sorted(name for name in names if name != ADMIN)
            for symbol in (*SERVICES[1:], "temporal.api.common.v1.Payload"):
                reply = await told(channel, version, file_containing_symbol=symbol)
                files = [
                    FileDescriptorProto.FromString(each)
                    for each in reply.file_descriptor_response.file_descriptor_proto
                ]
                services = [f"{each.package}.{part.name}" for each in files[:1] for part in each.service]
                found[f"{version} shows {symbol}"] = (services, reply.error_response.error_code)
    await caller.close()
    return found


async def test_the_server_says_of_itself_what_the_real_one_says(ours: Served) -> None:
    server = TemporalServer()
    await server.start()
    try:
        assert await seen(ours.address) == await seen(server.address)
    finally:
        server.stop()


async def test_a_watch_hears_of_the_end(ours: Served) -> None:
    async with grpc.aio.insecure_channel(ours.address) as channel:
        stream = watch(channel, "")
        assert (await stream.read()).status == HealthCheckResponse.SERVING
        ours.frontend.drain(10)
        assert (await asyncio.wait_for(stream.read(), 5)).status == HealthCheckResponse.NOT_SERVING


async def test_a_tool_can_make_a_call_from_what_it_is_shown(ours: Served) -> None:
    """All files that a service needs come along, so that its messages can be made from nothing else."""
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    name = "temporal.api.workflowservice.v1.WorkflowService"
    async with grpc.aio.insecure_channel(ours.address) as channel:
        reply = await told(channel, REFLECTIONS[0], file_containing_symbol=name)
        shown = [FileDescriptorProto.FromString(each) for each in reply.file_descriptor_response.file_descriptor_proto]
        files, pool = {each.name: each for each in shown}, DescriptorPool()

        def add(file: str) -> None:
            found = files.pop(file, None)
            if found is not None:
                for needed in found.dependency:
                    add(needed)
                pool.Add(found)

        for file in list(files):
            add(file)
        method: Any = pool.FindMethodByName(f"{name}.GetSystemInfo")
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        untyped: Any = channel
        call = untyped.unary_unary(f"/{name}/GetSystemInfo")
        answer: Any = response.FromString(await call(request().SerializeToString(), timeout=5))
        assert answer.server_version
