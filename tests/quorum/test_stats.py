"""Counters of workflows: by day, type and how they ended; what counting costs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError

from hotmesh_temporal import workflow
from hotmesh_temporal.client import Client
from hotmesh_temporal.contracts.errors import Unavailable
from hotmesh_temporal.contracts.types import AppVersion, Stats, Transaction
from hotmesh_temporal.exceptions import ApplicationError
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime import stats
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker
from tests.quorum.conftest import engine_on
from tests.support import by_hand


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, left: int) -> None:
        if left:
            workflow.continue_as_new(left - 1)


@workflow.defn(name="a/b")
class Failing:
    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("no")


async def test_runs_are_counted_by_type_and_by_their_end(database: str) -> None:
    client = await Client.connect(connection=database)
    async with Worker(client, task_queue="q", workflows=[Chain, Failing], workflow_runner=UnsandboxedWorkflowRunner()):
        await client.execute_workflow(Chain.run, 2, id="chain", task_queue="q")
        with pytest.raises(WorkflowFailureError):
            await client.execute_workflow(Failing.run, id="failing", task_queue="q")
    handle = await client.start_workflow("Idle", id="idle", task_queue="nobody")
    await client.start_workflow("Idle", id="other", task_queue="nobody")
    await handle.terminate()
    await client.close()
    today = datetime.now(timezone.utc).date()
    counted = _command("--json", "--connection", database)
    assert {each["day"] for each in counted} <= {str(today), str(today - timedelta(days=1))}
    assert {each["workflow_type"]: (each["started"], each["closed"]) for each in counted} == {
        "Chain": (3, {"Completed": 1, "ContinuedAsNew": 2}),
        "Idle": (2, {"Terminated": 1}),
        "a/b": (1, {"Failed": 1}),
    }
    assert _command("--json", "--connection", database, "--namespace", "other") == []


def _command(*arguments: str) -> list[dict[str, object]]:
    command = str(Path(sys.executable).with_name("hotmesh-temporal"))
    done = subprocess.run([command, "stats", *arguments], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


class _Watched:
    """Watches what the real store is told to count; while ``away`` it cannot be reached."""

    def __init__(self, frontend: Frontend) -> None:
        self.told: list[dict[str, float]] = []
        self.away = False
        self._set_stats = frontend.runtime.store.set_stats
        frontend.runtime.store.set_stats = self.set_stats  # type: ignore[method-assign]  # a tap, the store is real

    async def set_stats(
        self,
        job_key: str,
        job_id: str,
        date_time: str,
        stats: Stats,
        app_version: AppVersion,
        transaction: Transaction | None = None,
    ) -> None:
        if self.away:
            raise Unavailable("gone for a while")
        await self._set_stats(job_key, job_id, date_time, stats, app_version, transaction)
        self.told.append(dict(stats.general))


async def test_many_workflows_are_one_statement_and_wait_for_a_database_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "FLUSH_SECONDS", 0.2)
    path = tmp_path / "one.sqlite3"
    frontend = engine_on(path)
    await frontend.start()
    watched = _Watched(frontend)
    watched.away = True
    for number in range(20):
        await by_hand.start(frontend, str(number))
    await asyncio.sleep(0.5)  # an attempt or two
    assert frontend.runtime.counters.waiting == 20
    watched.away = False
    await by_hand.start(frontend, "last")
    await frontend.close()
    assert [sum(told.values()) for told in watched.told] == [21]
    assert watched.told[0].keys() == {"Started/W"}
