"""The gRPC listener: bytes, statuses, tokens, limits. Spoken to by grpcio, the SDK and the temporal CLI."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeNamespaceResponse
from temporalio.bridge.proto.health.v1 import HealthCheckRequest, HealthCheckResponse
from temporalio.service import ConnectConfig, KeepAliveConfig, ServiceClient

from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.transport.grpc_server import GrpcListener
from hotmesh_temporal.transport.methods import by_path, rpc_name
from tests.support.echo_frontend import EchoFrontend, NoBackend

DESCRIBE = "/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace"


@dataclass
class Served:
    frontend: EchoFrontend
    address: str
    channel: grpc.aio.Channel

    async def describe(self, namespace: str, **options: Any) -> DescribeNamespaceResponse:
        call = self.channel.unary_unary(
            DESCRIBE,
            request_serializer=DescribeNamespaceRequest.SerializeToString,
            response_deserializer=DescribeNamespaceResponse.FromString,
        )
        return await call(DescribeNamespaceRequest(namespace=namespace), **options)


async def serve(token: str | None = None) -> AsyncIterator[Served]:
    frontend = EchoFrontend(NoBackend(ConnectionSpec("nothing", url="nothing://transport")))
    listener = GrpcListener(frontend, token=token)
    address = await listener.start()
    async with grpc.aio.insecure_channel(address) as channel:
        yield Served(frontend, address, channel)
    await listener.close()


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    async for it in serve():
        yield it


@pytest_asyncio.fixture
async def guarded() -> AsyncIterator[Served]:
    async for it in serve("secret"):
        yield it


async def test_a_request_reaches_the_frontend_with_its_headers_and_deadline(served: Served) -> None:
    reply = await served.describe("hello", metadata=(("tenant", "a"), ("trace-bin", b"\x00")), timeout=20)
    assert reply.namespace_info.name == "hello"
    assert served.frontend.metadata["tenant"] == "a"
    assert served.frontend.metadata["trace-bin"] == b"\x00"
    assert served.frontend.deadline == pytest.approx(20, abs=1)


async def test_an_error_travels_with_its_details(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.describe("missing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "Namespace missing is not found."
    trailers: dict[str, Any] = dict(caught.value.trailing_metadata())
    status = GrpcStatus.FromString(trailers["grpc-status-details-bin"])
    detail = NamespaceNotFoundFailure()
    assert status.details[0].Unpack(detail)
    assert detail.namespace == "missing"


async def test_a_mistake_of_ours_is_internal_and_tells_nothing(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.describe("broken")
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret text" not in str(caught.value.details())
    assert "secret text" in caplog.text


@pytest.mark.parametrize("path", ["/temporal.api.workflowservice.v1.WorkflowService/Nothing", "/other.Service/Call"])
async def test_an_unknown_method_is_unimplemented(served: Served, path: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="unknown method") as caught:
        await served.channel.unary_unary(path)(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_caller_that_goes_away_cancels_the_handler(served: Served) -> None:
    call = asyncio.create_task(served.describe("slow"))
    assert await asyncio.to_thread(served.frontend.entered.wait, 5)
    call.cancel()
    assert await asyncio.to_thread(served.frontend.was_cancelled.wait, 5)


async def test_a_token_is_required_where_there_is_one(guarded: Served) -> None:
    for headers in ((), (("authorization", "Bearer other"),)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await guarded.describe("x", metadata=headers)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert guarded.frontend.calls == 0
    await guarded.describe("x", metadata=(("authorization", "Bearer secret"),))
    assert "authorization" not in guarded.frontend.metadata


async def test_large_messages_pass(served: Served) -> None:
    channel = grpc.aio.insecure_channel(served.address, options=[("grpc.max_receive_message_length", -1)])
    name = "x" * (8 * 1024 * 1024)
    async with channel:
        reply = await Served(served.frontend, served.address, channel).describe(name)
    assert reply.namespace_info.name == name


async def test_the_standard_health_service(served: Served) -> None:
    check = served.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    assert (await check(HealthCheckRequest())).status == HealthCheckResponse.ServingStatus.SERVING


async def test_the_sdk_connects(served: Served) -> None:
    client = await ServiceClient.connect(ConnectConfig(target_host=served.address))
    assert await client.check_health()


async def test_the_temporal_cli_connects(served: Served) -> None:
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    assert found, "the temporal command is part of the test requirements"
    process = await asyncio.create_subprocess_exec(
        found, "operator", "cluster", "health", "--address", served.address, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert (output.decode().strip(), process.returncode) == ("SERVING", 0)


async def test_frequent_pings_do_not_end_a_connection(served: Served) -> None:
    """The SDK's core pings every 30 s while polls wait; here 600 times as often."""
    config = ConnectConfig(target_host=served.address, keep_alive_config=KeepAliveConfig(50, 5000))
    client = await ServiceClient.connect(config)
    call = asyncio.create_task(client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="slow")))
    done, _ = await asyncio.wait([call], timeout=1)
    assert not done
    call.cancel()


async def test_a_port_in_use_is_an_error(served: Served) -> None:
    with pytest.raises(OSError, match=f"cannot listen on {served.address}"):
        await GrpcListener(served.frontend, port=int(served.address.rpartition(":")[2])).start()


async def test_closing_frees_the_port_and_may_be_repeated(served: Served) -> None:
    listener = GrpcListener(served.frontend)
    address = await listener.start()
    await listener.close()
    await listener.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) != 0


def test_every_method_of_the_sdks_clients_has_its_rpc() -> None:
    for method in by_path().values():
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in method.name).lstrip("_")
        assert rpc_name(snake) == method.name
