"""The engine of a process and the service client on it: life cycle, crossing between loops, errors, time limits."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import ConnectConfig, RetryConfig, RPCError, RPCStatusCode

from hotmesh_temporal import connection
from hotmesh_temporal.connection import Connections, parse
from hotmesh_temporal.contracts.backend import Backend
from hotmesh_temporal.service_client import ConnectionFailed, HotMeshServiceClient
from tests.support.echo_frontend import EchoFrontend


class Echo:
    """Makes clients; keeps the frontends that their engines use."""

    def __init__(self) -> None:
        self.frontends: list[EchoFrontend] = []

    def _make(self, backend: Backend) -> EchoFrontend:
        self.frontends.append(EchoFrontend(backend))
        return self.frontends[-1]

    def client(self, url: str = "nothing://one", **config: object) -> HotMeshServiceClient:
        settings = ConnectConfig(target_host="", **config)  # pyright: ignore[reportArgumentType]  # keywords by name
        return HotMeshServiceClient(settings, Connections.of(parse(url)), factory=self._make)

    async def connected(self, url: str = "nothing://one", **config: object) -> HotMeshServiceClient:
        client = self.client(url, **config)
        await client.connect_engine()
        return client


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Echo:
    providers = {**connection._BUILT_IN, "nothing": "tests.support.echo_frontend:NoBackend"}  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(connection, "_BUILT_IN", providers)
    return Echo()


async def describe(
    client: HotMeshServiceClient, namespace: str, *, retry: bool = False, timeout: float | None = None
) -> str:
    reply = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=namespace),
        retry=retry,
        timeout=timedelta(seconds=timeout) if timeout else None,
    )
    return reply.namespace_info.name


async def test_a_call_crosses_to_the_engine_thread_and_back(echo: Echo) -> None:
    client = await echo.connected()
    assert await describe(client, "hello") == "hello"
    assert echo.frontends[0].thread.startswith("hotmesh-engine")
    await client.close()


async def test_messages_are_passed_by_value(echo: Echo) -> None:
    client = await echo.connected()
    request = DescribeNamespaceRequest(namespace="value")
    reply = await client.workflow_service.describe_namespace(request)
    assert echo.frontends[0].request == request
    assert echo.frontends[0].request is not request
    assert echo.frontends[0].reply == reply
    assert echo.frontends[0].reply is not reply
    await client.close()


async def test_clients_of_one_database_share_an_engine_until_the_last_is_closed(echo: Echo) -> None:
    one, two, other = await echo.connected(), await echo.connected(), await echo.connected("nothing://two")
    assert [frontend.identity for frontend in echo.frontends] == ["nothing://one", "nothing://two"]
    await one.close()
    assert await describe(two, "still here") == "still here"
    await two.close()
    await two.close()
    assert [frontend.closed for frontend in echo.frontends] == [1, 0]
    await other.close()
    again = await echo.connected()
    assert len(echo.frontends) == 3
    await again.close()


async def test_a_closed_client_refuses_calls(echo: Echo) -> None:
    client = await echo.connected()
    await client.close()
    with pytest.raises(RuntimeError, match="The client is closed"):
        await describe(client, "x")


async def test_a_database_that_cannot_be_reached_is_reported_and_can_be_tried_again(echo: Echo) -> None:
    for _ in range(2):
        with pytest.raises(ConnectionFailed, match="Failed client connect: nothing listens there; start it"):
            await echo.connected("nothing://unreachable")
    assert len(echo.frontends) == 2


async def test_errors_carry_status_and_details(echo: Echo) -> None:
    client = await echo.connected()
    with pytest.raises(RPCError, match=r"^Namespace missing is not found\.$") as caught:
        await describe(client, "missing", retry=True)
    assert caught.value.status is RPCStatusCode.NOT_FOUND
    detail = NamespaceNotFoundFailure()
    assert caught.value.grpc_status.details[0].Unpack(detail)
    assert detail.namespace == "missing"
    await client.close()


async def test_transient_errors_are_tried_again_only_when_asked(echo: Echo) -> None:
    client = await echo.connected(retry_config=RetryConfig(initial_interval_millis=1))
    with pytest.raises(RPCError) as caught:
        await describe(client, "busy")
    assert caught.value.status is RPCStatusCode.UNAVAILABLE
    assert await describe(client, "busy", retry=True) == "busy"
    await client.close()


async def test_retries_end(echo: Echo) -> None:
    client = await echo.connected(retry_config=RetryConfig(initial_interval_millis=1, max_retries=0))
    with pytest.raises(RPCError):
        await describe(client, "busy", retry=True)
    await client.close()


async def test_a_timeout_ends_the_call_on_both_sides(echo: Echo) -> None:
    client = await echo.connected()
    with pytest.raises(RPCError, match="Timeout expired") as caught:
        await describe(client, "slow", timeout=0.05)
    assert caught.value.status is RPCStatusCode.CANCELLED  # as the SDK's core reports its own time limit
    assert await asyncio.to_thread(echo.frontends[0].was_cancelled.wait, 5)
    assert echo.frontends[0].deadline == pytest.approx(0.05)
    await client.close()


async def test_without_a_timeout_the_limits_of_the_core_hold(echo: Echo) -> None:
    client = await echo.connected()
    await describe(client, "x")
    assert echo.frontends[0].deadline == 30
    await client.close()


async def test_cancelling_the_caller_cancels_the_call(echo: Echo) -> None:
    client = await echo.connected()
    call = asyncio.create_task(describe(client, "slow"))
    assert await asyncio.to_thread(echo.frontends[0].entered.wait, 5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(echo.frontends[0].was_cancelled.wait, 5)
    await client.close()


async def test_closing_ends_the_calls_under_way(echo: Echo) -> None:
    client = await echo.connected()
    call = asyncio.create_task(describe(client, "slow"))
    assert await asyncio.to_thread(echo.frontends[0].entered.wait, 5)
    await client.close()
    with pytest.raises(RPCError, match="the engine was closed during the call") as caught:
        await call
    assert caught.value.status is RPCStatusCode.CANCELLED


async def test_a_lazy_client_connects_with_its_first_call(echo: Echo) -> None:
    client = echo.client(lazy=True)
    assert not echo.frontends
    with pytest.raises(RuntimeError, match="Lazy clients cannot be used for workers"):
        _ = client.worker_service_client
    assert await describe(client, "now") == "now"
    await client.close()


async def test_headers_are_merged_and_checked(echo: Echo) -> None:
    client = await echo.connected(rpc_metadata={"Tenant": "a", "trace-bin": b"\x00"})
    await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="x"), metadata={"tenant": "b"})
    seen = echo.frontends[0].metadata
    assert (seen["tenant"], seen["trace-bin"], seen["client-name"]) == ("b", b"\x00", "temporal-python")
    with pytest.raises(TypeError, match="must end with '-bin'"):
        client.update_rpc_metadata({"trace": b"\x00"})
    await client.close()


async def test_one_client_serves_several_event_loops(echo: Echo) -> None:
    client = await echo.connected()

    def elsewhere(name: str) -> str:
        return asyncio.run(describe(client, name))

    names = await asyncio.gather(*(asyncio.to_thread(elsewhere, f"loop{n}") for n in range(3)))
    assert names == ["loop0", "loop1", "loop2"]
    await client.close()


async def test_a_blocked_caller_does_not_stop_the_engine(echo: Echo) -> None:
    client = await echo.connected()
    call = asyncio.create_task(describe(client, "x"))
    await asyncio.sleep(0)
    deadline = time.monotonic() + 5
    while echo.frontends[0].calls == 0 and time.monotonic() < deadline:
        time.sleep(0.001)  # noqa: ASYNC251  (blocking this loop is the point)
    assert echo.frontends[0].calls == 1
    assert await call == "x"
    await client.close()


async def test_the_worker_client_speaks_to_the_same_frontend(echo: Echo) -> None:
    client = await echo.connected()
    worker_client = client.worker_service_client
    assert worker_client is client.worker_service_client
    reply = await worker_client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="grpc"))
    assert reply.namespace_info.name == "grpc"
    assert await worker_client.check_health()
    await client.close()


async def test_metadata_set_later_reaches_workers_and_keeps_the_token(echo: Echo) -> None:
    client = await echo.connected()
    worker_client = client.worker_service_client
    client.update_rpc_metadata({"tenant": "late"})
    await worker_client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="x"))
    assert echo.frontends[0].metadata["tenant"] == "late"
    assert "authorization" not in echo.frontends[0].metadata
    await client.close()
