"""Nothing is lost or done twice while processes are killed or stand still and servers go away and come back.

A crowd of workflows and their children; a client and four workers, of which one is killed every second or two and
replaced, and one stands still until all that it holds is taken from it. Meanwhile the database and the broker are
restarted, killed, cut off and stopped (see `places`), or the services do their worst (see `troubles`).

The seed of the kills is printed; another one can be given in ``FAULTS_SEED``. ``FAULTS_COUNT`` workflows instead of the
usual number make a longer run; ``--all-faults`` plays every fault on every target.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

import pytest
from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.converter import default as default_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import ParentClosePolicy

from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import resolve
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.contracts.search import All, Compare, Condition, Operator, SearchService
from hotmesh_temporal.runtime.keys import APP_ID, HOTMESH_NAMESPACE
from hotmesh_temporal.runtime.matching import LEASE_MS
from tests.faults.crowd import (
    SIGNALS,
    UPDATES,
    WORKFLOWS,
    Outcome,
    begins_with_update,
    change_result,
    continues,
    expected_results,
    left_child,
    workflow_id,
)
from tests.faults.crowd_process import read_journal, run_client, run_worker, update_id
from tests.faults.places import FAULTS, OUTAGE_SECONDS, Place, Victim
from tests.faults.troubles import Meeting

COUNT = 200
SMALL_COUNT = 60
TARGETS = ("sqlite", "postgres", "redis", "redis6", "sqlite+nats", "postgres+nats", "redis+nats", "postgres+redis+nats")
WORKERS = 4
KILL_SECONDS = (0.8, 2.0)
STOP_SECONDS = 1.2 * LEASE_MS / 1000
SAMPLE = 50
# Kills stop when this part of the workflows is done: the rest shows that what was orphaned is taken up.
CHAOS_PART = 0.9
CHAOS_SECONDS = 60.0
STUCK_SECONDS = 60.0
CALL_PAUSE = 0.015
OUTAGE_LINES = 5
"""How many lines of ours a process may log in an outage and after it."""


@dataclass
class Plan:
    """One run of the test: where, how many workflows, by which random choices, and what happens to the servers."""

    meeting: Meeting
    folder: Path
    random: random.Random
    count: int
    troubles: Sequence[tuple[Victim, str]] = ()
    log: Callable[[str], None] = field(default=lambda text: print(text, flush=True))

    @property
    def journal(self) -> str:
        """Where the client writes down what was acknowledged."""
        return str(self.folder / "acknowledged")

    def journal_size(self) -> int:
        """How much the client has written so far."""
        return Path(self.journal).stat().st_size

    @property
    def chaos_seconds(self) -> float:
        """How long the chaos lasts at most."""
        return CHAOS_SECONDS * max(1.0, self.count / 200) + 2 * OUTAGE_SECONDS * len(self.troubles)


@pytest.fixture
def seed() -> int:
    """Printed by pytest if the test fails, and with -s always."""
    number = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FAULTS_SEED={number}", flush=True)
    return number


def _count(usual: int) -> int:
    return int(os.environ.get("FAULTS_COUNT", usual))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "target", ["sqlite", "redis", "postgres+nats", pytest.param("postgres", marks=pytest.mark.all_faults)]
)
async def test_servers_go_away(target: str, tmp_path: Path, seed: int) -> None:
    with Place(target) as place:
        troubles = [(victim, fault) for fault in FAULTS for victim in place.victims]
        await play(Plan(Meeting(place.connections), tmp_path, random.Random(seed), _count(SMALL_COUNT), troubles))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "target", ["postgres+nats", *(pytest.param(each, marks=pytest.mark.all_faults) for each in ("sqlite", "redis"))]
)
async def test_services_do_their_worst(target: str, tmp_path: Path, seed: int) -> None:
    with Place(target) as place:
        meeting = Meeting(place.connections, no_notices=True, careless_stream=True, two_scouts=True)
        await play(Plan(meeting, tmp_path, random.Random(seed), _count(SMALL_COUNT // 2)))


@pytest.mark.all_faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("target", TARGETS[1:])
async def test_each_fault(target: str, fault: str, tmp_path: Path, seed: int) -> None:
    with Place(target) as place:
        troubles = [(victim, fault) for victim in place.victims] * 2
        await play(Plan(Meeting(place.connections), tmp_path, random.Random(seed), _count(COUNT), troubles))


@pytest.mark.all_faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("trouble", ["no_notices", "careless_stream", "two_scouts"])
@pytest.mark.parametrize("target", TARGETS)
async def test_each_trouble(target: str, trouble: str, tmp_path: Path, seed: int) -> None:
    with Place(target) as place:
        meeting = Meeting(place.connections, **{trouble: True})
        await play(Plan(meeting, tmp_path, random.Random(seed), _count(COUNT)))


async def play(plan: Plan) -> None:
    """Chaos, then calm, then the reckoning."""
    crew = Crew(plan)
    try:
        async with open_search(plan.meeting.connections) as search:
            await chaos(plan, crew, search)
            await calm(plan, crew, search)
            await check_children(plan, search)
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
        self.workers = [self._start(run_worker, plan.meeting, self._log) for _ in range(WORKERS)]
        self.client = self._start_client()
        self._stopped: tuple[BaseProcess, float] | None = None

    def _start(self, target: Callable[..., None], *arguments: object) -> BaseProcess:
        process = self._context.Process(target=target, args=arguments, daemon=True)
        process.start()
        return process

    def _start_client(self) -> BaseProcess:
        plan = self._plan
        return self._start(run_client, plan.meeting, self._log, plan.journal, plan.count, CALL_PAUSE)

    def kill_worker(self) -> None:
        """Kill one without warning and put another in its place. None may have ended by itself."""
        index = self._choose()
        self._kill(self.workers[index])
        self.workers[index] = self._start(run_worker, self._plan.meeting, self._log)

    def kill_client(self) -> None:
        """The same with the client, unless it is done."""
        if not self.client_is_done:
            self._kill(self.client)
            self.client = self._start_client()

    def stop_worker(self) -> None:
        """Let one stand still for so long that all its leases lapse; `go_on` wakes it up."""
        worker = self.workers[self._choose()]
        _send_signal(worker, signal.SIGSTOP)
        self._stopped = (worker, time.monotonic() + STOP_SECONDS)

    def go_on(self, *, at_once: bool = False) -> None:
        """Wake up the worker that stands still, when its time is over."""
        if self._stopped is not None and (at_once or time.monotonic() >= self._stopped[1]):
            _send_signal(self._stopped[0], signal.SIGCONT)
            self._stopped = None

    @property
    def stands_still(self) -> bool:
        """A worker was stopped and has not gone on."""
        return self._stopped is not None

    @property
    def client_is_done(self) -> bool:
        """Every call was acknowledged. Fails if one was refused."""
        assert self.client.exitcode in (None, 0), f"the client failed, see {self._log}"
        return self.client.exitcode == 0

    def show_tasks(self) -> None:
        """Let everybody write to the log what it is waiting for."""
        for process in (*self.workers, self.client):
            if process.exitcode is None:
                _send_signal(process, signal.SIGUSR1)

    def _choose(self) -> int:
        """A worker that does not stand still: that one shall come back late, not die."""
        while True:
            index = self._plan.random.randrange(WORKERS)
            assert self.workers[index].exitcode is None, f"a worker ended by itself, see {self._log}"
            if self._stopped is None or self.workers[index] is not self._stopped[0]:
                return index

    def _kill(self, process: BaseProcess) -> None:
        process.kill()
        process.join()

    def end(self) -> None:
        """Kill everybody."""
        for process in (*self.workers, self.client):
            self._kill(process)


def _send_signal(process: BaseProcess, number: signal.Signals) -> None:
    assert process.pid is not None
    os.kill(process.pid, number)


@contextlib.asynccontextmanager
async def open_search(connections: Mapping[str, str]) -> AsyncGenerator[SearchService, None]:
    """The search service, without an engine that would lend the crew a hand."""
    backend = resolve(connections=connections).backend()
    await backend.open(HOTMESH_NAMESPACE, APP_ID, "onlooker")
    try:
        assert backend.search is not None
        yield backend.search
    finally:
        await backend.close()


def _of(kind: str, status: str) -> Condition:
    """The workflows of this type and status."""
    conditions = (Compare("WorkflowType", Operator.EQ, kind), Compare("ExecutionStatus", Operator.EQ, status))
    return All(conditions)


async def count(search: SearchService, condition: Condition) -> int | None:
    """How many runs there are; None while the database cannot say."""
    try:
        counts = await search.count("default", condition)
    except ContractError:
        return None
    return counts.get(None, 0)


async def completed(search: SearchService) -> int:
    """How many workflows of the crowd are completed; 0 while the database cannot say."""
    return await count(search, _of("Crowd", "Completed")) or 0


async def ended_badly(search: SearchService) -> list[str]:
    """Workflows of the crowd that ended in another way than by completing."""
    found: list[str] = []
    for status in ("Failed", "TimedOut", "Terminated", "Canceled"):
        found += await _names(search, status)
    return found


async def _names(search: SearchService, status: str) -> list[str]:
    try:
        page = await search.query("default", _of("Crowd", status))
    except ContractError:
        return []
    return [f"{document.fields['WorkflowId']} ({status})" for document in page.documents]


async def children_are_left(search: SearchService) -> bool:
    """Some child has not ended yet, as far as is known."""
    return [await count(search, _of(kind, "Running")) for kind in ("Doubles", "Patient")] != [0, 0]


async def keep_histories(plan: Plan, left: list[str]) -> None:
    """Write the histories of these workflows, and of their children, to the folder of the logs."""
    client = await Client.connect(connections=plan.meeting.connections)
    for name in left:
        workflow = name.split()[0]
        ids = [workflow]
        history = await client.get_workflow_handle(workflow).fetch_history()
        for event in history.events:
            if event.HasField("start_child_workflow_execution_initiated_event_attributes"):
                ids.append(event.start_child_workflow_execution_initiated_event_attributes.workflow_id)
        for each in ids:
            with contextlib.suppress(Exception):
                history = await client.get_workflow_handle(each).fetch_history()
                (plan.folder / f"{each}.history").write_text("\n".join(str(event) for event in history.events))
    await client.close()


# -- what happens ------------------------------------------------------------------------------------------------------


async def chaos(plan: Plan, crew: Crew, search: SearchService) -> None:
    """Kill somebody every now and then until most workflows are completed."""
    begin, kills, progress = time.monotonic(), 0, 0.0
    events = Events(plan, crew)
    while progress < 1.0 or crew.stands_still or not events.are_over or not crew.client_is_done:
        await asyncio.sleep(plan.random.uniform(*KILL_SECONDS))
        crew.go_on()
        crew.kill_worker()
        kills += 1
        # On a slow machine the clock drives what else happens.
        time_share = (time.monotonic() - begin) / plan.chaos_seconds
        progress = max(await completed(search) / (plan.count * CHAOS_PART), time_share)
        events.happen(progress)
        if time_share > 1.0:
            break
    crew.go_on(at_once=True)
    await events.end()
    plan.log(f"chaos: {time.monotonic() - begin:.1f} s, {kills} workers killed, {events}")


class Events:
    """What happens beside the kills of workers, each at its own share of the progress (0 to 1).

    What happens to a server takes its time, while workers go on being killed. There is one such thing at a time.
    """

    def __init__(self, plan: Plan, crew: Crew) -> None:
        self._crew = crew
        self._due = [(0.1, crew.kill_client), (0.2, crew.kill_client), (0.3, crew.stop_worker)]
        self._troubles = [
            (0.15 + 0.7 * index / len(plan.troubles), victim, fault)
            for index, (victim, fault) in enumerate(plan.troubles)
        ]
        self._trouble: asyncio.Task[None] | None = None
        self._happened: Counter[str] = Counter()

    def __str__(self) -> str:
        return ", ".join(f"{name}: {count}" for name, count in self._happened.items())

    @property
    def are_over(self) -> bool:
        """Everything has happened."""
        return not self._due and not self._troubles and (self._trouble is None or self._trouble.done())

    def happen(self, progress: float) -> None:
        """Let everything happen that is due."""
        while self._due and self._due[0][0] <= progress:
            _, act = self._due.pop(0)
            self._happened[act.__name__] += 1
            act()
        if self._troubles and self._troubles[0][0] <= progress and (self._trouble is None or self._trouble.done()):
            _, victim, fault = self._troubles.pop(0)
            self._happened[f"{fault} of the {victim.name}"] += 1
            self._trouble = asyncio.create_task(asyncio.to_thread(victim.suffer, fault))

    async def end(self) -> None:
        """Wait until every server is back."""
        if self._trouble is not None:
            await self._trouble


async def calm(plan: Plan, crew: Crew, search: SearchService) -> None:
    """Let the crew finish. On a busy machine that takes long, but something has to come of it all the time."""
    begin = changed = time.monotonic()
    state = None
    while not crew.client_is_done or await completed(search) < plan.count or await children_are_left(search):
        await asyncio.sleep(0.2)
        before, state = state, (await completed(search), plan.journal_size())
        if state != before:
            changed = time.monotonic()
        if time.monotonic() - changed > STUCK_SECONDS or await ended_badly(search):
            await explain(plan, crew, search)
    plan.log(f"calm: {time.monotonic() - begin:.1f} s")


async def explain(plan: Plan, crew: Crew, search: SearchService) -> NoReturn:
    """Fail with all that helps to find out why."""
    crew.show_tasks()
    left = await ended_badly(search) + await _names(search, "Running")
    await keep_histories(plan, left)
    with contextlib.suppress(AssertionError):
        await asyncio.to_thread(check_database, plan)
    done, client = await completed(search), "is done" if crew.client_is_done else "is not done"
    pytest.fail(f"{done} are completed, but not {left}; the client {client}; see {plan.folder}")


# -- the reckoning -----------------------------------------------------------------------------------------------------


async def check_results(plan: Plan) -> None:
    """Every workflow has the right result, and has got each signal and update exactly once."""
    client = await Client.connect(connections=plan.meeting.connections)
    sample = set(plan.random.sample(range(plan.count), min(SAMPLE, plan.count)))
    journal = read_journal(plan.journal)
    histories: list[WorkflowHistory] = []
    wrong: list[str] = []
    for number in range(plan.count):
        handle = client.get_workflow_handle(workflow_id(number), result_type=Outcome)
        history, outcome = await handle.fetch_history(), await handle.result()
        wrong += await differences(number, outcome, history)
        wrong += await updates_differ(number, outcome, handle, journal)
        if number in sample:
            histories.append(history)
    await client.close()
    assert not wrong, "\n".join(wrong)
    await check_replay(histories)


async def differences(number: int, outcome: Outcome, history: WorkflowHistory) -> list[str]:
    """What is wrong with one workflow.

    A signal or update that is sent again after continue-as-new reaches the next run too.
    """
    wrong: list[str] = []
    if outcome.results != expected_results(number):
        wrong.append(f"workflow {number}: results {outcome.results}, not {expected_results(number)}")
    for kind, found, wanted in (("signals", outcome.got, SIGNALS), ("updates", outcome.changes, UPDATES)):
        got = sorted(set(found)) if continues(number) else sorted(found)
        if got != list(range(wanted)):
            wrong.append(f"workflow {number}: got {kind} {found}")
    signals = Counter(await signals_of(history))
    if any(count > 1 for count in signals.values()):
        wrong.append(f"workflow {number}: signals in the history of its last run: {signals}")
    return wrong


async def updates_differ(
    number: int, outcome: Outcome, handle: WorkflowHandle[Any, Any], journal: dict[str, str]
) -> list[str]:
    """What is wrong with the updates: each was answered as the workflow did it, and is answered so ever after."""
    wrong: list[str] = []
    if journal[f"reject {number}"] != "rejected":
        wrong.append(f"workflow {number}: a bad update was answered with {journal[f'reject {number}']}")
    for value in range(UPDATES):
        name = f"start {number}" if value == 0 and begins_with_update(number) else f"update {number} {value}"
        told, places = journal[name], [place for place, each in enumerate(outcome.changes, 1) if each == value]
        if continues(number):
            right = not told or int(told) in [change_result(place, value) for place in places]
        else:
            again = await handle.get_update_handle(update_id(value), result_type=int).result()
            right = [int(told)] == [again] == [change_result(place, value) for place in places]
        if not right:
            wrong.append(f"workflow {number}: update {value} was answered with {told!r}, its places are {places}")
    return wrong


async def check_children(plan: Plan, search: SearchService) -> None:
    """Children that were left behind ended by the policy of each."""
    for policy, status in ((ParentClosePolicy.TERMINATE, "Terminated"), (ParentClosePolicy.REQUEST_CANCEL, "Canceled")):
        wanted = {f"{workflow_id(number)}-0" for number in range(plan.count) if left_child(number) == policy}
        page = await search.query("default", _of("Patient", status), page_size=10 * plan.count)
        found = {str(document.fields["WorkflowId"]) for document in page.documents}
        missing = sorted(wanted - found)
        assert not missing, f"{missing} should be {status}"


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
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=UnsandboxedWorkflowRunner())
    for history in histories:
        await replayer.replay_workflow(history)


def check_database(plan: Plan) -> None:
    """`hotmesh-temporal verify` finds nothing."""
    places = [part for service, url in plan.meeting.connections.items() for part in (f"--{service}", url)]
    command = [sys.executable, "-m", "hotmesh_temporal", "verify", *places]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    plan.log(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr


def check_logs(plan: Plan) -> None:
    """No process had an error that it did not expect, and none talked too much of what it waited for."""
    lines = (plan.folder / "crew.log").read_text().splitlines()
    unexpected = [at for at, line in enumerate(lines) if " ERROR " in line or "panicked" in line]
    assert not unexpected, "\n\n".join("\n".join(lines[at : at + 30]) for at in unexpected[:5])
    of_ours = re.compile(r"^\S+ \S+ (\d+) WARNING hotmesh_temporal")
    talk = Counter(found[1] for line in lines if (found := of_ours.match(line)))
    limit = OUTAGE_LINES * (1 + len(plan.troubles))
    assert not {process: count for process, count in talk.items() if count > limit}, "\n".join(lines[-100:])
