"""`verify` finds nothing in a sound database, and finds each way in which one can be damaged."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.cli.main import main
from hotmesh_temporal.client import Client
from hotmesh_temporal.engine.model import (
    Activity,
    Child,
    ExecutionState,
    External,
    WorkflowTask,
    decode_state,
    encode_state,
)
from hotmesh_temporal.runtime import verify_run
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker

HOUR = timedelta(hours=1)


@activity.defn
async def say(name: str) -> str:
    return f"hi {name}"


@workflow.defn
class Waits:
    """Asks an activity of the given queue, then waits for a signal, at most an hour."""

    def __init__(self) -> None:
        self.open = False

    @workflow.run
    async def run(self, queue: str) -> str:
        result = await workflow.execute_activity(say, queue, task_queue=queue, schedule_to_close_timeout=HOUR)
        await workflow.wait_condition(lambda: self.open, timeout=HOUR)
        return result

    @workflow.signal
    def go(self) -> None:
        self.open = True


async def fill(path: Path) -> None:
    """Four runs: ``done``; ``sleeps`` with a timer; ``asks`` with an activity that nobody takes; ``new``."""
    client = await Client.connect(connection=f"sqlite:///{path}")

    async def start(name: str, activity_queue: str, queue: str = "q") -> Any:
        return await client.start_workflow(Waits.run, activity_queue, id=name, task_queue=queue)

    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue="q", workflows=[Waits], activities=[say], workflow_runner=runner):
        done, sleeps, asks = [await start(*names) for names in (("done", "q"), ("sleeps", "q"), ("asks", "nobody"))]
        await start("new", "q", "nobody")
        await done.signal(Waits.go)
        assert await done.result() == "hi q"
        await reach(sleeps, EventType.EVENT_TYPE_TIMER_STARTED)
        await reach(asks, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    await client.close()


async def reach(handle: Any, kind: int) -> None:
    """Wait until the history has an event of this kind."""
    while all(event.event_type != kind for event in (await handle.fetch_history()).events):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound database."""
    path = tmp_path_factory.mktemp("verify") / "sound.sqlite3"
    asyncio.run(fill(path))
    return path


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Damaged:
    """A copy of it, to be damaged."""
    return Damaged(Path(shutil.copy(sound, tmp_path / "damaged.sqlite3")))


class Damaged:
    """A database, and ways to damage it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Run a statement, which must hit something."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            cursor = connection.execute(statement, values)
            rows = cursor.fetchall()
            assert rows or cursor.rowcount > 0, f"nothing was damaged: {statement}"
            return rows

    def key(self, name: str) -> int:
        """The job key of a workflow's run."""
        return self.sql("SELECT job_key FROM hm_jobs WHERE job_id LIKE 'r/%/' || ?", name)[0][0]

    @contextmanager
    def state(self, name: str) -> Generator[ExecutionState, None, None]:
        """Change the state of a run."""
        key = self.key(name)
        state = decode_state(self.sql("SELECT state FROM hm_jobs WHERE job_key = ?", key)[0][0])
        yield state
        self.sql("UPDATE hm_jobs SET state = ? WHERE job_key = ?", encode_state(state), key)

    def batches(self, name: str) -> list[int]:
        """Keys of the batches of a run's history, in order."""
        key = self.key(name)
        rows = self.sql("SELECT batch_key FROM hm_history WHERE batch_key >> 24 = ? ORDER BY batch_key", key)
        return [row[0] for row in rows]

    @contextmanager
    def batch(self, name: str, index: int) -> Generator[History, None, None]:
        """Change one batch of a run's history."""
        key = self.batches(name)[index]
        history = History.FromString(self.sql("SELECT data FROM hm_history WHERE batch_key = ?", key)[0][0])
        yield history
        self.sql("UPDATE hm_history SET data = ? WHERE batch_key = ?", history.SerializeToString(), key)

    def problems(self) -> list[str]:
        """What the command says. Its exit code fits."""
        result = CliRunner().invoke(main, ["verify", "--connection", f"sqlite:///{self.path}"])
        found = [line for line in result.output.splitlines() if line.startswith("problem: ")]
        assert result.exit_code == (1 if found else 0), result.output
        return found


def test_sound(sound: Path) -> None:
    result = CliRunner().invoke(main, ["verify", "--connection", f"sqlite:///{sound}"])
    assert result.exit_code == 0, result.output
    first, last = result.output.splitlines()
    assert first.startswith("checked 4 runs (3 open), ")
    assert ", 2 queued tasks, 2 timers in sqlite:" in first
    assert last == "no problems"


def test_empty(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["verify", "--connection", f"sqlite:///{tmp_path / 'empty.sqlite3'}"])
    assert result.exit_code == 0
    assert result.output.startswith("checked 0 runs")


def test_no_database() -> None:
    result = CliRunner().invoke(main, ["verify", "--connection", "sqlite:////nowhere/at/all.sqlite3"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")


def test_field_names_are_right() -> None:
    """A name that no struct has would hide nothing, or a renamed field."""
    for beyond, struct in (
        (verify_run.BEYOND_HISTORY, ExecutionState),
        (verify_run.BEYOND_HISTORY_OF_TASK, WorkflowTask),
        (verify_run.BEYOND_HISTORY_OF_ACTIVITY, Activity),
    ):
        assert beyond <= {each.name for each in msgspec.structs.fields(struct)}


# -- each kind of damage, and a piece of what must be said about it ----------------------------------------------------

DAMAGES: dict[str, tuple[Callable[[Damaged], object], str]] = {}


def damage(expected: str) -> Callable[[Callable[[Damaged], object]], Callable[[Damaged], object]]:
    """Register a way to damage a database, and what `verify` must say about it."""

    def register(function: Callable[[Damaged], object]) -> Callable[[Damaged], object]:
        DAMAGES[function.__name__] = (function, expected)
        return function

    return register


@damage("a batch begins with event")
def a_batch_is_lost(db: Damaged) -> None:
    db.sql("DELETE FROM hm_history WHERE batch_key = ?", db.batches("done")[1])


@damage("the history ends with event")
def the_last_batch_is_lost(db: Damaged) -> None:
    db.sql("DELETE FROM hm_history WHERE batch_key = ?", db.batches("sleeps")[-1])


@damage("there is no history")
def the_history_is_lost(db: Damaged) -> None:
    db.sql("DELETE FROM hm_history WHERE batch_key >> 24 = ?", db.key("sleeps"))


@damage("cannot be read")
def a_batch_is_garbage(db: Damaged) -> None:
    db.sql("UPDATE hm_history SET data = x'ffff' WHERE batch_key = ?", db.batches("done")[1])


@damage("event 8 follows event 1")
def event_ids_jump(db: Damaged) -> None:
    with db.batch("new", 0) as history:
        history.events[1].event_id = 8


@damage("ends with event 1")
def a_batch_is_short(db: Damaged) -> None:
    with db.batch("new", 0) as history:
        del history.events[1]


@damage("not WorkflowExecutionStarted")
def the_first_event_is_another(db: Damaged) -> None:
    with db.batch("new", 0) as history:
        history.events[0].CopyFrom(HistoryEvent(event_id=1, event_type=EventType.EVENT_TYPE_MARKER_RECORDED))


@damage("the stored first event is not that of the history")
def the_origin_is_another(db: Damaged) -> None:
    db.sql("UPDATE hm_job_origins SET origin = x'' WHERE job_key = ?", db.key("new"))


@damage("comes after the closing event")
def events_follow_the_end(db: Damaged) -> None:
    with db.batch("done", -1) as history:
        history.events.add().CopyFrom(history.events[-1])


@damage("a signal to 'other' (event 5) waits for the engine, but there is no message for it")
def a_signal_is_lost(db: Damaged) -> None:
    with db.state("sleeps") as state:
        state.signals[5] = External(5, "other")


@damage("the start of the child 'child' (event 5) waits for the engine, but there is no message for it")
def the_start_of_a_child_is_lost(db: Damaged) -> None:
    with db.state("sleeps") as state:
        state.children[5] = Child(5, "child", "Waits", 1)


@damage("the child 'done' has ended, but its parent will not hear of it")
def the_end_of_a_child_is_lost(db: Damaged) -> None:
    with db.state("done") as child, db.state("sleeps") as state:
        state.children[5] = Child(5, "done", "Waits", 1, run_id=child.first_run_id)


@damage("the child 'sleeps' goes on against its parent close policy")
def a_child_is_left_behind(db: Damaged) -> None:
    with db.state("sleeps") as child, db.state("done") as state:
        child.parent_run_id = state.run_id
        state.children[5] = Child(5, "sleeps", "Waits", 1, run_id=child.first_run_id)


@damage("the run is closed, but no event closes it")
def the_closing_event_is_lost(db: Damaged) -> None:
    with db.batch("done", -1) as history:
        del history.events[-1]


@damage("the run is open, but event")
def a_closed_run_is_open(db: Damaged) -> None:
    with db.state("done") as state:
        state.status = 1


@damage("the job's status is 0, but the run is open")
def the_job_is_closed(db: Damaged) -> None:
    db.sql("UPDATE hm_jobs SET status = 0 WHERE job_key = ?", db.key("new"))


@damage("the state is that of default/another/")
def the_state_is_of_another_run(db: Damaged) -> None:
    with db.state("new") as state:
        state.workflow_id = "another"


@damage("the state cannot be read")
def the_state_is_garbage(db: Damaged) -> None:
    db.sql("UPDATE hm_jobs SET state = x'c1' WHERE job_key = ?", db.key("new"))


@damage("activities.5 is None")
def the_state_forgets_an_activity(db: Damaged) -> None:
    with db.state("asks") as state:
        state.activities.clear()


@damage("timers.1 is None")
def the_state_forgets_a_timer(db: Damaged) -> None:
    with db.state("sleeps") as state:
        state.timers.clear()


@damage("activities.5.queue is 'elsewhere', by the history it is 'nobody'")
def the_state_differs(db: Damaged) -> None:
    with db.state("asks") as state:
        state.activities[5].queue = "elsewhere"


@damage("does not follow from those before")
def an_event_comes_from_nowhere(db: Damaged) -> None:
    with db.batch("new", 0) as history:
        history.events[1].CopyFrom(HistoryEvent(event_id=2, event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED))


@damage("1 buffered events wait for a workflow task, but none is in flight")
def buffered_events_are_left(db: Damaged) -> None:
    with db.state("sleeps") as state:
        event = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
        state.buffered.append(event.SerializeToString())
        state.signal_count += 1


@damage("the first workflow task was never offered")
def the_first_task_is_lost(db: Damaged) -> None:
    with db.state("new") as state:
        state.task, state.had_task = None, False


@damage("was shown to no worker, and no workflow task is pending")
def an_event_wakes_nobody(db: Damaged) -> None:
    with db.state("sleeps") as state:
        state.last_task_completed_id = 4


@damage("workflow task 2 waits for a worker, but there is no message for it in the task queue 'nobody'")
def a_workflow_task_is_lost(db: Damaged) -> None:
    db.sql("DELETE FROM hm_messages WHERE data LIKE '%/new\"%'")


@damage("activity '1' (event 5, attempt 1) waits for a worker, but there is no message for it in the task queue")
def an_activity_task_is_lost(db: Damaged) -> None:
    db.sql("DELETE FROM hm_messages WHERE data LIKE '%/asks\"%'")


@damage("no message for it")
def a_task_is_in_the_wrong_queue(db: Damaged) -> None:
    db.sql("UPDATE hm_streams SET name = name || 'x'")


@damage("no message for it")
def a_task_is_a_dead_letter(db: Damaged) -> None:
    db.sql("UPDATE hm_messages SET available_at = NULL")


@damage("but no timer is armed for it")
def a_timer_is_lost(db: Damaged) -> None:
    db.sql("DELETE FROM hm_timers WHERE timer_id LIKE '%/sleeps'")


@damage("ms only")
def a_timer_is_late(db: Damaged) -> None:
    db.sql("UPDATE hm_timers SET fire_at = fire_at + 86400000 WHERE timer_id LIKE '%/asks'")


@damage("by the state it fires at")
def a_timer_is_early(db: Damaged) -> None:
    db.sql("UPDATE hm_timers SET fire_at = fire_at - 1 WHERE timer_id LIKE '%/asks'")


@damage("the run is open, but the current run is none")
def a_pointer_is_lost(db: Damaged) -> None:
    db.sql("DELETE FROM hm_current_runs WHERE run_id LIKE '%/new'")


@damage("which is no run of that workflow")
def a_run_is_lost(db: Damaged) -> None:
    db.sql("DELETE FROM hm_jobs WHERE job_key = ?", db.key("done"))


@damage("which is no run of that workflow")
def a_pointer_leads_astray(db: Damaged) -> None:
    (run_id,) = db.sql("SELECT job_id FROM hm_jobs WHERE job_key = ?", db.key("done"))[0]
    db.sql("UPDATE hm_current_runs SET run_id = ? WHERE run_id LIKE '%/new'", run_id)


@damage("a message for orders was not sent")
def the_outbox_is_not_empty(db: Damaged) -> None:
    db.sql("INSERT INTO hm_outbox (scope, stream, message, priority) SELECT scope, 'orders', 'm', 0 FROM hm_scopes")


@damage("it has no search document")
def a_document_is_lost(db: Damaged) -> None:
    db.sql("DELETE FROM hm_search_documents WHERE workflow_id = 'new'")


@damage("lists show ExecutionStatus as 'Running' where the run has 'Completed'")
def a_document_is_old(db: Damaged) -> None:
    db.sql("UPDATE hm_search_documents SET status = 'Running' WHERE workflow_id = 'done'")


@damage("lists show the run, but it is not there")
def a_run_is_lost_but_for_its_document(db: Damaged) -> None:
    db.sql("DELETE FROM hm_current_runs WHERE pointer_id LIKE 'c/%/done'")
    db.sql("DELETE FROM hm_jobs WHERE job_key = ?", db.key("done"))


@damage("the deletion of the run (event ")
def a_deletion_is_forgotten(db: Damaged) -> None:
    with db.state("done") as state:
        state.deleting = True


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found(damaged: Damaged, name: str) -> None:
    inflict, expected = DAMAGES[name]
    inflict(damaged)
    problems = damaged.problems()
    assert any(expected in problem for problem in problems), problems
