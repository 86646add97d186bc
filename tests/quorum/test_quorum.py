"""Two engines in two processes, and an operator who calls the roll, pauses, resumes and activates."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hotmesh_temporal.client import Client, WorkflowHandle
from hotmesh_temporal.contracts.errors import NotSupported
from hotmesh_temporal.quorum import PAUSED, ActivationRefused, EngineProfile, Quorum, Rate, RollCall
from hotmesh_temporal.runtime import versions
from tests.quorum.conftest import Launch, engine_on
from tests.quorum.worker_process import QUEUE, Order

_WAIT = 1.0
_PATIENCE = 30.0


def _command(*arguments: str) -> str:
    command = str(Path(sys.executable).with_name("hotmesh-temporal"))
    done = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


async def call_until(quorum: Quorum, pids: set[int]) -> RollCall:
    """The roll call in which each of these processes has workers for both kinds of tasks."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        called = await quorum.roll_call(wait=_WAIT)
        if {engine.pid for engine in called.engines if _kinds(engine) == {"workflow", "activity"}} == pids:
            return called
    raise AssertionError(f"{pids} did not answer")


def _kinds(engine: EngineProfile) -> set[str]:
    return {queue.kind for queue in engine.queues if not queue.sticky and queue.name == QUEUE and queue.polls}


async def test_roll_call_pause_and_resume_across_processes(database: str, launch: Launch) -> None:
    pids = {launch(), launch()}
    async with await Quorum.connect(database) as quorum:
        called = await call_until(quorum, pids)
        assert all(engine.version and engine.app_version == "1" for engine in called.engines)
        assert len({engine.engine_id for engine in called.engines}) == 2

        obeying = await quorum.pause(QUEUE, wait=_WAIT)
        assert {engine.pid for engine in obeying} == pids
        assert {queue.throttle for engine in obeying for queue in engine.queues} == {PAUSED}
        client = await Client.connect(connection=database)
        handles = [await _start(client, number) for number in range(5)]
        await asyncio.sleep(1)
        called = await quorum.roll_call(wait=_WAIT)
        # The client is an engine too, though it polls nothing.
        assert {engine.pid for engine in called.engines} == pids | {os.getpid()}
        normal = {queue.stream for engine in called.engines for queue in engine.queues if not queue.sticky}
        assert sum(called.depths[stream] for stream in normal) == 5
        assert [(await handle.describe()).history_length for handle in handles] == [2] * 5

        await quorum.resume(QUEUE, wait=_WAIT)
        results = await asyncio.wait_for(asyncio.gather(*(handle.result() for handle in handles)), _PATIENCE)
        assert results == [0, 1, 2, 3, 4]
        await client.close()


async def _start(client: Client, number: int) -> WorkflowHandle[Order, int]:
    return await client.start_workflow(Order.run, number, id=f"order-{number}", task_queue=QUEUE)


async def test_nothing_is_lost_while_the_pace_changes_all_the_time(database: str, launch: Launch) -> None:
    pids = {launch(), launch()}
    async with await Quorum.connect(database) as quorum:
        await call_until(quorum, pids)
        client = await Client.connect(connection=database)
        running = [asyncio.create_task(_run(client, number)) for number in range(60)]
        for rate in [PAUSED, 0, 20, PAUSED, 5, 0, PAUSED, 0, 30, 0]:
            await quorum.throttle(rate, QUEUE if rate else None, wait=0.05)
            await asyncio.sleep(0.15)
        assert await asyncio.wait_for(asyncio.gather(*running), 2 * _PATIENCE) == list(range(60))
        await client.close()
    report = await asyncio.to_thread(_command, "verify", "--connection", database)
    assert report.endswith("no problems\n")


async def _run(client: Client, number: int) -> int:
    return await (await _start(client, number)).result()


async def test_only_activities_are_paused_and_a_new_process_honours_it(database: str, launch: Launch) -> None:
    async with await Quorum.connect(database) as quorum:
        assert await quorum.pause(QUEUE, kind="activity", wait=_WAIT) == []
        assert await quorum.rates() == [Rate(PAUSED, "default", QUEUE, "activity")]
        await call_until(quorum, {launch()})
        client = await Client.connect(connection=database)
        handle = await _start(client, 1)
        # Started, a workflow task, and the activity that waits.
        await _until_history_has(handle, 5)
        await asyncio.sleep(0.5)
        assert (await handle.describe()).history_length == 5
        await quorum.resume(wait=_WAIT)
        assert await asyncio.wait_for(handle.result(), _PATIENCE) == 1
        assert await quorum.rates() == [Rate(0)]
        await client.close()


async def _until_history_has(handle: WorkflowHandle[Order, int], events: int) -> None:
    until = time.monotonic() + _PATIENCE
    while (await handle.describe()).history_length < events:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


async def test_one_engine_is_paused_and_the_other_goes_on(database: str, launch: Launch) -> None:
    pids = [launch(), launch()]
    async with await Quorum.connect(database) as quorum:
        called = await call_until(quorum, set(pids))
        engine = next(engine for engine in called.engines if engine.pid == pids[0])
        obeying = await quorum.pause(engine_id=engine.engine_id, wait=_WAIT)
        assert [(each.pid, each.throttle) for each in obeying] == [(pids[0], PAUSED)]
        assert await quorum.rates() == []
        client = await Client.connect(connection=database)
        handle = await _start(client, 7)
        assert await asyncio.wait_for(handle.result(), _PATIENCE) == 7
        history = await handle.fetch_history()
        workers = {event.workflow_task_started_event_attributes.identity for event in history.events} - {""}
        assert {worker.partition("@")[0] for worker in workers} == {str(pids[1])}
        await client.close()


async def test_the_command_says_who_is_there_and_what_is_paused(database: str, launch: Launch) -> None:
    pid = launch()
    async with await Quorum.connect(database) as quorum:
        await call_until(quorum, {pid})
    where = ("--connection", database, "--wait", str(_WAIT))
    told = await asyncio.to_thread(_command, "quorum", "pause", "--task-queue", QUEUE, *where)
    assert told.startswith(f"all tasks of default/{QUEUE}: paused; process {pid} on ")
    text = await asyncio.to_thread(_command, "quorum", "roll-call", *where)
    assert f"process {pid}" in text
    assert "1 engine\n" in text
    assert f"stored: workflow tasks of default/{QUEUE} paused" in text
    called = json.loads(await asyncio.to_thread(_command, "quorum", "roll-call", "--json", *where))
    assert {(queue["kind"], queue["throttle"]) for queue in called["engines"][0]["queues"]} == {
        ("workflow", PAUSED),
        ("activity", PAUSED),
    }
    told = await asyncio.to_thread(_command, "quorum", "activate", "1", *where)
    assert told.startswith("engine version 1 is active; process")


async def test_a_version_is_activated_once_every_engine_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.sqlite3"
    old = engine_on(path)
    await old.start()
    monkeypatch.setattr(versions, "ENGINE_VERSIONS", ("1", "2"))
    new = engine_on(path)
    await new.start()
    assert (old.runtime.version.active, new.runtime.version.active) == ("1", "1")
    async with await Quorum.connect(f"sqlite:///{path}") as quorum:
        with pytest.raises(ActivationRefused, match=r"not every engine knows version '2'.*process"):
            await quorum.activate("2", wait=_WAIT)
        await old.close()
        engines = await quorum.activate("2", wait=_WAIT)
        assert [engine.app_version for engine in engines] == ["2"]
        assert new.runtime.version.active == "2"
        await new.close()
        with pytest.raises(ActivationRefused, match="no engine answers"):
            await quorum.activate("1", wait=0.05)
    monkeypatch.setattr(versions, "ENGINE_VERSIONS", ("1",))
    with pytest.raises(NotSupported, match="install a newer hotmesh-temporal"):
        await engine_on(path).start()


async def test_two_operators_do_not_activate_at_once(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite3"
    frontend = engine_on(path)
    await frontend.start()
    url = f"sqlite:///{path}"
    async with await Quorum.connect(url) as one, await Quorum.connect(url) as other:
        first = asyncio.create_task(one.activate("1", wait=_WAIT))
        await asyncio.sleep(_WAIT)
        with pytest.raises(ActivationRefused, match="another operator"):
            await other.activate("1", wait=_WAIT)
        assert len(await first) == 1
        assert len(await other.activate("1", wait=_WAIT)) == 1
    await frontend.close()


async def test_a_rate_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async with await Quorum.connect(f"sqlite:///{tmp_path / 'one.sqlite3'}") as quorum:
        with pytest.raises(ValueError, match="not in 0"):
            await quorum.throttle(-2)
        with pytest.raises(ValueError, match="name that, too"):
            await quorum.pause(kind="activity")
