"""Where a crowd may live, and what can happen to the servers there."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.support import processes
from tests.support.nats_server import NatsServer
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy

OUTAGE_SECONDS = 3.0
FAULTS = ("restart", "kill", "cut", "pause")
"""What can happen to a server: an orderly restart; a kill; its connections cut; it stands still."""


@dataclass
class Victim:
    """A server that processes reach through a proxy."""

    name: str
    port: int
    pid: Callable[[], int]
    shut_down: Callable[[], object]
    kill_it: Callable[[], object]
    start: Callable[[], object]
    proxy: TcpProxy = field(init=False)

    def __post_init__(self) -> None:
        self.proxy = TcpProxy(self.port)

    def suffer(self, fault: str, seconds: float = OUTAGE_SECONDS) -> None:
        """Let one of `FAULTS` happen; returns when it is over. Restarts take no longer than they must."""
        begin, end = {
            "restart": (self.shut_down, self.start),
            "kill": (self.kill_it, self.start),
            "cut": (self.proxy.cut, self.proxy.mend),
            "pause": (lambda: processes.stand_still(self.pid()), lambda: processes.go_on(self.pid())),
        }[fault]
        begin()
        if fault in ("cut", "pause"):
            time.sleep(seconds)
        end()


class Place:
    """The servers of one target, running while the context lasts. ``connections`` says where each service is."""

    def __init__(self, target: str) -> None:
        self.connections: dict[str, str] = {}
        self.victims: list[Victim] = []
        self._target = target
        self._stack = ExitStack()

    def __enter__(self) -> Place:
        store, *elsewhere = self._target.split("+")
        with self._stack:
            self.connections["store"] = _SERVERS[store](self)
            brokers = {name: _SERVERS[name](self) for name in dict.fromkeys(elsewhere)}
            if elsewhere:
                self.connections |= {"stream": brokers[elsewhere[0]], "sub": brokers[elsewhere[-1]]}
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def sqlite(self) -> str:
        """A file in a folder of its own."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hotmesh-faults-"))
        return f"sqlite:///{Path(folder) / 'crowd.sqlite3'}"

    def postgres(self) -> str:
        """A Postgres server with an empty database."""
        server = self._stack.enter_context(PostgresServer())
        victim = Victim("database", server.port, lambda: server.pid, server.pause, server.kill9, server.start)
        return self._through_proxy(victim, server.new_database())

    def redis(self, kind: str = "valkey") -> str:
        """A Valkey or Redis server."""
        server = self._stack.enter_context(RedisServer(kind))
        name = "broker" if self.victims else "database"
        victim = Victim(name, server.port, lambda: server.pid, server.pause, server.kill9, server.start)
        return self._through_proxy(victim, server.url)

    def nats(self) -> str:
        """A NATS server."""
        server = self._stack.enter_context(NatsServer())
        victim = Victim("broker", server.port, lambda: server.pid, server.shut_down, server.kill, server.start)
        return self._through_proxy(victim, server.url)

    def _through_proxy(self, victim: Victim, url: str) -> str:
        self._stack.enter_context(victim.proxy)
        self.victims.append(victim)
        return url.replace(f":{victim.port}", f":{victim.proxy.port}")


_SERVERS: Mapping[str, Callable[[Place], str]] = {
    "sqlite": Place.sqlite,
    "postgres": Place.postgres,
    "redis": Place.redis,
    "redis6": lambda place: place.redis("redis6"),
    "nats": Place.nats,
}
