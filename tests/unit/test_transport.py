"""The gRPC listeners: bytes, statuses, tokens, limits. Spoken to by grpcio, the SDK and the temporal CLI."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping
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
from temporalio.service import (
    ConnectConfig,
    GrpcCompression,
    KeepAliveConfig,
    RPCError,
    RPCStatusCode,
    ServiceClient,
)

from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.transport.grpc_server import GrpcListener
from hotmesh_temporal.transport.interface import Frontend, Listener
from hotmesh_temporal.transport.loopback import LoopbackListener
from hotmesh_temporal.transport.methods import by_path, rpc_name
from tests.support.echo_frontend import EchoFrontend, NoBackend

DESCRIBE = "/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace"


TOKEN = "secret"
AUTHORIZATION = {"authorization": f"Bearer {TOKEN}"}


def make_grpc(frontend: Frontend) -> Listener:
    return GrpcListener(frontend, token=TOKEN)


def make_loopback(frontend: Frontend) -> Listener:
    return LoopbackListener(frontend, token=TOKEN)


@dataclass
class Served:
    frontend: EchoFrontend
    listener: Listener
    address: str
    channel: grpc.aio.Channel

    def rpc(self, path: str, request: Any = None, response: Any = None) -> Any:
        to_bytes = getattr(request, "SerializeToString", None)
        return self.channel.unary_unary(
            path, request_serializer=to_bytes, response_deserializer=getattr(response, "FromString", None)
        )

    async def describe(self, namespace: str, *, metadata: Mapping[str, Any] = AUTHORIZATION, **options: Any) -> str:
        call = self.rpc(DESCRIBE, DescribeNamespaceRequest, DescribeNamespaceResponse)
        reply = await call(DescribeNamespaceRequest(namespace=namespace), metadata=tuple(metadata.items()), **options)
        return reply.namespace_info.name

    async def sdk(self, **config: Any) -> ServiceClient:
        return await ServiceClient.connect(
            ConnectConfig(
                target_host=self.address,
                rpc_metadata=AUTHORIZATION,
                grpc_compression=GrpcCompression.NONE,
                **config,
            )
        )


@pytest_asyncio.fixture(params=[make_grpc, make_loopback])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    frontend = EchoFrontend(NoBackend(ConnectionSpec("nothing", url="nothing://transport")))
    listener: Listener = request.param(frontend)
    address = await listener.start()
    async with grpc.aio.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        yield Served(frontend, listener, address, channel)
    await listener.close()


async def test_a_request_reaches_the_frontend_with_its_headers_and_deadline(served: Served) -> None:
    headers = {**AUTHORIZATION, "tenant": "a", "trace-bin": b"\x00\xff"}
    assert await served.describe("hello", metadata=headers, timeout=20) == "hello"
    assert served.frontend.metadata["tenant"] == "a"
    assert served.frontend.metadata["trace-bin"] == b"\x00\xff"
    assert "authorization" not in served.frontend.metadata
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


async def test_an_error_may_say_anything(served: Served) -> None:
    text = "50 % of ünïcode\n\tand «more» ~ \x7f"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.describe("fail:" + text)
    assert caught.value.details() == text


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
        await served.rpc(path)(b"", metadata=tuple(AUTHORIZATION.items()))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_that_is_not_the_rpcs_message_is_refused(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.rpc(DESCRIBE)(b"\xff\xff", metadata=tuple(AUTHORIZATION.items()))
    assert caught.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    assert served.frontend.calls == 0


async def test_a_caller_that_goes_away_cancels_the_handler(served: Served) -> None:
    call = asyncio.create_task(served.describe("slow"))
    assert await asyncio.to_thread(served.frontend.entered.wait, 5)
    call.cancel()
    assert await asyncio.to_thread(served.frontend.was_cancelled.wait, 5)
    assert await served.describe("next") == "next"


async def test_a_connection_that_is_lost_cancels_its_handlers(served: Served) -> None:
    channel = grpc.aio.insecure_channel(served.address)
    call = asyncio.create_task(Served(served.frontend, served.listener, served.address, channel).describe("slow"))
    assert await asyncio.to_thread(served.frontend.entered.wait, 5)
    await channel.close()
    assert await asyncio.to_thread(served.frontend.was_cancelled.wait, 5)
    with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
        await call


async def test_a_deadline_ends_a_call(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.describe("slow", timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await asyncio.to_thread(served.frontend.was_cancelled.wait, 5)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer other"}])
async def test_a_token_is_required_where_there_is_one(served: Served, headers: dict[str, str]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.describe("x", metadata=headers)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert served.frontend.calls == 0


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_384, 65_535, 65_536, 1_000_000, 20_000_000])
async def test_messages_of_every_size_pass(served: Served, size: int) -> None:
    name = "x" * size
    assert await served.describe(name) == name


async def test_many_calls_at_once_with_large_messages(served: Served) -> None:
    names = [str(n) * (n * 3_000) for n in range(40)]
    assert await asyncio.gather(*(served.describe(name) for name in names)) == names


async def test_a_large_answer_to_one_call_does_not_stop_the_others(served: Served) -> None:
    client = await served.sdk()
    big = asyncio.create_task(client.workflow_service.describe_namespace(DescribeNamespaceRequest(id="x" * 5_000_000)))
    for n in range(50):
        reply = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=str(n)))
        assert reply.namespace_info.name == str(n)
    assert len((await big).namespace_info.name) == 5_000_000


async def test_the_standard_health_service(served: Served) -> None:
    check = served.rpc("/grpc.health.v1.Health/Check", HealthCheckRequest, HealthCheckResponse)
    reply = await check(HealthCheckRequest(), metadata=tuple(AUTHORIZATION.items()))
    assert reply.status == HealthCheckResponse.ServingStatus.SERVING


async def test_the_sdk_connects(served: Served) -> None:
    client = await served.sdk()
    assert await client.check_health()
    with pytest.raises(RPCError) as caught:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="missing"))
    assert caught.value.status is RPCStatusCode.NOT_FOUND
    assert NamespaceNotFoundFailure.DESCRIPTOR.full_name in caught.value.grpc_status.details[0].type_url


async def test_frequent_pings_do_not_end_a_connection(served: Served) -> None:
    """The SDK's core pings every 30 s while polls wait; here 600 times as often."""
    client = await served.sdk(keep_alive_config=KeepAliveConfig(50, 5000))
    call = asyncio.create_task(client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="slow")))
    done, _ = await asyncio.wait([call], timeout=1)
    assert not done
    call.cancel()


async def test_closing_ends_calls_and_frees_the_port_and_may_be_repeated(served: Served) -> None:
    call = asyncio.create_task(served.describe("slow"))
    assert await asyncio.to_thread(served.frontend.entered.wait, 5)
    await served.listener.close()
    await served.listener.close()
    assert await asyncio.to_thread(served.frontend.was_cancelled.wait, 5)
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(served.address.rpartition(":")[2]))) != 0


async def test_a_port_in_use_is_an_error(served: Served) -> None:
    with pytest.raises(OSError, match=f"cannot listen on {served.address}"):
        await GrpcListener(served.frontend, port=int(served.address.rpartition(":")[2])).start()


async def test_the_public_port_needs_no_token_and_serves_the_temporal_cli() -> None:
    frontend = EchoFrontend(NoBackend(ConnectionSpec("nothing", url="nothing://public")))
    listener = GrpcListener(frontend)
    address = await listener.start()
    async with grpc.aio.insecure_channel(address) as channel:
        assert await Served(frontend, listener, address, channel).describe("x", metadata={}) == "x"
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    assert found, "the temporal command is part of the test requirements"
    command = [found, "operator", "cluster", "health", "--address", address]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert (output.decode().strip(), process.returncode) == ("SERVING", 0)
    await listener.close()


def test_every_method_of_the_sdks_clients_has_its_rpc() -> None:
    for method in by_path().values():
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in method.name).lstrip("_")
        assert rpc_name(snake) == method.name
