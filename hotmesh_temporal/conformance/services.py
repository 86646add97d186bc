"""What holds for the services of every backend, whichever it offers."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.backend import Backend
from ..contracts.errors import InvalidArgument, NotInitialized
from ..contracts.keys import parse_key
from ..contracts.stream import StreamService
from ..contracts.types import KeyParams, KeyType
from .fixtures import Connect, Names, OpenBackend
from .support import GROUP, stream_name, stream_of, sub_of


@pytest.mark.asyncio
class TestServices:
    """Opening and closing a backend; its streams and notices are its own."""

    async def test_it_offers_something(self, backend: Backend) -> None:
        assert any((backend.store, backend.stream, backend.sub, backend.search))

    async def test_no_stream_before_init(self, connect: Connect) -> None:
        stream = connect().stream
        if stream is None:  # a backend may make its services in open
            return
        with pytest.raises(NotInitialized):
            stream.mint_key(KeyType.STREAMS, KeyParams())
        with pytest.raises(NotInitialized):
            await stream.publish_messages("any", ["a"])

    async def test_stream_init_again_changes_nothing(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a"])
        bound = parse_key(orders)
        await stream.init(bound.namespace, bound.app_id)
        assert await stream.get_stream_depth(orders) == 1

    async def test_opening_at_once(self, open_backend: OpenBackend) -> None:
        backends = await asyncio.gather(*(open_backend() for _ in range(6)))
        streams = [stream_of(each) for each in backends]
        await asyncio.gather(*(each.publish_messages(stream_name(each), ["a"]) for each in streams))
        assert await streams[0].get_stream_depth(stream_name(streams[0])) == 6

    async def test_what_was_published_outlives_its_publisher(self, open_backend: OpenBackend) -> None:
        first = await open_backend()
        await stream_of(first).publish_messages(stream_name(stream_of(first)), ["a"])
        await first.close()
        stream = stream_of(await open_backend())
        assert [each.data for each in await stream.consume_messages(stream_name(stream), GROUP, "c")] == ["a"]

    async def test_closing_twice(self, open_backend: OpenBackend) -> None:
        backend = await open_backend()
        for service in (sub_of(backend), stream_of(backend)):
            await service.close()
            await service.close()
        await backend.close()
        await backend.close()

    @pytest.mark.parametrize(("namespace", "app_id"), [("n:s", "app"), ("ns", "a"), ("ns", "x:y")])
    async def test_names_that_cannot_be(self, open_backend: OpenBackend, namespace: str, app_id: str) -> None:
        with pytest.raises(InvalidArgument):
            await open_backend(namespace=namespace, app_id=app_id)

    @pytest.mark.parametrize("names_of_other", [("", ".x"), (".y", ""), ("_", "-"), ("=2E", "")])
    async def test_apps_share_no_stream(
        self, stream: StreamService, open_backend: OpenBackend, names: Names, names_of_other: tuple[str, str]
    ) -> None:
        namespace, app_id = (
            own + more for own, more in zip((names.namespace, names.app_id), names_of_other, strict=True)
        )
        theirs = stream_of(await open_backend(namespace=namespace, app_id=app_id))
        await stream.publish_messages(stream_name(stream), ["ours"])
        assert await theirs.consume_messages(stream_name(theirs), GROUP, "c") == []
        assert await theirs.list_messages() == []

    async def test_one_identity(self, backend: Backend, peer: Backend) -> None:
        assert backend.identity == peer.identity != ""
