"""NATS beyond the kit: servers that refuse, go away and come back; quiet while idle; names; existing clients."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import nats
import pytest
import pytest_asyncio
from hotmesh_temporal.providers.nats import NatsBackend, connection
from hotmesh_temporal.providers.nats.names import Names, text_of, token

from hotmesh_temporal.conformance.support import GROUP, stream_name, stream_of, sub_of
from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.contracts.errors import ContractError, InvalidArgument, Unavailable
from hotmesh_temporal.contracts.types import KeyType
from tests.support.nats_server import NatsServer
from tests.support.ports import free_port

driver: Any = nats  # it leaves types in its signatures open

Opener = Callable[..., Coroutine[Any, Any, NatsBackend]]


@pytest_asyncio.fixture
async def opened() -> AsyncGenerator[Opener, None]:
    """Opens backends on one namespace, and closes them."""
    backends: list[NatsBackend] = []
    namespace = f"ns{uuid.uuid4().hex[:10]}"

    async def open_one(url: str = "", **options: Any) -> NatsBackend:
        spec = ConnectionSpec("nats", options={"servers": url, **options}) if options else ConnectionSpec("nats", url)
        backend = NatsBackend(spec)
        backends.append(backend)
        await backend.open(namespace, "app", "engine")
        return backend

    yield open_one
    for backend in backends:
        await backend.close()


async def repeated(call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """The result of a call that may be refused for some seconds."""
    for _ in range(100):
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(0.1)
    return await call()


# -- refusals ---------------------------------------------------------------------------------------------------------


async def test_nobody_there(opened: Opener) -> None:
    with pytest.raises(Unavailable, match=r"cannot be reached .*start it with `nats-server -js`"):
        await opened(f"nats://user:secret@127.0.0.1:{free_port()}")


async def test_the_password_is_not_repeated(opened: Opener) -> None:
    with pytest.raises(Unavailable) as caught:
        await opened(f"nats://user:secret@127.0.0.1:{free_port()}")
    assert "secret" not in str(caught.value)


async def test_jetstream_is_off(opened: Opener) -> None:
    with (
        NatsServer(jetstream=False) as server,
        pytest.raises(Unavailable, match=r"without JetStream.*nats-server -js -sd"),
    ):
        await opened(server.url)


async def test_a_wrong_password(opened: Opener) -> None:
    with NatsServer(arguments=["--user", "me", "--pass", "right"]) as server:
        with pytest.raises(Unavailable, match=r"refused the login .*user_credentials"):
            await opened(server.url)
        backend = await opened(server.url, user="me", password="right")
        await stream_of(backend).publish_messages(stream_name(stream_of(backend)), ["a"])
        await opened(server.url.replace("nats://", "nats://me:right@"))


async def test_messages_too_small(opened: Opener) -> None:
    with (
        NatsServer(config="max_payload: 64KB\n") as server,
        pytest.raises(Unavailable, match="set max_payload to 1MB or more"),
    ):
        await opened(server.url)


@pytest.mark.parametrize(
    ("options", "text"),
    [({"replicas": 2}, "1, 3 or 5"), ({"servers": ["nats://x:port"]}, "nats://host:4222")],
)
def test_wrong_options(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        NatsBackend(ConnectionSpec("nats", options=options))


# -- forms ------------------------------------------------------------------------------------------------------------


def test_one_identity_without_secrets() -> None:
    url = ConnectionSpec("nats", url="nats://u:secret@a:4222,nats://b?replicas=3")
    options = ConnectionSpec("nats", options={"servers": ["b:4222", "a"], "token": "secret", "replicas": 1})
    assert NatsBackend(url).identity == NatsBackend(options).identity == "nats:a:4222,b:4222"


async def test_an_existing_client_says_how_to_connect(opened: Opener, nats_url: str) -> None:
    with NatsServer(arguments=["--user", "me", "--pass", "right"]) as server:
        client = await driver.connect(server.url, user="me", password="right")
        backend = NatsBackend(ConnectionSpec("nats", existing=client))
        await backend.open("ns", "app", "engine")
        await backend.close()
        assert client.is_connected
        await client.close()
    with pytest.raises(InvalidArgument, match="existing object"):
        NatsBackend(ConnectionSpec("nats", existing=object()))


@pytest.mark.parametrize("text", ["", "a b", "a.b", "*", ">", "=", "=41", "ü\ud800", "\n", "A", "a"])
def test_tokens_are_legal_and_tell_their_text(text: str) -> None:
    assert not set(token(text)) & set(" .*>\r\n\t")
    assert text_of(token(text)) == text


def test_no_two_names_share_a_token() -> None:
    names = Names("ns", "app")
    texts = ["", "=", "a", "A", "ns:app:x:a", "ns:app:x:=", "x" * 400, "ns:app:x:" + "x" * 400, "x" * 401]
    assert len({names.queue(text) for text in texts}) == len(texts)


# -- away and back ----------------------------------------------------------------------------------------------------


async def test_a_killed_server_comes_back_with_everything(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    heard: list[int] = []
    with NatsServer() as server:
        backend, peer = await opened(server.url), await opened(server.url)
        stream, orders = stream_of(backend), stream_name(stream_of(backend))
        await sub_of(backend).subscribe(KeyType.QUORUM, lambda _, message: heard.append(message["n"]), "app")
        ids = await stream.publish_messages(orders, ["leased", "ready"])
        (leased,) = await stream.consume_messages(orders, GROUP, "c", lease_ms=60_000)
        waiting = asyncio.create_task(
            stream_of(peer).consume_messages(stream_name(stream, "other"), GROUP, "c", block_timeout=30_000)
        )
        await asyncio.sleep(0.2)
        server.kill()
        with pytest.raises(ContractError):
            await stream.publish_messages(orders, ["lost"])
        server.start()
        assert [each.data for each in await repeated(lambda: stream.consume_messages(orders, GROUP, "c"))] == ["ready"]
        assert await stream.ack_and_delete(orders, GROUP, ids, consumer="c", attempt=1) == 2
        assert leased.message_id == ids[0]
        await repeated(lambda: stream_of(peer).publish_messages(stream_name(stream, "other"), ["woken"]))
        assert [each.data for each in await waiting] == ["woken"]
        await repeated(lambda: sub_of(peer).publish(KeyType.QUORUM, {"n": 1}, "app"))
        await asyncio.sleep(0.1)
        assert heard == [1]
    said = [record.message for record in caplog.records if "nats" in record.name]
    assert any("waiting for it to come back" in each for each in said)
    assert any("is back after" in each for each in said)
    assert len(said) < 12


async def test_a_driver_that_stopped_reading(opened: Opener, nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does so after an error of its own, and says nothing: the connection is made anew."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.3)
    backend: Any = await opened(nats_url)
    orders = stream_name(stream_of(backend))
    await stream_of(backend).publish_messages(orders, ["before"])
    client = backend._connection.client
    client._reading_task.cancel()
    with pytest.raises(Unavailable, match="did not answer"):
        await stream_of(backend).publish_messages(orders, ["lost"])
    await repeated(lambda: stream_of(backend).publish_messages(orders, ["after"]))
    assert backend._connection.client is not client


# -- cost -------------------------------------------------------------------------------------------------------------


async def test_a_thousand_queues_need_nothing_in_the_server(opened: Opener, nats_url: str) -> None:
    backend = await opened(nats_url)
    stream = stream_of(backend)
    names = [stream_name(stream, f"sticky-{number}") for number in range(1000)]
    await asyncio.gather(*(stream.consume_messages(name, GROUP, "c") for name in names))
    await asyncio.gather(*(stream.publish_messages(name, ["a"]) for name in names[:700]))
    assert await stream.get_ready_streams(names) == names[:700]
    client = await driver.connect(nats_url)
    info = await client.jetstream().stream_info(Names(names[0].split(":")[0], "app").log)
    await client.close()
    assert (info.state.consumer_count, info.state.messages) == (0, 700)


async def test_waiting_is_quiet(opened: Opener, nats_url: str) -> None:
    backend = await opened(nats_url)
    stream = stream_of(backend)
    requests: list[str] = []
    client = await driver.connect(nats_url)

    async def note(message: Any) -> None:
        requests.append(message.subject)

    await client.subscribe("$JS.API.>", cb=note)
    await client.flush()
    names = [stream_name(stream, f"queue-{number}") for number in range(5)]
    waiting = [stream.consume_messages(name, GROUP, "c", block_timeout=2500) for name in names]
    assert await asyncio.gather(*waiting) == [[]] * 5
    await client.close()
    # One look at the beginning and one at the end.
    assert 5 <= len(requests) <= 10


async def test_priority_counts_in_a_long_queue(opened: Opener, nats_url: str) -> None:
    stream = stream_of(await opened(nats_url))
    orders = stream_name(stream)
    await stream.publish_messages(orders, [str(number) for number in range(200)])
    await stream.publish_messages(orders, ["urgent"], priority=1)
    assert [each.data for each in await stream.consume_messages(orders, GROUP, "c", batch_size=2)] == ["urgent", "0"]


async def test_long_names_are_told_in_full(opened: Opener, nats_url: str) -> None:
    stream = stream_of(await opened(nats_url))
    orders = stream_name(stream, "ü " * 300)
    await stream.publish_messages(orders, ["a"])
    await stream.consume_messages(orders, GROUP, "c")
    assert [each.stream for each in await stream.list_messages()] == [orders]
