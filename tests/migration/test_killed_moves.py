"""Two hundred open workflows move while they are being sent signals, and the move is killed again and again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.common import RetryPolicy

import hotmesh_temporal.client
from tests.migration import kinds
from tests.migration.signaller import Signaller
from tests.migration.support import QUEUE, problems_of, worker_on
from tests.support.postgres_server import PostgresServer
from tests.support.temporal_server import TemporalServer

KILLS = 5
MOVED = 200
RATE = 25
LIMIT = 240.0
NUMBERS = 16
PAUSE = 2.5
_ONCE = RetryPolicy(initial_interval=kinds.timedelta(seconds=2), backoff_coefficient=1.0)

Start = tuple[Any, list[Any], dict[str, Any], Any]
"""A workflow, its arguments and options, and the result that it must have."""


def crowd() -> dict[str, Start]:
    """By workflow id: 210 that are started, and 60 children of theirs."""
    numbers = list(range(NUMBERS))
    some: list[tuple[int, str, Start]] = [
        (80, "inbox", (kinds.Inbox.run, [NUMBERS], {}, numbers)),
        (40, "ring", (kinds.Ring.run, [NUMBERS, []], {}, numbers)),
        (10, "slow", (kinds.Inbox.run, [NUMBERS, True], {}, numbers)),
        (20, "parent", (kinds.Parent.run, [kinds.Family([1, 2, 3], NUMBERS)], {}, [numbers] * 3)),
        (20, "sleeper", (kinds.Sleeper.run, [60.0], {}, None)),
        (10, "heartbeat", (kinds.Worker.run, ["heartbeat"], {}, [41])),
        (15, "backoff", (kinds.Worker.run, ["backoff"], {}, 3)),
        (15, "retrying", (kinds.Retrying.run, [], {"retry_policy": _ONCE}, 3)),
    ]
    return {f"{name}-{number}": start for count, name, start in some for number in range(count)}


def hears(workflow_id: str) -> list[str]:
    """Which workflows are sent numbers."""
    if workflow_id.startswith("parent"):
        return [f"{workflow_id}-child-{policy}" for policy in (1, 2, 3)]
    return [workflow_id] if workflow_id.startswith(("inbox", "ring", "slow")) else []


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty one."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'target.sqlite3'}"
        return
    with PostgresServer() as server:
        yield server.new_database()


def mover(address: str, url: str) -> subprocess.Popen[bytes]:
    """The command, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "hotmesh_temporal",
        "migrate",
        "--from",
        address,
        "--to",
        url,
        "--namespace",
        "default",
    ]
    return subprocess.Popen(
        [*command, "--rate", str(RATE), "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


async def open_on(client: Client) -> int:
    """How many are open there."""
    return (await client.count_workflows("ExecutionStatus = 'Running'")).count


async def move_with_kills(source: Client, address: str, url: str, chance: random.Random) -> list[int]:
    """Move everything; how many were open on the source at each kill."""
    left: list[int] = []
    before = await open_on(source)
    while True:
        process = mover(address, url)
        if len(left) < KILLS:
            await until_moving(source, before - chance.randint(5, 35))
            process.kill()
        output, _ = await asyncio.to_thread(process.communicate)
        if process.returncode != -9:
            assert process.returncode == 0, output.decode()
            print(output.decode())
            return left
        before = await open_on(source)
        left.append(before)


async def taken_from(client: Client) -> int:
    """How many runs have been terminated there."""
    return (await client.count_workflows("ExecutionStatus = 'Terminated'")).count


async def until_all_hear(source: Client, count: int) -> None:
    """Wait until all those are there that will be sent numbers, children too."""
    deadline = time.monotonic() + LIMIT
    query = "ExecutionStatus = 'Running' AND WorkflowType IN ('Inbox', 'Ring')"
    while (await source.count_workflows(query)).count < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def until_moving(source: Client, fewer: int) -> None:
    """Wait until the source has no more open ones than so many."""
    deadline = time.monotonic() + LIMIT
    while await open_on(source) > fewer:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.all_faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
async def test_nothing_is_lost_or_doubled(database: str, temporal_server: TemporalServer) -> None:
    seed = int(os.environ.get("FAULTS_SEED", time.time_ns() % 100_000))
    print(f"FAULTS_SEED={seed}")
    source = await Client.connect(temporal_server.address)
    target = await hotmesh_temporal.client.Client.connect(connection=database)
    signaller, starts, taken_before = Signaller(source, target), crowd(), await taken_from(source)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(target.close)
        await stack.enter_async_context(worker_on(source))
        await stack.enter_async_context(worker_on(target))
        begin: list[Awaitable[Any]] = [
            source.start_workflow(run, args=arguments, id=name, task_queue=QUEUE, **options)
            for name, (run, arguments, options, _) in starts.items()
        ]
        await asyncio.gather(*begin)
        await until_all_hear(source, sum(len(hears(name)) for name in starts))
        moved = asyncio.Event()
        everyone = [each for name in starts for each in hears(name)]
        talk = asyncio.gather(*(signaller.count(each, NUMBERS, PAUSE, last_after=moved) for each in everyone))
        began = time.monotonic()
        left = await move_with_kills(source, temporal_server.address, database, random.Random(seed))
        moved.set()
        print(f"moved in {time.monotonic() - began:.1f} s; open on the source at each kill: {left}")
        await asyncio.wait_for(talk, LIMIT)
        print(f"{signaller.on_target:,} signals went to the target")
        await check_results(source, target, starts, taken_before)
    assert len(left) == KILLS
    assert not await problems_of(database)


async def check_results(source: Client, target: Client, starts: dict[str, Start], taken_before: int) -> None:
    """Each has ended as it must: on the target, or, if it was over before, on the source."""
    moved = 0
    for name, (_, _, _, expected) in starts.items():
        side = target if await has(target, name) else source
        result = await asyncio.wait_for(side.get_workflow_handle(name).result(), LIMIT)
        moved += side is target
        if expected is not None:
            # An attempt that was lost with a worker counts, too.
            assert in_order(result[1:] if name.startswith("heartbeat") else result) == expected, name
    taken = await taken_from(source) - taken_before
    print(f"{moved} of {len(starts)} have ended on the target; {taken} runs were moved")
    assert taken >= MOVED


def in_order(result: Any) -> Any:
    """Numbers that were sent to a workflow may arrive in another order only if it moved in between."""
    if not isinstance(result, list):
        return result
    values = cast("list[Any]", result)
    return [in_order(each) for each in values] if values and isinstance(values[0], list) else sorted(values)


async def has(client: Client, workflow_id: str) -> bool:
    """It is known there."""
    return (await client.count_workflows(f"WorkflowId = '{workflow_id}'")).count > 0
