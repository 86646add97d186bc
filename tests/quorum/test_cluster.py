"""The database as a cluster: one id for all processes and for ever. And how engines start."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest, GetClusterInfoResponse

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.contracts.errors import NotSupported
from hotmesh_temporal.contracts.store import StoreService
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime import versions
from hotmesh_temporal.runtime.keys import APP_ID
from tests.support import by_hand


async def _id(engine: Frontend) -> str:
    response = await by_hand.call(engine, GetClusterInfoRequest(), GetClusterInfoResponse)
    return response.cluster_id


async def test_processes_that_ask_at_once_get_the_same_id_and_later_ones_too(database: str) -> None:
    engines = [Frontend(resolve(database).backend()) for _ in range(4)]
    for engine in engines:
        await engine.start()
    ids = set(await asyncio.gather(*(_id(engine) for engine in engines)))
    settings = await engines[0].runtime.store.get_settings()
    for engine in engines:
        await engine.close()
    later = Frontend(resolve(database).backend())
    await later.start()
    ids.add(await _id(later))
    await later.close()
    assert ids == {settings["cluster_id"]}
    assert settings["cluster_name"] == "active"
    assert settings["version"]


async def test_an_engine_starts_without_waiting_for_one_answer_after_the_other(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Frontend(resolve(database).backend())
    await first.start()
    await first.close()
    engine = Frontend(resolve(database).backend())
    running = most = 0

    async def open_slow(namespace: str, app_id: str, engine_id: str) -> None:
        """The real backend, whose reads are all on their way before the first one is answered."""
        await opened(namespace, app_id, engine_id)
        store = engine.runtime.backend.store
        assert store is not None
        for name in ("get_app", "load_run", "get_throttle_rates"):
            monkeypatch.setattr(store, name, slow(getattr(store, name)))

    def slow(method: object) -> object:
        async def read(*arguments: object, **options: object) -> object:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.05)
            running -= 1
            return await method(*arguments, **options)  # type: ignore[operator]  # a method of the store

        return read

    opened = engine.runtime.backend.open
    monkeypatch.setattr(engine.runtime.backend, "open", open_slow)
    await engine.start()
    await engine.close()
    assert most == 4  # the version, two namespaces, the rates


async def test_a_database_of_an_unknown_version_is_refused_and_left_alone(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = Frontend(resolve(database).backend())
    with monkeypatch.context() as patch:
        patch.setattr(versions, "ENGINE_VERSIONS", ("1", "2"))
        await newer.start()
    await newer.close()
    backend = resolve(database).backend()
    with pytest.raises(NotSupported, match="install a newer"):
        await Frontend(backend).start()
    again = resolve(database).backend()
    await again.open("hmsh", APP_ID, "looker")
    store: StoreService | None = again.store
    assert store is not None
    app = await store.get_app(APP_ID, refresh=True)
    await again.close()
    assert app is not None
    assert app.version == "2"
