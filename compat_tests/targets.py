"""What a scenario runs on: the real Temporal dev server, or this project on one of its databases."""

from __future__ import annotations

import asyncio
import json
import tempfile
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from temporalio.client import Client

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.contracts.backend import Backend
from hotmesh_temporal.embedded import EngineHost
from hotmesh_temporal.engine.limits import Limits
from hotmesh_temporal.frontend.server import Frontend
from tests.support.temporal_server import TemporalServer

IDENTITY = "compat"
_MANY_CALLS = {
    "frontend.rps.namespaceReplicationInducingAPIs": "10000",
    "frontend.namespaceRPS.namespaceReplicationInducingAPIs": "10000",
    "frontend.namespaceRPS.visibility": "10000",
}
"""Scenarios make more namespaces in a second, and more lists, than the server lets anybody make by default."""

_PROMPT_DELETION = {
    "history.transferProcessorEnsureCloseBeforeDelete": "false",
    "history.visibilityProcessorEnsureCloseBeforeDelete": "false",
}
"""A closed run is deleted at once, and not when the server has written down how far its queues are, after a minute."""

OURS = ("sqlite", "postgres", "redis")
TARGETS = ("temporal", *OURS)
MORE_TARGETS = ("redis6", "redis7", "sqlite+nats", "postgres+nats", "redis+nats", "postgres+redis+nats")
"""Other versions, and mixed sets: store, streams and notices; without the third, notices are where the streams are.

Everything runs on one that is asked for, by default `CHOICE` on all but ``redis7``, which no wheel has.
"""

CHOICE = (
    "activity_eager",
    "activity_heartbeat_timeout",
    "activity_retry",
    "async_completion_by_token",
    "attributes_at_start",
    "cancel_with_cleanup",
    "child_sdk_outcomes",
    "continue_as_new_carries_signals",
    "external_sdk",
    "hello",
    "history_long_poll",
    "local_activity_failure",
    "parent_terminated_over_children",
    "query_sticky",
    "query_answers_that_come_late",
    "reset_with_the_sdk",
    "signal_with_start_sdk",
    "task_sticky_timeout",
    "task_timeout",
    "timers_fire_in_order",
    "update_completes",
    "update_with_start",
    "workers_of_one_queue_take_turns",
    "workflow_retry_success",
)
"""Scenarios of each kind in which tasks and notices matter."""


@dataclass(frozen=True)
class Connection:
    """How any process reaches a target: ``kind`` is "temporal" or "hotmesh"; ``url`` an address or a database URL.

    ``streams`` and ``notices`` are the URLs of those, if they are elsewhere.
    """

    kind: str
    url: str
    streams: str = ""
    notices: str = ""

    @property
    def services(self) -> dict[str, str]:
        """The databases by service."""
        elsewhere = {"stream": self.streams, "sub": self.notices}
        return {"store": self.url} | {service: url for service, url in elsewhere.items() if url}

    async def client(self) -> Client:
        """A new client with a fixed identity, so that identities can be compared as they are."""
        if self.kind == "temporal":
            return await Client.connect(self.url, identity=IDENTITY)
        import hotmesh_temporal.client

        return await hotmesh_temporal.client.Client.connect(connections=self.services, identity=IDENTITY)

    def to_json(self) -> str:
        """For `from_json` in another process."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Connection:
        """The connection that `to_json` wrote."""
        return Connection(**json.loads(text))


SMALL = "small_limits"
"""The attribute that `small_limits` gives to a scenario."""

_SMALL_LIMITS: dict[str, tuple[str, int]] = {
    "blob_size": ("limit.blobSize.error", 1000),
    "blob_kept": ("limit.blobSize.warn", 500),
    "history_count": ("limit.historyCount.error", 60),
    "history_suggest_count": ("limit.historyCount.suggestContinueAsNew", 20),
    "history_size": ("limit.historySize.error", 30_000),
    "history_suggest_size": ("limit.historySize.suggestContinueAsNew", 8_000),
    "pending_activities": ("limit.numPendingActivities.error", 2),
    "pending_children": ("limit.numPendingChildExecutions.error", 2),
    "pending_signals": ("limit.numPendingSignals.error", 2),
    "pending_cancels": ("limit.numPendingCancelRequests.error", 2),
    "signals": ("history.maximumSignalsPerExecution", 70),
    "updates": ("history.maxTotalUpdates", 3),
    "updates_in_flight_size": ("history.maxInFlightUpdatePayloads", 1000),
}
"""Field of our `Limits` to the server's setting and the value of both."""

_T = TypeVar("_T")


def small_limits(scenario: _T) -> _T:
    """Run a scenario on targets with limits that can be reached cheaply."""
    setattr(scenario, SMALL, True)
    return scenario


class Target(ABC):
    """A server that scenarios run on, and the client that they share."""

    connection: Connection
    client: Client
    engine: EngineHost
    """Only with small limits."""

    def __init__(self, *, small: bool = False) -> None:
        self.small = small

    async def start(self) -> None:
        """Start the server and connect."""
        self.connection = await self.launch()
        if self.small and self.connection.kind == "hotmesh":
            # The client joins the engine that is there.
            self.engine = await EngineHost.acquire(resolve(connections=self.connection.services), _small_frontend)
        self.client = await self.connection.client()

    @abstractmethod
    async def launch(self) -> Connection:
        """Start the server."""

    @abstractmethod
    async def stop(self) -> None:
        """Release everything."""


class TemporalTarget(Target):
    """The real server."""

    async def launch(self) -> Connection:
        self._server = TemporalServer(
            dynamic_config=_MANY_CALLS | _PROMPT_DELETION | (_dynamic_config() if self.small else {})
        )
        await self._server.start()
        return Connection("temporal", self._server.address)

    async def stop(self) -> None:
        self._server.stop()


class SqliteTarget(Target):
    """This project on a fresh SQLite file."""

    async def launch(self) -> Connection:
        self._folder = tempfile.TemporaryDirectory(prefix="compat-")
        return Connection("hotmesh", f"sqlite:///{Path(self._folder.name) / 'compat.sqlite3'}")

    async def stop(self) -> None:
        await _close(self.client)
        if self.small:
            await self.engine.release()
        self._folder.cleanup()


class PostgresTarget(Target):
    """This project on a private Postgres server."""

    async def launch(self) -> Connection:
        from tests.support.postgres_server import PostgresServer

        self._server = PostgresServer()
        await asyncio.to_thread(self._server.start)
        return Connection("hotmesh", await asyncio.to_thread(self._server.new_database))

    async def stop(self) -> None:
        await _close(self.client)
        if self.small:
            await self.engine.release()
        self._server.stop()


class RedisTarget(Target):
    """This project on a private Valkey or Redis server that syncs every write."""

    kind = "valkey"

    async def launch(self) -> Connection:
        from tests.support.redis_server import RedisServer

        self._server = RedisServer(self.kind)
        await asyncio.to_thread(self._server.start)
        return Connection("hotmesh", self._server.url)

    async def stop(self) -> None:
        await _close(self.client)
        if self.small:
            await self.engine.release()
        self._server.stop()


class Redis6Target(RedisTarget):
    """On Redis 6.2."""

    kind = "redis6"


class Redis7Target(RedisTarget):
    """On Redis 7."""

    kind = "redis7"


class Mixed(Target):
    """A target of this project, with streams and notices on private servers of their own."""

    def __init__(self, store: Target, streams: str, notices: str) -> None:
        super().__init__(small=store.small)
        self._store = store
        self._names = streams, notices
        self._brokers: dict[str, Broker] = {}

    async def launch(self) -> Connection:
        for name in dict.fromkeys(self._names):
            self._brokers[name] = await asyncio.to_thread(_start_broker, name)
        streams, notices = (self._brokers[name].url for name in self._names)
        return replace(await self._store.launch(), streams=streams, notices=notices)

    async def stop(self) -> None:
        self._store.client = self.client
        if self.small:
            self._store.engine = self.engine
        await self._store.stop()
        for broker in self._brokers.values():
            broker.stop()


class Broker(Protocol):
    """A server that carries messages."""

    @property
    def url(self) -> str: ...

    def stop(self) -> None: ...


def _start_broker(name: str) -> Broker:
    from tests.support.nats_server import NatsServer
    from tests.support.redis_server import RedisServer

    server = {"nats": NatsServer, "redis": RedisServer}[name]()
    server.start()
    return server


def _dynamic_config() -> dict[str, str]:
    return {setting: str(value) for setting, value in _SMALL_LIMITS.values()}


def _small_frontend(backend: Backend) -> Frontend:
    values: dict[str, Any] = {name: value for name, (_, value) in _SMALL_LIMITS.items()}
    return Frontend(backend, limits=Limits(**values))


async def _close(client: Client) -> None:
    from hotmesh_temporal.client import Client as HotMeshClient

    assert isinstance(client, HotMeshClient)
    await client.close()


def new_target(name: str, *, small: bool = False) -> Target:
    """A target that is not started, by its name on the command line; see `small_limits`."""
    store, *elsewhere = name.split("+")
    targets: dict[str, type[Target]] = {
        "temporal": TemporalTarget,
        "sqlite": SqliteTarget,
        "postgres": PostgresTarget,
        "redis": RedisTarget,
        "redis6": Redis6Target,
        "redis7": Redis7Target,
    }
    target = targets[store](small=small)
    return Mixed(target, elsewhere[0], elsewhere[-1]) if elsewhere else target
