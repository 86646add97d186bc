"""``hotmesh-temporal doctor`` on databases that are in order, and on those that were made wrong on purpose."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import hotmesh_temporal.doctor as doctor_module
from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import resolve
from hotmesh_temporal.contracts.commit import Commit, TimerWrite
from hotmesh_temporal.contracts.examination import Finding, clock_finding
from hotmesh_temporal.contracts.types import KeyParams, KeyType
from hotmesh_temporal.doctor import Doctor, examine
from tests.support.nats_server import NatsServer
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.server_process import COMMAND


@workflow.defn
class Stuck:
    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("a mistake in the code")


@workflow.defn
class Charging:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity("charge", task_queue="money", start_to_close_timeout=timedelta(seconds=10))


@activity.defn
async def unused() -> None:
    """Keeps the queue polled."""


def told(findings: Sequence[Finding], check: str) -> tuple[str, str]:
    """The worst of a check, and all that is said of it."""
    found = [each for each in findings if each.check == check]
    order = ("ok", "warning", "wrong")
    worst = max((each.level for each in found), key=order.index)
    return worst, " ".join(f"{each.text} {each.advice}" for each in found)


def assert_told(findings: Sequence[Finding], expected: Mapping[str, tuple[str, str]]) -> None:
    for check, (level, text) in expected.items():
        found = told(findings, check)
        assert found[0] == level, (check, found)
        assert text in found[1], (check, found)


async def test_a_sqlite_file_in_order_with_an_engine_and_then_stuck_workflows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_module, "FAILING_ATTEMPTS", 2)  # the third comes after ten seconds
    connection = f"sqlite:///{tmp_path}/doctor.sqlite3"
    client = await Client.connect(connection=connection)
    worker = Worker(
        client,
        task_queue="orders",
        workflows=[Stuck, Charging],
        activities=[unused],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        well = await examine(resolve(connection), wait=0.5)
        assert all(each.level == "ok" for each in well), well
        assert_told(well, {"engines": ("ok", "1 take part"), "workflows of default": ("ok", "none is stuck")})
        for kind in (Stuck.run, Charging.run):
            await client.start_workflow(kind, id=f"{kind.__qualname__}", task_queue="orders")
        stuck = {"workflows of default": ("wrong", "no worker has ever registered 'charge'")}
        findings: Sequence[Finding] = ()
        for _ in range(40):
            findings = await examine(resolve(connection), wait=0.2)
            if "fail their workflow task" in told(findings, "workflows of default")[1]:
                break
            await asyncio.sleep(0.25)
        assert_told(findings, stuck)
        assert_told(findings, {"workflows of default": ("wrong", "1 fail their workflow task again and again")})
    await client.close()


async def test_the_command_says_what_is_wrong_and_ends_with_one(tmp_path: Path) -> None:
    connection = f"sqlite:///{tmp_path}/wrong.sqlite3?synchronous=OFF"
    async with await Doctor.connect(connection) as doctor:
        await make_wrong(doctor)
    done = await asyncio.to_thread(call, "--connection", connection, "--json")
    findings = [Finding(**each) for each in json.loads(done.stdout)]
    expected = {
        "durability": ("wrong", "synchronous is OFF"),
        "engines": ("warning", "nothing is being worked on"),
        "timers": ("wrong", "1 of 1 are overdue, the oldest by 1 h"),
        "queues": ("wrong", "1 messages are in queues"),
        "outbox": ("wrong", "1 messages wait to be published"),
    }
    assert_told(findings, expected)
    assert (done.returncode, done.stderr) == (1, "")
    unreachable = await asyncio.to_thread(call, "--connection", "postgresql://u@127.0.0.1:1/x")
    assert unreachable.returncode == 1
    assert "wrong    connection  no Postgres answers at 127.0.0.1:1/x" in unreachable.stdout
    assert "Traceback" not in unreachable.stderr


async def make_wrong(doctor: Doctor) -> None:
    """An overdue timer, a message that nobody takes, one that nobody publishes."""
    store: Any = doctor._store  # pyright: ignore[reportPrivateUsage]  # made wrong by hand
    stream: Any = doctor._stream  # pyright: ignore[reportPrivateUsage]
    name = stream.mint_key(KeyType.STREAMS, KeyParams(topic="w/default/orders"))
    hour_ago = time.time_ns() // 1_000_000 - 3_600_000
    await store.commit(Commit(timers=(TimerWrite("r/default/x/y", hour_ago),)))
    await stream.publish_messages(name, ["{}"])
    await store.outbox_add(name, ["{}"])


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "doctor", *arguments], capture_output=True, text=True, timeout=60, check=False)


async def test_postgres_and_nats_made_wrong() -> None:
    settings = {"synchronous_commit": "off", "max_connections": "12"}
    with PostgresServer(max_connections=12, settings=settings) as server, NatsServer() as nats:
        connections = {"store": server.new_database(), "stream": nats.url, "sub": nats.url}
        findings = await examine(resolve(connections=connections), wait=0.2)
    expected = {
        "postgres durability": ("wrong", "fsync is off"),
        "postgres version": ("ok", "Postgres "),
        "postgres schema": ("ok", "schema version"),
        "postgres clock": ("ok", "the database's clock is 0.0 s"),
        "nats version": ("ok", "JetStream"),
        "notices": ("ok", "a notice came back"),
        "engines": ("warning", "no engine answers"),
    }
    assert_told(findings, expected)
    assert "synchronous_commit is off" in told(findings, "postgres durability")[1]


async def test_valkey_made_wrong() -> None:
    with RedisServer("valkey", settings={"appendonly": "no"}) as server:
        assert_told(
            await examine(resolve(server.url), wait=0.2),
            {"durability": ("wrong", "appendonly is no"), "version": ("ok", "Valkey "), "memory": ("ok", "no limit")},
        )
        server.command("CONFIG", "SET", "maxmemory", "100mb")
        server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        evicting = await examine(resolve(server.url), wait=0.2)
    assert_told(evicting, {"connection": ("wrong", "throws keys away when its memory is full")})


@pytest.mark.parametrize(("apart", "level"), [(0.2, "ok"), (-3.0, "warning"), (30.0, "wrong")])
def test_clocks_that_differ(apart: float, level: str) -> None:
    found = clock_finding(1000.0 + apart, 1000.0)
    assert found.level == level
    assert ("ahead of" if apart > 0 else "behind") in found.text
