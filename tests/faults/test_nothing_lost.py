"""Nothing is lost or done twice while processes are killed and the database is restarted.

Three hundred workflows; a client and four workers, of which one is killed every second or two and replaced. The seed
of the kills is printed; another one can be given in ``FAULTS_SEED``.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.converter import default as default_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import resolve
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.contracts.search import All, Compare, Condition, Operator, SearchService
from hotmesh_temporal.runtime.keys import APP_ID, HOTMESH_NAMESPACE
from tests.faults.crowd import SIGNALS, Crowd, Outcome, continues, expected_results, workflow_id
from tests.faults.crowd_process import run_client, run_worker
from tests.support.postgres_server import PostgresServer

COUNT = int(os.environ.get("FAULTS_COUNT", "300"))
WORKERS = 4
KILL_SECONDS = (0.8, 2.0)
CLIENT_KILLS = 2
SAMPLE = 50
# Kills stop when this part of the workflows is done: the rest shows that what was orphaned is taken up.
CHAOS_PART = 0.9
CHAOS_SECONDS = 60.0
DRAIN_SECONDS = 60.0
CALL_PAUSE = 0.015


@dataclass
class Plan:
    """One run of the test: where, by which random choices, and what else happens to the database."""

    connection: str
    folder: Path
    random: random.Random
    restart: Callable[[], None] | None = None
    restarts: int = 2
    log: Callable[[str], None] = field(default=lambda text: print(text, flush=True))


@pytest.fixture
def seed() -> int:
    """Printed by pytest if the test fails, and with -s always."""
    number = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FAULTS_SEED={number}", flush=True)
    return number


@pytest.mark.timeout(300)
async def test_sqlite(tmp_path: Path, seed: int) -> None:
    await play(Plan(f"sqlite:///{tmp_path / 'crowd.sqlite3'}", tmp_path, random.Random(seed)))


@pytest.mark.timeout(300)
async def test_postgres(tmp_path: Path, seed: int) -> None:
    with PostgresServer() as server:
        await play(Plan(server.new_database(), tmp_path, random.Random(seed), restart=server.restart))


async def play(plan: Plan) -> None:
    """Chaos, then calm, then the reckoning."""
    crew = Crew(plan)
    try:
        async with open_search(plan.connection) as search:
            await chaos(plan, crew, search)
            await calm(plan, crew, search)
    finally:
        crew.end()
    await check_results(plan)
    await asyncio.to_thread(check_database, plan)
    check_logs(plan)


# -- the processes -----------------------------------------------------------------------------------------------------


class Crew:
    """Four workers and one client, forked from a server process that has imported everything."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.faults.crowd_process"])
        self._log = str(plan.folder / "crew.log")
        self.workers = [self._start(run_worker, plan.connection, self._log) for _ in range(WORKERS)]
        self.client = self._start_client()

    def _start(self, target: Callable[..., None], *arguments: object) -> BaseProcess:
        process = self._context.Process(target=target, args=arguments, daemon=True)
        process.start()
        return process

    def _start_client(self) -> BaseProcess:
        done = str(self._plan.folder / "acknowledged")
        return self._start(run_client, self._plan.connection, self._log, done, COUNT, CALL_PAUSE)

    def kill_worker(self) -> None:
        """Kill one without warning and put another in its place. None may have ended by itself."""
        index = self._plan.random.randrange(WORKERS)
        self._check(self.workers[index])
        self._kill(self.workers[index])
        self.workers[index] = self._start(run_worker, self._plan.connection, self._log)

    def kill_client(self) -> bool:
        """The same with the client, unless it is done."""
        if self.client.exitcode is not None:
            return False
        self._kill(self.client)
        self.client = self._start_client()
        return True

    @property
    def client_is_done(self) -> bool:
        """Every start and signal was acknowledged. Fails if one was refused."""
        assert self.client.exitcode in (None, 0), f"the client failed, see {self._log}"
        return self.client.exitcode == 0

    def _check(self, worker: BaseProcess) -> None:
        assert worker.exitcode is None, f"a worker ended by itself, see {self._log}"

    def _kill(self, process: BaseProcess) -> None:
        process.kill()
        process.join()

    def end(self) -> None:
        """Kill everybody."""
        for process in (*self.workers, self.client):
            self._kill(process)


@contextlib.asynccontextmanager
async def open_search(connection: str) -> AsyncGenerator[SearchService, None]:
    """The search service, without an engine that would lend the crew a hand."""
    backend = resolve(connection).backend()
    await backend.open(HOTMESH_NAMESPACE, APP_ID, "onlooker")
    try:
        assert backend.search is not None
        yield backend.search
    finally:
        await backend.close()


def _of_the_crowd(status: str) -> Condition:
    """The crowd's workflows of this status; their children do not count."""
    conditions = (Compare("WorkflowType", Operator.EQ, "Crowd"), Compare("ExecutionStatus", Operator.EQ, status))
    return All(conditions)


async def completed(search: SearchService) -> int:
    """How many workflows are completed; 0 while the database cannot say."""
    try:
        counts = await search.count("default", _of_the_crowd("Completed"))
    except ContractError:
        return 0
    return counts.get(None, 0)


async def not_completed(search: SearchService) -> list[str]:
    """Ids of the others."""
    found: list[str] = []
    for status in ("Running", "Failed", "TimedOut", "Terminated", "Canceled"):
        page = await search.query("default", _of_the_crowd(status))
        found += [f"{document.fields['WorkflowId']} ({status})" for document in page.documents]
    return found


# -- what happens ------------------------------------------------------------------------------------------------------


async def chaos(plan: Plan, crew: Crew, search: SearchService) -> None:
    """Kill somebody every now and then until most workflows are completed."""
    begin, kills, client_kills, restarts = time.monotonic(), 0, 0, 0
    while time.monotonic() - begin < CHAOS_SECONDS:
        await asyncio.sleep(plan.random.uniform(*KILL_SECONDS))
        crew.kill_worker()
        kills += 1
        done = await completed(search)
        if done >= COUNT * CHAOS_PART:
            break
        if client_kills < CLIENT_KILLS and done >= COUNT * (client_kills + 1) / 10:
            client_kills += crew.kill_client()
        if plan.restart is not None and restarts < plan.restarts and done >= COUNT * (restarts + 1) / 4:
            restarts += 1
            await asyncio.to_thread(plan.restart)
    spent = time.monotonic() - begin
    plan.log(
        f"chaos: {spent:.1f} s, {kills} workers and {client_kills} clients killed, {restarts} restarts of the database"
    )
    assert client_kills == CLIENT_KILLS
    assert plan.restart is None or restarts == plan.restarts


async def calm(plan: Plan, crew: Crew, search: SearchService) -> None:
    """Let the crew finish."""
    begin = time.monotonic()
    while not crew.client_is_done or await completed(search) < COUNT:
        await asyncio.sleep(0.2)
        if time.monotonic() - begin > DRAIN_SECONDS:
            left = await not_completed(search)
            with contextlib.suppress(AssertionError):
                await asyncio.to_thread(check_database, plan)
            pytest.fail(f"these workflows are not completed: {left}; see {plan.folder}")
    plan.log(f"calm: {time.monotonic() - begin:.1f} s")


# -- the reckoning -----------------------------------------------------------------------------------------------------


async def check_results(plan: Plan) -> None:
    """Every workflow has the right result, and has got each signal exactly once."""
    client = await Client.connect(connection=plan.connection)
    sample = set(plan.random.sample(range(COUNT), min(SAMPLE, COUNT)))
    histories: list[WorkflowHistory] = []
    wrong: list[str] = []
    for number in range(COUNT):
        handle = client.get_workflow_handle(workflow_id(number), result_type=Outcome)
        history = await handle.fetch_history()
        wrong += await differences(number, await handle.result(), history)
        if number in sample:
            histories.append(history)
    await client.close()
    assert not wrong, "\n".join(wrong)
    await check_replay(histories)


async def differences(number: int, outcome: Outcome, history: WorkflowHistory) -> list[str]:
    """What is wrong with one workflow. A signal that is sent again after continue-as-new reaches the next run too."""
    wrong: list[str] = []
    if outcome.results != expected_results(number):
        wrong.append(f"workflow {number}: results {outcome.results}, not {expected_results(number)}")
    got = sorted(set(outcome.got)) if continues(number) else sorted(outcome.got)
    if got != list(range(SIGNALS)):
        wrong.append(f"workflow {number}: got signals {outcome.got}")
    signals = Counter(await signals_of(history))
    if any(count > 1 for count in signals.values()):
        wrong.append(f"workflow {number}: signals in the history of its last run: {signals}")
    return wrong


async def signals_of(history: WorkflowHistory) -> Sequence[int]:
    """The numbers of the signals in a history."""
    found: list[int] = []
    for event in history.events:
        if event.workflow_execution_signaled_event_attributes.signal_name == "add":
            payloads = event.workflow_execution_signaled_event_attributes.input.payloads
            found += await default_converter().decode(payloads, [int])
    return found


async def check_replay(histories: Sequence[WorkflowHistory]) -> None:
    """The SDK finds the histories to be those of the workflow."""
    replayer = Replayer(workflows=[Crowd], workflow_runner=UnsandboxedWorkflowRunner())
    for history in histories:
        await replayer.replay_workflow(history)


def check_database(plan: Plan) -> None:
    """`hotmesh-temporal verify` finds nothing."""
    command = [sys.executable, "-m", "hotmesh_temporal", "verify", "--connection", plan.connection]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    plan.log(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr


def check_logs(plan: Plan) -> None:
    """No process had an error that it did not expect."""
    text = (plan.folder / "crew.log").read_text()
    unexpected = [line for line in text.splitlines() if " ERROR " in line or "panicked" in line]
    assert not unexpected, "\n".join(unexpected[:20])
