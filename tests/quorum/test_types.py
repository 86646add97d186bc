"""Types that workers register: stored once, read by people, compared with what is started and what waits."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.client import Client
from hotmesh_temporal.contracts.errors import Unavailable
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.registry import DYNAMIC, Handler, Parameter, RegisteredType, Registry, TypeSchema
from hotmesh_temporal.runtime import registry
from hotmesh_temporal.runtime.registered import WorkerTypes
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker
from tests.quorum.conftest import engine_on
from tests.support import by_hand

_PATIENCE = 20.0


@activity.defn
async def charge(order: int) -> int:
    """Take the money."""
    return order


@workflow.defn(name="shop/Order")
class Order:
    """One order, until it is paid."""

    def __init__(self) -> None:
        self.paid = False

    @workflow.run
    async def run(self, order: int, note: str = "") -> int:
        return await workflow.execute_activity(
            charge, order, task_queue="money", schedule_to_close_timeout=timedelta(minutes=5)
        )

    @workflow.signal
    def pay(self, amount: float) -> None:
        self.paid = True

    @workflow.query
    def is_paid(self) -> bool:
        return self.paid

    @workflow.update(description="Ship it elsewhere.")
    async def redirect(self, address: str) -> bool:
        return True


@workflow.defn
class Refund:
    @workflow.run
    async def run(self) -> None:
        pass

    @workflow.signal
    def pay(self, amount: float) -> None:
        pass


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(registry, "CHECK_SECONDS", 0.3)


@pytest.fixture
async def client(database: str) -> AsyncGenerator[Client, None]:
    connected = await Client.connect(connection=database)
    yield connected
    await connected.close()


@asynccontextmanager
async def _worker(
    client: Client, queue: str, workflows: Sequence[type], activities: Sequence[Callable[..., Any]] = ()
) -> AsyncGenerator[None, None]:
    runner = UnsandboxedWorkflowRunner()
    async with Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        workflow_runner=runner,
        build_id="build-1",
    ):
        yield


async def _until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What ``look`` gives, once it gives something."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if found := await look():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("nothing was found in time")


async def _known(reader: Registry, count: int) -> Sequence[RegisteredType]:
    async def look() -> Sequence[RegisteredType]:
        known = await reader.types()
        return known if len(known) == count else []

    return await _until(look)


async def test_what_a_worker_has_is_known_to_all_and_stays_known(database: str, client: Client) -> None:
    async with await Registry.connect(database) as reader:
        assert await reader.types() == []
        async with _worker(client, "orders", [Order, Refund]), _worker(client, "money", [], [charge]):
            refund, order, charging = await _known(reader, 3)
            polled = await _until(lambda: reader.polled(0.2))
            assert polled["activity", "default", "money"] == 1
        assert (order.kind, order.name, [on.queue for on in order.queues]) == ("workflow", "shop/Order", ["orders"])
        assert order.queues[0].build_id == "build-1"
        assert (refund.name, charging.name, charging.queues[0].queue) == ("Refund", "charge", "money")
        integer, text = {"type": "integer"}, {"type": "string"}
        assert order.schema == TypeSchema(
            "workflow",
            "shop/Order",
            "One order, until it is paid.",
            [Parameter("order", integer), Parameter("note", text, required=False)],
            integer,
            signals=[Handler("pay", parameters=[Parameter("amount", {"type": "number"})])],
            queries=[Handler("is_paid", result={"type": "boolean"})],
            updates=[
                Handler("redirect", "Ship it elsewhere.", [Parameter("address", text)], {"type": "boolean"}),
            ],
        )
        assert await reader.handlers_of("signal", "pay") == [("Refund", "orders"), ("shop/Order", "orders")]
        assert await reader.handlers_of("update", "redirect") == [("shop/Order", "orders")]
        assert await reader.handlers_of("signal", "redirect") == []
        assert await reader.types("other") == []
    shown = _command("shop/Order", "--connection", database)
    assert "workflow shop/Order(order: integer, note: string = …) -> integer" in shown
    assert "update redirect(address: string) -> boolean" in shown
    listed = json.loads(_command("--json", "--connection", database))
    assert [each["name"] for each in listed] == ["Refund", "shop/Order", "charge"]
    # A moment ago: whoever polled within the last ten seconds counts.
    assert {on["polled_by"] for each in listed for on in each["queues"]} == {1}


async def test_what_waits_for_a_worker_that_is_not_there(database: str, client: Client) -> None:
    async with await Registry.connect(database) as reader, _worker(client, "orders", [Order], [charge]):
        await _known(reader, 2)
        # The activity goes to a queue where nobody is; so do two of these workflows.
        await client.start_workflow(Order.run, args=[1, ""], id="1", task_queue="orders")
        await client.start_workflow(Order.run, args=[2, ""], id="2", task_queue="elsewhere")
        await client.start_workflow("Unheard", id="3", task_queue="orders2")

        async def look() -> object:
            found = (await reader.waiting(wait=0.2)).waiting
            return found if len(found) == 3 else None

        found = {each.kind + " " + each.name: each for each in await _until(look)}
        assert found["activity charge"].advice == (
            "'charge' is registered on 'orders': start a worker with it on 'money', or use that queue"
        )
        assert (found["workflow shop/Order"].elsewhere, found["workflow shop/Order"].polled) == (["orders"], False)
        assert found["workflow Unheard"].advice.startswith("no worker has ever registered 'Unheard'")
        assert found["workflow Unheard"].workflow_ids == ["3"]
        limited = await reader.waiting(limit=1, wait=0.1)
        assert not limited.complete
    shown = _command("--waiting", "--connection", database, "--wait", "0.2")
    assert "1 activity of type 'charge' on the queue 'money'" in shown
    # The worker has gone, but nothing waits in its queue.
    assert "polls 'orders'" not in shown


def _command(*arguments: str) -> str:
    command = str(Path(sys.executable).with_name("hotmesh-temporal"))
    done = subprocess.run([command, "types", *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


# -- what is written ---------------------------------------------------------------------------------------------------


class _Watched:
    """Notes which tables the real store is told to write; while ``away`` it cannot be reached."""

    def __init__(self, frontend: Frontend) -> None:
        self.written: list[str] = []
        self.away = False
        store: Any = frontend.runtime.store
        for name in ("set_schemas", "set_subscriptions", "set_transitions", "set_hook_rules"):
            setattr(store, name, self._tap(name, getattr(store, name)))

    def _tap(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def tapped(values: Any, *rest: Any) -> Any:
            if self.away:
                raise Unavailable("gone for a while")
            if values:
                self.written.append(name)
            return await method(values, *rest)

        return tapped


def _types(build: str, *schemas: TypeSchema, queue: str = "q") -> WorkerTypes:
    return WorkerTypes("default", queue, build, list(schemas))


def _flow(name: str, *signals: str, description: str = "") -> TypeSchema:
    return TypeSchema("workflow", name, description, signals=[Handler(each) for each in signals])


async def _registered(path: Path, *all_types: WorkerTypes, away: bool = False) -> list[str]:
    """What a process writes in which these workers start."""
    frontend = engine_on(path)
    await frontend.start()
    watched = _Watched(frontend)
    watched.away = away
    for types in all_types:
        frontend.register_types(types)
    await asyncio.sleep(0.1)
    await frontend.close()
    return sorted(watched.written)


async def test_only_what_has_changed_is_written(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite3"
    a, b, c = _flow("A", "go", "stop"), _flow("B", "go"), _flow("C")
    everything = ["set_hook_rules", "set_schemas", "set_subscriptions", "set_transitions"]
    assert await _registered(path, _types("1", a, b)) == everything
    assert await _registered(path, _types("1", a, b)) == []
    # Another worker of the queue, with other types: both are as stored from then on.
    assert await _registered(path, _types("1", c)) == everything[1:]
    assert await _registered(path, _types("1", a, b), _types("1", c)) == []
    # A new build, without a change of its types; the old one has to register again when it comes back.
    assert await _registered(path, _types("2", a, b)) == ["set_subscriptions", "set_transitions"]
    assert await _registered(path, _types("1", a, b)) == ["set_subscriptions", "set_transitions"]
    # A type takes another form, and a signal less.
    assert await _registered(path, _types("1", _flow("A", "go", description="new"), b)) == [
        "set_hook_rules",
        "set_schemas",
        "set_subscriptions",
    ]
    async with await Registry.connect(f"sqlite:///{path}") as reader:
        known = {each.name: each for each in await reader.types()}
        assert known["A"].schema.description == "new"
        assert (known["A"].queues[0].build_id, known["A"].queues[0].earlier_builds) == ("1", ["2"])
        assert await reader.handlers_of("signal", "stop") == []
        assert await reader.handlers_of("signal", "go") == [("A", "q"), ("B", "q")]


async def test_a_queue_is_forgotten_until_its_worker_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite3"
    old, new = _types("1", _flow("A", "go"), queue="old"), _types("1", _flow("A", "go"), queue="new")
    await _registered(path, old, new)
    database = f"sqlite:///{path}"
    assert _command("--forget", "old", "--connection", database) == "forgotten: workflow A\n"
    assert _command("--forget", "old", "--connection", database) == "forgotten: nothing\n"
    async with await Registry.connect(database) as reader:
        assert [[on.queue for on in each.queues] for each in await reader.types()] == [["new"]]
        assert await reader.handlers_of("signal", "go") == [("A", "new")]
        await _registered(path, old, new)
        assert [{on.queue for on in each.queues} for each in await reader.types()] == [{"old", "new"}]


async def test_workers_of_many_processes_do_not_overwrite_each_other(database: str) -> None:
    """Three engines register at once what goes into the same entries."""
    command = (sys.executable, "-m", "tests.quorum.types_process", database)
    processes = [await asyncio.create_subprocess_exec(*command, f"q{number}") for number in range(3)]
    assert [await asyncio.wait_for(process.wait(), _PATIENCE) for process in processes] == [0, 0, 0]
    async with await Registry.connect(database) as reader:
        (known,) = await reader.types()
        assert sorted(on.queue for on in known.queues) == ["q0", "q1", "q2"]
        assert await reader.handlers_of("signal", "go") == [("A", "q0"), ("A", "q1"), ("A", "q2")]


async def test_a_database_that_is_away_stops_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registry, "_RETRIES", (0.05, 0.05))
    path = tmp_path / "one.sqlite3"
    assert await _registered(path, _types("1", _flow("A")), away=True) == []
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "the types of a worker could not be registered, and stay unknown to others: gone for a while"
    ]
    assert len(await _registered(path, _types("1", _flow("A")))) == 3


# -- starts ------------------------------------------------------------------------------------------------------------


async def test_a_start_on_a_queue_without_the_type_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "one.sqlite3"
    # Types of workflows that are started by hand are called "W".
    await _registered(path, _types("1", _flow("W"), queue="right"), _types("1", _flow(DYNAMIC), queue="any"))
    frontend = engine_on(path)
    await frontend.start()
    # A worker of another SDK polls this one: it has registered nothing, and may have the type.
    stranger = asyncio.create_task(by_hand.poll(frontend, "strangers"))
    for number, queue in enumerate(("right", "any", "wrong", "wrong")):
        await by_hand.start(frontend, str(number), queue)

    async def warned() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    await by_hand.start(frontend, "strange", "strangers")
    (warning,) = await _until(warned)
    assert "type 'W' was started on the task queue 'wrong'" in warning
    assert "registered on 'right'" in warning
    await by_hand.start(frontend, "again", "wrong")
    await asyncio.sleep(0.5)
    await stranger
    await frontend.close()
    assert len(await warned()) == 1
