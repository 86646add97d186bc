"""Everything that can happen to a run, by workers, clients, other runs and time: one small function each.

Messages and answers come a second time or late, too. When a run is over, life goes on with the next of its chain, with
one that a reset makes of it, or with a fresh one.
"""

from __future__ import annotations

from collections.abc import Callable

from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Priority
from temporalio.api.protocol.v1 import Message
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from hotmesh_temporal.engine.deadlines import next_deadline
from hotmesh_temporal.engine.machines import workflow
from hotmesh_temporal.engine.model import Activity
from hotmesh_temporal.engine.protos import duration
from hotmesh_temporal.engine.reset import SIGNALS, UPDATES
from hotmesh_temporal.engine.tasks import take_workflow_task
from hotmesh_temporal.errors import TaskFailed, WorkflowCompleted, activity_not_found, task_not_found
from tests.engine import commands
from tests.engine.life import Action, Life
from tests.engine.sound import check, times
from tests.engine.support import (
    OUTCOMES,
    VERSION,
    WORKER,
    Run,
    Step,
    accept,
    accept_given,
    answering,
    failure,
    reject,
    reject_given,
    reporting,
    respond,
    seconds,
    started,
    take_activity,
    taken,
)

IDS = ("a", "b", "c", "d", "e")
RETRIES = {"none": None, "1 s": commands.retry(1), "2 s, twice": commands.retry(2, attempts=2)}
DELAYS = (0.0, 0.5, 1.0, 3.0, 7.0)
TIMEOUTS = (0.0, 2.0, 6.0, 20.0)
GROWN = 12
"""How many events a run has before it may end."""


ACTIONS: list[Action] = []


def action(possible: Callable[[Life], object], *, often: int = 2) -> Callable[[Callable[[Life], None]], Action]:
    """Marks what can happen."""

    def mark(do: Callable[[Life], None]) -> Action:
        ACTIONS.append(Action(do, possible, often))
        return ACTIONS[-1]

    return mark


# -- the worker of workflow tasks


@action(lambda life: life.open and life.run.state.task and not life.in_flight, often=16)
def take(life: Life) -> None:
    """The workflow task."""
    life.run.take()


@action(lambda life: life.in_flight, often=12)
def answer(life: Life) -> None:
    """As a worker in its right mind does."""
    given = _without_used_ids(life, [_ordinary(life) for _ in range(life.random.randrange(5))])
    given += _cancels(life)
    if len(life.run.history) > GROWN and life.chance(4):
        given.append(CLOSING[life.pick(list(CLOSING))]())
    _answer(life, given, _verdicts(life))


@action(lambda life: life.in_flight, often=5)
def answer_without_commands(life: Life) -> None:
    """There is nothing to do: a task that only brought updates leaves no events if all are rejected."""
    _answer(life, [], [reject(each) for each in life.run.sent()] if life.chance(2) else _verdicts(life))
    if life.open and life.run.state.task is None and life.chance(2):
        _ask_and_take(life)


def _ask_and_take(life: Life) -> None:
    """The next update comes before anything else, and the worker is idle."""
    if life.run.ask(life.pick(IDS)).offers:
        life.run.now += 1
        life.run.take()


@action(lambda life: life.in_flight, often=3)
def answer_carelessly(life: Life) -> None:
    """As a worker that mixes up ids and answers twice."""
    said = [life.pick(CARELESS)(life.pick(_known_updates(life))) for _ in range(life.pick([1, 1, 2]))]
    _answer(life, [_ordinary(life) for _ in range(life.random.randrange(3))], said)


def _answer(life: Life, given: list[Command], said: list[Message]) -> None:
    sticky, force_new, inline = life.pick([0.0, 0.0, 2.0]), life.chance(4), life.chance(4)
    try:
        life.run.answer(*given, messages=said, sticky=sticky, force_new=force_new, inline=inline)
    except TaskFailed:
        life.picked.append("invalid")
        life.run.answer_badly(*given, messages=said)


def _ordinary(life: Life) -> Command:
    return life.pick(COMMANDS)(life)


def _activity(life: Life) -> Command:
    return commands.activity(
        life.pick(IDS),
        start_to_close=life.pick(TIMEOUTS),
        schedule_to_close=life.pick(TIMEOUTS),
        schedule_to_start=life.pick(TIMEOUTS),
        heartbeat=life.pick(TIMEOUTS),
        retry=RETRIES[life.pick(list(RETRIES))],
        eager=life.chance(4),
    )


def _timer(life: Life) -> Command:
    return commands.timer(life.pick(IDS), life.pick(DELAYS))


def _marker(life: Life) -> Command:
    return commands.marker(life.pick(IDS))


def _child(life: Life) -> Command:
    return commands.child(life.pick(IDS))


def _signal_other(life: Life) -> Command:
    return commands.signal_other(life.pick(IDS))


def _cancel_other(life: Life) -> Command:
    return commands.cancel_other(life.pick(IDS))


def _memo(life: Life) -> Command:
    return commands.memo({life.pick(IDS): life.pick([b"1", b"2", b""]) for _ in range(2)})


def _attributes(life: Life) -> Command:
    return commands.search_attributes({"BatcherUser": life.pick([b'"x"', b'"y"', b""])})


COMMANDS: list[Callable[[Life], Command]] = [
    *[_activity] * 8,
    *[_timer] * 3,
    *[_child] * 2,
    _marker,
    _signal_other,
    _cancel_other,
    _memo,
    _attributes,
]
CLOSING: dict[str, Callable[[], Command]] = {
    "complete": commands.complete,
    "fail": commands.fail,
    "cancel": commands.cancel,
    "continue as new": commands.continue_as_new,
}


CARELESS: list[Callable[[str], Message]] = [accept, reject, accept_given, reject_given, respond, respond]


def _without_used_ids(life: Life, given: list[Command]) -> list[Command]:
    """What a worker in its right mind would send."""
    state = life.run.state
    used = {each.activity_id for each in state.activities.values()} | set(state.timers)
    kept: list[Command] = []
    for each in given:
        name = (
            each.schedule_activity_task_command_attributes.activity_id or each.start_timer_command_attributes.timer_id
        )
        if not name or name not in used:
            kept.append(each)
        used.add(name)
    return kept


def _cancels(life: Life) -> list[Command]:
    if not life.chance(4):
        return []
    state = life.run.state
    given = [commands.cancel_timer(life.pick(list(state.timers)))] if state.timers else []
    asked = [each.scheduled_event_id for each in state.activities.values() if not each.cancel_requested]
    return given + ([commands.cancel_activity(life.pick(asked))] if asked else [])


def _verdicts(life: Life) -> list[Message]:
    """What a worker says of the updates that it has: it may keep silent."""
    accepted = [each for each, known in life.run.state.updates.items() if not known.completed_event_id]
    said = [life.pick([accept, accept, reject])(each) for each in life.run.sent() if not life.chance(8)]
    return said + [respond(each) for each in accepted if life.chance(2)]


def _known_updates(life: Life) -> list[str]:
    return [*life.run.state.updates, *life.run.state.asked_updates, "unknown"]


@action(lambda life: life.in_flight and life.run.state.task_attempt < 4)
def fail_task(life: Life) -> None:
    """The worker cannot process it."""
    life.run.fail_task()


# -- the worker of activities


@action(lambda life: life.activities(at_work=False), often=12)
def take_offered_activity(life: Life) -> None:
    """An attempt begins."""
    life.run.take_activity(life.pick(life.activities(at_work=False)))


@action(lambda life: life.activities(at_work=True), often=10)
def work(life: Life) -> None:
    """An attempt ends, or goes on."""
    activity_id = life.pick(life.activities(at_work=True))
    how = life.pick(["complete", "fail", "fail for good", "heartbeat", "cancel"])
    if how == "complete":
        life.run.complete_activity(activity_id)
    elif how in ("fail", "fail for good"):
        life.run.fail_activity(activity_id, failure(non_retryable=how != "fail"))
    elif how == "heartbeat":
        life.run.heartbeat(activity_id)
    elif life.run.activity(activity_id).cancel_requested:
        life.run.cancel_activity(activity_id)


@action(lambda life: life.open and life.run.state.activities)
def complete_by_id(life: Life) -> None:
    """Whoever knows the id has the result, whether a worker has begun or not."""
    life.run.complete_by_id(_pending(life).activity_id)


@action(lambda life: life.open and life.run.state.activities)
def pause(life: Life) -> None:
    """No attempt is made for the time being."""
    life.run.pause(_pending(life).activity_id)


@action(lambda life: life.open and any(each.paused for each in life.run.state.activities.values()), often=6)
def unpause(life: Life) -> None:
    """It goes on."""
    paused = [each.activity_id for each in life.run.state.activities.values() if each.paused]
    life.run.unpause(life.pick(paused), reset_attempts=life.chance(2), jitter=life.pick([0, 0, 60]))


@action(lambda life: life.open and life.run.state.activities, often=1)
def reset_activity(life: Life) -> None:
    """It begins again."""
    keep_paused, restore_options = life.chance(2), life.chance(2)
    jitter = life.pick([0, 60])
    activity_id = _pending(life).activity_id
    life.run.reset(activity_id, keep_paused=keep_paused, restore_options=restore_options, jitter=jitter)


@action(lambda life: life.open and life.run.state.activities, often=1)
def change_options(life: Life) -> None:
    """Another queue, another timeout; or back to those of the beginning."""
    activity_id = _pending(life).activity_id
    if life.chance(2):
        life.run.restore_options(activity_id)
        return
    queue, wait = TaskQueue(name=life.pick(["queue", "other"])), duration(seconds(life.pick(TIMEOUTS)))
    life.run.change_options(
        activity_id, "task_queue.name", "heartbeat_timeout", task_queue=queue, heartbeat_timeout=wait
    )


def _pending(life: Life) -> Activity:
    return life.run.activity(life.pick([each.activity_id for each in life.run.state.activities.values()]))


# -- other runs


@action(lambda life: life.open and life.run.state.children, often=4)
def hear_of_child(life: Life) -> None:
    """It is there, it cannot be, it has ended."""
    child = life.run.state.children[life.pick(list(life.run.state.children))]
    if child.run_id:
        life.run.child_ends(child.initiated_event_id)
    elif life.chance(3):
        life.run.child_does_not_start(child.initiated_event_id)
    else:
        life.run.child_starts(child.initiated_event_id)


@action(lambda life: life.open and (life.run.state.signals or life.run.state.cancels), often=4)
def hear_of_others(life: Life) -> None:
    """They have what was sent, or are not there."""
    well = not life.chance(3)
    for initiated_id in list(life.run.state.signals)[:1]:
        life.run.signal_is_answered(initiated_id, well=well)
    for initiated_id in list(life.run.state.cancels)[:1]:
        life.run.cancel_is_answered(initiated_id, well=well)


# -- time


@action(lambda life: True, often=4)
def later(life: Life) -> None:
    """Some time passes: nothing that is due stays behind."""
    length = len(life.run.history)
    was_open = life.open
    step = life.run.later(life.pick(DELAYS))
    if not was_open:
        assert step == Step()
        assert len(life.run.history) == length
    elif life.open:
        assert all(at > life.run.now for at in times(life.run))


@action(lambda life: life.open and next_deadline(life.run.state), often=3)
def until_the_next_deadline(life: Life) -> None:
    """The next thing is due: it happens."""
    before = life.run.data
    life.run.now = max(life.run.now, next_deadline(life.run.state))
    life.run.later(0)
    assert life.run.data != before


# -- others from outside


@action(lambda life: life.open, often=3)
def signal(life: Life) -> None:
    """Signals are numbered."""
    life.signals += 1
    life.run.signal(f"signal {life.signals:04}")


@action(lambda life: life.open and not life.run.state.cancel_requested, often=1)
def request_cancel(life: Life) -> None:
    """Of the workflow."""
    life.run.request_cancel()


@action(lambda life: life.open and life.run.state.task_attempt < 3, often=3)
def ask_for_update(life: Life) -> None:
    """One that is known is not asked a second time."""
    state, update_id, before = life.run.state, life.pick(IDS), life.run.data
    known = update_id in state.updates or update_id in state.asked_updates
    step = life.run.ask(update_id)
    assert not step.events
    assert (life.run.data == before) == known


@action(lambda life: life.open, often=1)
def change_priority(life: Life) -> None:
    """Of the run."""
    options = WorkflowExecutionOptions(priority=Priority(priority_key=life.pick([1, 2, 3])))
    life.run.step(lambda turn: workflow.update_options(turn, options, "client"))


@action(lambda life: life.open and len(life.run.history) > 3 * GROWN, often=1)
def terminate(life: Life) -> None:
    """The run."""
    life.run.terminate()


@action(lambda life: len(life.run.history) > GROWN and life.resets < 3, often=1)
def reset_run(life: Life) -> None:
    """Life goes on with the new run."""
    before, points = life.run, life.run.points()
    if not points:
        return
    life.resets += 1
    excluded = life.pick([frozenset[int](), frozenset({SIGNALS}), frozenset({UPDATES})])
    made = before.reset_run(life.pick(points), excluded)
    life.witness.look()
    assert not before.state.running
    assert made.state.first_run_id == before.state.first_run_id
    life.go_on(made)


# -- a second time, or late


@action(lambda life: life.run.delivered, often=4)
def deliver_again(life: Life) -> None:
    """What was delivered before, just now or long ago."""
    again = life.run.delivered[-1] if life.chance(2) else life.pick(life.run.delivered)
    life.picked = []
    assert life.refusal(again) != "it was accepted"


@action(lambda life: life.run.task_tokens, often=3)
def answer_late(life: Life) -> None:
    """The answer to a workflow task that is over."""
    run = life.run
    token = life.pick(run.task_tokens[-2:] if life.chance(2) else run.task_tokens)
    if life.in_flight and token == run.task_tokens[-1]:
        return
    request = RespondWorkflowTaskCompletedRequest(commands=[commands.marker()], identity=WORKER)
    life.nothing_comes_of(answering(token, request), task_not_found().message)


@action(lambda life: life.run.activity_tokens, often=6)
def report_late(life: Life) -> None:
    """The outcome of an attempt that is over."""
    tokens = life.run.activity_tokens
    event_id, attempt = life.pick(tokens[-3:] if life.chance(2) else tokens)
    pending = life.run.state.activities.get(event_id)
    # As on the server: the attempt's number is all that counts, and a reset begins to count anew.
    if life.open and pending is not None and pending.started and pending.attempt == attempt:
        return
    error = activity_not_found().message if life.open else WorkflowCompleted().message
    how = life.pick(list(OUTCOMES))
    life.nothing_comes_of(reporting((event_id, attempt), OUTCOMES[how]), error)


@action(lambda life: life.run.offered, often=3)
def take_stale_offer(life: Life) -> None:
    """A task that lay in a queue for long: it is of no use unless it is the one that waits."""
    run, state = life.run, life.run.state
    offer = life.pick(sorted(run.offered, key=lambda each: (each.activity, each.event_id, each.stamp, each.queue)))
    given, pending, task = (offer.event_id, offer.stamp), state.activities.get(offer.event_id), state.task
    if offer.activity:
        if life.open and pending is not None and pending.stamp == offer.stamp and not pending.started:
            return
        life.nothing_comes_of(lambda turn: taken(take_activity(turn, *given, "stale")))
    else:
        if life.open and task is not None and (task.scheduled_event_id, task.attempt) == given:
            return
        life.nothing_comes_of(lambda turn: taken(take_workflow_task(turn, *given, "stale", WORKER, VERSION)))


# -- after the end


@action(lambda life: not life.open, often=14)
def live_on(life: Life) -> None:
    """With the next run of the chain, or with a fresh one."""
    before, following = life.run, life.run.next_run
    check(before)
    if following is not None and not life.chance(4):
        assert following.state.first_run_id == before.state.first_run_id
        life.go_on(following)
        return
    opening = started(
        run_timeout=life.pick([0.0, 0.0, 100.0]),
        execution_timeout=life.pick([0.0, 0.0, 120.0]),
        retry_policy=RETRIES[life.pick(list(RETRIES))],
        cron_schedule=life.pick(["", "", "@every 5s"]),
    )
    life.go_on(Run(opening, wait=life.pick([0.0, 0.0, 2.0]), now=before.now))
    life.resets = 0
