"""Schedules of a second while engines and the client are killed: each due time and trigger has exactly one outcome.

Engines are killed without warning and replaced, and so is the client that creates the schedules and triggers them. In
the end the number of due times and triggers of each schedule is that of its starts and of what it has left out, each
start has one run, and `verify` finds nothing. ``FAULTS_SEED`` repeats the kills of a run, ``--all-faults`` plays it
longer and on every target, with servers that go away.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import time
from collections.abc import AsyncGenerator, Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeScheduleRequest, UpdateScheduleRequest

from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import resolve
from hotmesh_temporal.contracts.backend import Backend
from hotmesh_temporal.contracts.search import Compare, Operator
from hotmesh_temporal.engine.limits import SECOND
from hotmesh_temporal.engine.schedules.state import ScheduleRecord, decode_schedule
from hotmesh_temporal.runtime.keys import APP_ID, HOTMESH_NAMESPACE, schedule_job
from hotmesh_temporal.runtime.verify import verify
from tests.faults.places import FAULTS, Place
from tests.faults.schedules_process import PAST, SCHEDULES, acknowledged, run_client, run_engine, schedule_of
from tests.faults.troubles import Meeting

ENGINES = 3
TARGETS = ("sqlite", "postgres", "redis", "redis6", "sqlite+nats", "postgres+nats", "redis+nats", "postgres+redis+nats")
CHAOS_SECONDS, LONG_CHAOS_SECONDS = 4.0, 40.0
KILL_SECONDS = (0.4, 1.2)
CALM_SECONDS = 60.0
REPLACING = ("cancel", "terminate")
"""Schedules whose policy has a start take the place of one that waits."""


@pytest.fixture
def seed() -> int:
    """Printed by pytest if the test fails, and with -s always."""
    number = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FAULTS_SEED={number}", flush=True)
    return number


class Crew:
    """Engines and the client, forked from a process that has imported everything."""

    def __init__(self, meeting: Meeting, folder: Path, chance: random.Random) -> None:
        self._meeting, self._chance = meeting, chance
        self._log, self.journal = str(folder / "crew.log"), str(folder / "acknowledged")
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.faults.schedules_process"])
        self._engines = [self._engine() for _ in range(ENGINES)]
        self._client = self._new_client()

    def _start(self, target: Callable[..., None], *arguments: object) -> BaseProcess:
        process = self._context.Process(target=target, args=(self._meeting, self._log, *arguments), daemon=True)
        process.start()
        return process

    def _engine(self) -> BaseProcess:
        return self._start(run_engine)

    def _new_client(self) -> BaseProcess:
        return self._start(run_client, self.journal, 0.05)

    def kill_one(self) -> None:
        """Kill an engine or the client, and put another in its place. None may have ended by itself."""
        for process in (*self._engines, self._client):
            assert process.exitcode is None, f"a process ended by itself, see {self._log}"
        index = self._chance.randrange(ENGINES + 1)
        if index == ENGINES:
            self.kill_client()
            self._client = self._new_client()
        else:
            self._kill(self._engines[index])
            self._engines[index] = self._engine()

    def kill_client(self) -> None:
        """It triggers nothing any more."""
        self._kill(self._client)

    def _kill(self, process: BaseProcess) -> None:
        process.kill()
        process.join()

    def end(self) -> None:
        """Kill everybody."""
        for process in (*self._engines, self._client):
            self._kill(process)


@contextlib.asynccontextmanager
async def onlooker(meeting: Meeting) -> AsyncGenerator[Backend, None]:
    """A connection without an engine that would lend a hand."""
    backend = resolve(connections=meeting.connections).backend()
    await backend.open(HOTMESH_NAMESPACE, APP_ID, "onlooker")
    try:
        yield backend
    finally:
        await backend.close()


@pytest.mark.timeout(120)
async def test_engines_are_killed(tmp_path: Path, seed: int) -> None:
    with Place("sqlite") as place:
        await play(place, Meeting(place.connections), tmp_path, random.Random(seed), CHAOS_SECONDS)


@pytest.mark.all_faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("target", TARGETS)
async def test_servers_go_away_too(target: str, tmp_path: Path, seed: int) -> None:
    with Place(target) as place:
        await play(place, Meeting(place.connections), tmp_path, random.Random(seed), LONG_CHAOS_SECONDS)


@pytest.mark.all_faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("target", TARGETS)
async def test_services_do_their_worst(target: str, tmp_path: Path, seed: int) -> None:
    with Place(target) as place:
        meeting = Meeting(place.connections, no_notices=True, careless_stream=True, two_scouts=True)
        await play(place, meeting, tmp_path, random.Random(seed), CHAOS_SECONDS)


async def play(place: Place, meeting: Meeting, folder: Path, chance: random.Random, seconds: float) -> None:
    """Chaos, then calm, then the reckoning."""
    crew = Crew(meeting, folder, chance)
    try:
        kills = await chaos(place, crew, chance, seconds)
        crew.kill_client()
        triggers = [int(each) for each in acknowledged(crew.journal) if each.isdigit()]
        async with onlooker(meeting) as backend:
            ends = await end_all(meeting)
            records = await calm(backend)
    finally:
        crew.end()
    print(f"{kills} kills, {len(triggers)} triggers, {sum(each.action_count for each in records.values())} starts")
    assert triggers
    async with onlooker(meeting) as backend:
        for name, record in records.items():
            asked = sum(schedule_of(each) == name for each in triggers)
            await check(backend, record, ends[name], asked)
        report = await verify(backend)
        assert report.problems == []


async def chaos(place: Place, crew: Crew, chance: random.Random, seconds: float) -> int:
    """Kill somebody every now and then; in a long one each server has each of its troubles too."""
    await asyncio.wait_for(_begun(crew), CALM_SECONDS)
    begin, kills = time.monotonic(), 0
    troubles = [(victim, fault) for fault in FAULTS for victim in place.victims]
    trouble: asyncio.Task[None] | None = None
    while time.monotonic() < begin + seconds or troubles or (trouble is not None and not trouble.done()):
        await asyncio.sleep(chance.uniform(*KILL_SECONDS))
        crew.kill_one()
        kills += 1
        if seconds >= LONG_CHAOS_SECONDS and troubles and (trouble is None or trouble.done()):
            victim, fault = troubles.pop(0)
            trouble = asyncio.create_task(asyncio.to_thread(victim.suffer, fault))
        elif seconds < LONG_CHAOS_SECONDS:
            troubles = []
    if trouble is not None:
        await trouble
    return kills


async def _begun(crew: Crew) -> None:
    """All schedules were created."""
    while True:
        if set(SCHEDULES) <= set(acknowledged(crew.journal)):
            return
        await asyncio.sleep(0.1)


async def end_all(meeting: Meeting) -> dict[str, tuple[int, int]]:
    """Let everything come about that is due, then let there be no more; between which seconds that was, for each."""
    await asyncio.sleep(1.0)
    client, ends = await Client.connect(connections=meeting.connections), dict[str, tuple[int, int]]()
    for name in SCHEDULES:
        begin = time.time_ns() // SECOND
        schedule = (
            await client.workflow_service.describe_schedule(
                DescribeScheduleRequest(namespace="default", schedule_id=name)
            )
        ).schedule
        schedule.spec.end_time.FromSeconds(PAST)
        update = UpdateScheduleRequest(namespace="default", schedule_id=name, schedule=schedule)
        await client.workflow_service.update_schedule(update)
        ends[name] = (begin, time.time_ns() // SECOND)
    await client.close()
    return ends


async def calm(backend: Backend) -> dict[str, ScheduleRecord]:
    """Wait for the ends of all runs."""
    end = time.monotonic() + CALM_SECONDS
    while True:
        records = {name: await _record(backend, name) for name in SCHEDULES}
        if all(not record.running and not record.buffer for record in records.values()):
            return records
        left = {name: (len(record.running), len(record.buffer)) for name, record in records.items()}
        assert time.monotonic() < end, f"runs are not over: {left}"
        await asyncio.sleep(0.2)


async def _record(backend: Backend, name: str) -> ScheduleRecord:
    assert backend.store is not None
    found = await backend.store.load_run(schedule_job("default", name))
    assert found is not None, f"the schedule {name} is gone"
    return decode_schedule(found.state)


async def check(backend: Backend, record: ScheduleRecord, end: tuple[int, int], triggers: int) -> None:
    """Every due time and every trigger is a start, or was left out; each start has one run.

    The last trigger may have been done without being acknowledged, and a second may have been full in the moment of
    the end.
    """
    name = record.schedule_id
    ids = await _started(backend, name)
    assert len(ids) == len(set(ids)), f"{name}: a time was started twice"
    assert len(ids) == record.action_count, f"{name}: {len(ids)} runs, {record.action_count} actions"
    assert record.buffer_dropped == record.missed_catchup_window == 0
    outcomes, begin = record.action_count + record.overlap_skipped, record.created_at // SECOND
    least, most = end[0] - begin + triggers, end[1] - begin + triggers + 1
    if name in REPLACING:
        # Of those that wait for the end of a run only the last is started, and the others are counted nowhere.
        least = 2
    assert least <= outcomes <= most, f"{name}: {outcomes} outcomes, not {least} to {most}"
    if name == "allow":
        due = {each for each in ids if not each.startswith("allow-2023-")}
        assert len(due) >= least - triggers, f"{name}: due times were left out"


async def _started(backend: Backend, name: str) -> list[str]:
    """The ids of all workflows that the schedule has started."""
    assert backend.search is not None
    condition = Compare("TemporalScheduledById", Operator.EQ, name)
    ids: list[str] = []
    token = b""
    while True:
        page = await backend.search.query("default", condition, page_token=token)
        ids += [str(each.fields["WorkflowId"]) for each in page.documents]
        token = page.next_page_token
        if not token:
            return ids
