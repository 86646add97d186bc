"""Session, keys, settings, app versions and scout roles."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.backend import Backend
from ..contracts.errors import InvalidArgument, NotFound, NotInitialized
from ..contracts.store import StoreService
from ..contracts.types import HookSignal, KeyParams, KeyType, ThrottleOptions
from .fixtures import Connect, Names, OpenBackend
from .support import GROUP, search_of, store_of, stream_name, stream_of, sub_of

PARAMS = KeyParams(
    job_id="j:1",
    job_key="k:1",
    date_time="202611221200",
    facet="f:1",
    topic="t.a:b",
    time_value=1700,
    scout_type="time",
    activity_id="a1",
    app_version="1",
)
KEYS = {
    KeyType.HOTMESH: "NS",
    KeyType.APP: "NS:a:app",
    KeyType.THROTTLE_RATE: "NS:app:r:",
    KeyType.WORK_ITEMS: "NS:app:w:time",
    KeyType.TIME_RANGE: "NS:app:t:1700",
    KeyType.QUORUM: "NS:app:q:t.a:b",
    KeyType.JOB_STATE: "NS:app:j:j:1",
    KeyType.JOB_DEPENDENTS: "NS:app:d:j:1",
    KeyType.JOB_STATS_GENERAL: "NS:app:s:k%3A1:202611221200",
    KeyType.JOB_STATS_MEDIAN: "NS:app:s:k%3A1:202611221200:f:1",
    KeyType.JOB_STATS_INDEX: "NS:app:s:k%3A1:202611221200:f:1",
    KeyType.SCHEMAS: "NS:app:v:1:schemas",
    KeyType.SUBSCRIPTIONS: "NS:app:v:1:subscriptions",
    KeyType.SUBSCRIPTION_PATTERNS: "NS:app:v:1:transitions",
    KeyType.HOOKS: "NS:app:hooks",
    KeyType.SIGNALS: "NS:app:signals",
    KeyType.SYMKEYS: "NS:app:sym:keys:a1",
    KeyType.SYMVALS: "NS:app:sym:vals:",
    KeyType.STREAMS: "NS:app:x:t.a:b",
}


@pytest.mark.asyncio
class TestSession:
    """Opening, names and keys."""

    async def test_every_key_type_has_its_key(self, store: StoreService, names: Names) -> None:
        minted = {key_type: store.mint_key(key_type, PARAMS) for key_type in KeyType}
        assert minted == {key_type: key.replace("NS", names.namespace) for key_type, key in KEYS.items()}

    async def test_stream_and_sub_mint_the_same_keys(self, backend: Backend, names: Names) -> None:
        expected = f"{names.namespace}:app:x:t"
        assert stream_of(backend).mint_key(KeyType.STREAMS, KeyParams(topic="t", app_id="other")) == expected
        quorum = sub_of(backend).mint_key(KeyType.QUORUM, KeyParams(engine_id="e1"))
        assert quorum == f"{names.namespace}:app:q:e1"

    async def test_nothing_works_before_init(self, connect: Connect) -> None:
        store = connect().store
        if store is None:  # a backend may make its services in open
            return
        with pytest.raises(NotInitialized):
            store.mint_key(KeyType.HOTMESH, KeyParams())
        with pytest.raises(NotInitialized):
            await store.get_status("job", "app")

    async def test_init_again_changes_nothing(self, backend: Backend, names: Names) -> None:
        store = store_of(backend)
        await store.set_state_nx("job", "app", 3)
        await store.init(names.namespace, names.app_id)
        await stream_of(backend).init(names.namespace, names.app_id)
        await search_of(backend).init(names.namespace, names.app_id)
        await sub_of(backend).init(names.namespace, names.app_id, "engine-again")
        assert await store.get_status("job", "app") == 3

    async def test_many_open_at_once(self, open_backend: OpenBackend) -> None:
        backends = await asyncio.gather(*(open_backend() for _ in range(8)))
        created = await asyncio.gather(*(store_of(each).set_state_nx("job", "app") for each in backends))
        assert sorted(created) == [False] * 7 + [True]

    async def test_close_twice(self, open_backend: OpenBackend) -> None:
        backend = await open_backend()
        await backend.close()
        await backend.close()

    async def test_services_close_twice(self, open_backend: OpenBackend) -> None:
        backend = await open_backend()
        for service in (sub_of(backend), stream_of(backend), store_of(backend)):
            await service.close()
            await service.close()

    @pytest.mark.parametrize(("namespace", "app_id"), [("n:s", "app"), ("ns", "a"), ("ns", "x:y")])
    async def test_unusable_names_are_refused(self, open_backend: OpenBackend, namespace: str, app_id: str) -> None:
        with pytest.raises(InvalidArgument):
            await open_backend(namespace=namespace, app_id=app_id)

    async def test_identity_is_that_of_the_database(self, backend: Backend, peer: Backend) -> None:
        assert backend.identity == peer.identity != ""


@pytest.mark.asyncio
class TestIsolation:
    """Two apps, and two namespaces, in one database share nothing."""

    @pytest.mark.parametrize("other", [{"app_id": "app2"}, {"namespace": "other"}])
    async def test_store(
        self, store: StoreService, open_backend: OpenBackend, names: Names, other: dict[str, str]
    ) -> None:
        if "namespace" in other:
            other = {"namespace": f"{names.namespace}x"}
        stranger = store_of(await open_backend(**other))
        app_id = other.get("app_id", names.app_id)
        await store.set_state_nx("job", names.app_id, 7)
        await store.set_hook_signal(HookSignal("topic", "1", "target"))
        await store.set_throttle_rate(ThrottleOptions(500))
        await store.register_timer("timer", 1)
        await store.add_task_queues(["item"])
        await store.collate_synthetic("job", "guid", 1)
        assert await stranger.find_jobs() == ("0", [])
        assert await stranger.get_hook_signal("topic", "1") is None
        assert await stranger.get_throttle_rate("any") == 0
        assert (await stranger.claim_due_timers(10, 10, 1000)).timers == ()
        assert await stranger.get_active_task_queue() is None
        assert await stranger.collate_synthetic("job", "guid", 1) == 1
        assert await stranger.set_state_nx("job", app_id, 1) is True
        assert await store.get_status("job", names.app_id) == 7

    async def test_stream(self, backend: Backend, open_backend: OpenBackend) -> None:
        ours, theirs = stream_of(backend), stream_of(await open_backend(app_id="app2"))
        await ours.publish_messages(stream_name(ours), ["ours"])
        assert await theirs.consume_messages(stream_name(theirs), GROUP, "c") == []
        assert await theirs.get_stream_depth(stream_name(theirs)) == 0

    async def test_calls_for_another_app_are_refused(self, store: StoreService) -> None:
        with pytest.raises(InvalidArgument):
            await store.set_state_nx("job", "other")
        with pytest.raises(InvalidArgument):
            await store.set_status(1, "job", "other")
        with pytest.raises(InvalidArgument):
            await store.get_status("job", "other")


@pytest.mark.asyncio
class TestSettings:
    """get_settings, set_settings."""

    async def test_absent_settings_are_an_error(self, store: StoreService) -> None:
        with pytest.raises(NotFound):
            await store.get_settings()

    async def test_create_is_idempotent(self, store: StoreService, peer_store: StoreService, names: Names) -> None:
        created = await store.get_settings(create=True)
        assert created["namespace"] == names.namespace
        assert created["version"]
        assert await peer_store.get_settings(create=True) == created

    async def test_settings_merge(self, store: StoreService, peer_store: StoreService) -> None:
        await store.set_settings({"a": 1, "b": {"deep": [1, None, "ü"]}})
        await peer_store.set_settings({"a": "two", "c": True})
        assert await store.get_settings() == {"a": "two", "b": {"deep": [1, None, "ü"]}, "c": True}


@pytest.mark.asyncio
class TestAppVersions:
    """get_app, set_app, activate_app_version."""

    async def test_unknown_app(self, store: StoreService) -> None:
        assert await store.get_app("app") is None

    async def test_deploying_does_not_activate(self, store: StoreService) -> None:
        record = await store.set_app("app", "1")
        assert (record.id, record.version, record.active) == ("app", "", False)
        assert record.versions["1"].startswith("deployed:")

    async def test_versions_live_side_by_side(self, store: StoreService, peer_store: StoreService) -> None:
        await store.set_app("app", "1")
        assert await store.activate_app_version("app", "1") is True
        record = await store.set_app("app", "2")
        assert (record.version, record.active, set(record.versions)) == ("1", True, {"1", "2"})
        assert await peer_store.get_app("app", refresh=True) == record

    async def test_deploying_the_active_version_again_keeps_it(self, store: StoreService) -> None:
        await store.set_app("app", "1")
        await store.activate_app_version("app", "1")
        before = await store.get_app("app", refresh=True)
        assert await store.set_app("app", "1") == before

    async def test_activating_and_rolling_back(self, store: StoreService, peer_store: StoreService) -> None:
        for version in ("1", "2"):
            await store.set_app("app", version)
            assert await store.activate_app_version("app", version) is True
        assert await store.activate_app_version("app", "1") is True
        assert await store.activate_app_version("app", "1") is True
        record = await peer_store.get_app("app", refresh=True)
        assert record is not None
        assert (record.version, record.active) == ("1", True)
        assert record.versions["1"].startswith("activated:")

    async def test_refresh_sees_the_other_process(self, store: StoreService, peer_store: StoreService) -> None:
        await store.set_app("app", "1")
        await store.get_app("app")
        await peer_store.set_app("app", "2")
        record = await store.get_app("app", refresh=True)
        assert record is not None
        assert set(record.versions) == {"1", "2"}

    async def test_own_writes_are_seen_without_refresh(self, store: StoreService) -> None:
        await store.set_app("app", "1")
        await store.get_app("app")
        await store.activate_app_version("app", "1")
        record = await store.get_app("app")
        assert record is not None
        assert record.version == "1"

    async def test_a_version_that_was_never_deployed(self, store: StoreService) -> None:
        with pytest.raises(NotFound):
            await store.activate_app_version("app", "1")
        await store.set_app("app", "1")
        with pytest.raises(NotFound):
            await store.activate_app_version("app", "9")

    async def test_apps_are_apart(self, store: StoreService) -> None:
        await store.set_app("app", "1")
        await store.set_app("second", "7")
        first = await store.get_app("app")
        assert first is not None
        assert set(first.versions) == {"1"}


@pytest.mark.asyncio
class TestScoutRoles:
    """reserve_scout_role, release_scout_role."""

    async def test_one_of_fifty_racers_gets_it(self, store: StoreService, peer_store: StoreService) -> None:
        racers = [each.reserve_scout_role("time") for each in (store, peer_store) * 25]
        assert sum(await asyncio.gather(*racers)) == 1

    async def test_roles_are_independent(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.reserve_scout_role("time") is True
        assert await peer_store.reserve_scout_role("signal") is True
        assert await peer_store.reserve_scout_role("time") is False

    async def test_the_holder_cannot_take_it_twice(self, store: StoreService) -> None:
        assert await store.reserve_scout_role("time", owner="me") is True
        assert await store.reserve_scout_role("time", owner="me") is False

    async def test_only_the_holder_releases(self, store: StoreService, peer_store: StoreService) -> None:
        await store.reserve_scout_role("time")
        assert await peer_store.release_scout_role("time") is False
        assert await store.release_scout_role("time", owner="somebody") is False
        assert await store.release_scout_role("time") is True
        assert await store.release_scout_role("time") is False
        assert await peer_store.reserve_scout_role("time") is True

    async def test_a_lapsed_role_is_free(self, store: StoreService, peer_store: StoreService) -> None:
        for role in ("time", "signal"):
            assert await store.reserve_scout_role(role, delay=1 if role == "time" else 60) is True
        await asyncio.sleep(1.15)
        taken = await asyncio.gather(*(peer_store.reserve_scout_role("time", owner=f"o{n}") for n in range(10)))
        assert sum(taken) == 1
        assert await store.release_scout_role("time") is False
        assert await peer_store.reserve_scout_role("signal") is False
