"""A cluster of private servers: three nodes that share the slots, each with a replica if it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from hotmesh_temporal.providers.redis.driver import redis_module
from hotmesh_temporal.providers.redis.keys import root_of

from tests.support.ports import free_ports
from tests.support.redis_server import RedisServer

SLOTS = 16384
NODES = 3
FAILOVER_MS = 1000
"""How long a node is away before its replica takes over."""


class Cluster:
    """The nodes, their replicas (or none) in the same order, and plain clients of each node."""

    def __init__(self, servers: Sequence[RedisServer], replicas: Sequence[RedisServer], bus_port: int) -> None:
        self.servers = list(servers)
        self.replicas = list(replicas)
        self._bus_port = bus_port
        self.clients: list[Any] = [redis_module.Redis(port=server.port) for server in servers]
        self.ids = [str(client.execute_command("CLUSTER MYID").decode()) for client in self.clients]

    def form(self) -> None:
        """Make the nodes know each other and share the slots, and the replicas follow them."""
        for number, client in enumerate(self.clients):
            first, last = number * SLOTS // NODES, (number + 1) * SLOTS // NODES
            client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last))
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            self._meet(self.servers[number])
        _wait(lambda: all(self._is_ready(client) for client in self.clients))
        for replica in self.replicas:
            self._meet(replica)
        for replica, node in zip(self.replicas, self.ids, strict=False):
            _wait(lambda replica=replica, node=node: replica.command("CLUSTER", "REPLICATE", node) == b"+OK\r\n")
        _wait(lambda: all(b"master_link_status:up" in each.command("INFO", "replication") for each in self.replicas))
        _wait(lambda: all(len(row) == 4 for row in self._slots()) if self.replicas else True)

    def _meet(self, server: RedisServer) -> None:
        server.command("CLUSTER", "MEET", "127.0.0.1", str(self.servers[0].port), str(self._bus_port))

    def _slots(self) -> list[Any]:
        return [row for client in self.clients for row in client.execute_command("CLUSTER", "SLOTS")]

    def _is_ready(self, client: Any) -> bool:
        info = client.execute_command("CLUSTER", "INFO")
        text = info.decode() if isinstance(info, bytes) else str(info)
        return ("cluster_state:ok" in text or "'cluster_state': 'ok'" in text) and len(
            client.execute_command("CLUSTER", "SLOTS")
        ) == NODES

    def slot(self, namespace: str, app_id: str = "app") -> int:
        """The slot of an app."""
        return int(self.clients[0].execute_command("CLUSTER", "KEYSLOT", root_of("hm", namespace, app_id)))

    def owner(self, slot: int) -> int:
        """The number of the node that had the slot when the cluster was formed."""
        return next(n for n in range(NODES) if n * SLOTS // NODES <= slot < (n + 1) * SLOTS // NODES)

    def start_moving(self, slot: int, source: int, target: int) -> None:
        """Open the slot between two nodes."""
        self.clients[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.ids[source])
        self.clients[source].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.ids[target])

    def move_keys(self, slot: int, source: int, target: int, limit: int) -> None:
        """Move some of the keys."""
        for key in self.clients[source].execute_command("CLUSTER", "GETKEYSINSLOT", slot, limit):
            port = self.servers[target].port
            self.clients[source].execute_command("MIGRATE", "127.0.0.1", port, key, 0, 2000)

    def end_moving(self, slot: int, target: int) -> None:
        """The slot belongs to the other node from now on."""
        for client in (self.clients[target], *self.clients):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", self.ids[target])


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline, "the cluster was not formed"
        time.sleep(0.05)


def _settings(bus_port: int, timeout_ms: int) -> dict[str, str]:
    return {
        "cluster-enabled": "yes",
        "cluster-node-timeout": str(timeout_ms),
        "cluster-port": str(bus_port),
        "repl-diskless-sync-delay": "0",
    }


@contextmanager
def running_cluster(*, replicas: bool = False) -> Generator[Cluster, None, None]:
    """Three nodes that share the slots."""
    with ExitStack() as stack:
        # Without a port of its own the nodes' bus is 10,000 above the other one, which may be too high.
        ports = free_ports(NODES * (1 + replicas))
        timeout_ms = FAILOVER_MS if replicas else 2000
        servers = [stack.enter_context(RedisServer("valkey", _settings(port, timeout_ms))) for port in ports]
        cluster = Cluster(servers[:NODES], servers[NODES:], ports[0])
        cluster.form()
        yield cluster
        for client in cluster.clients:
            client.close()
