"""What children inherit, how the SDK cancels them, and who reaches whom from within workflows."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Priority, RetryPolicy
from temporalio.api.taskqueue.v1 import TaskQueue

from compat_tests.env import Env
from compat_tests.raw import RawWorker, complete_workflow, fail_workflow, payloads, schedule_activity
from compat_tests.raw_commands import (
    FAILURE,
    FINAL,
    cancel_other,
    cancel_workflow,
    continue_as_new,
    memo,
    signal_other,
    upsert_memo,
)
from compat_tests.scenarios.children import Family, start_child

STARTED = "CHILD_WORKFLOW_EXECUTION_STARTED"
SIGNALED, SIGNAL_FAILED = "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED"
CANCELED = "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED"
CANCEL_FAILED = "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED"


# What is inherited.


async def scenario_child_priority(env: Env) -> None:
    """Priorities of the parent and of the command, for a child and for an activity."""
    own = Priority(priority_key=2, fairness_key="tenant", fairness_weight=1.5)
    given = {
        "nothing": None,
        "key": Priority(priority_key=5),
        "fairness": Priority(fairness_key="other", fairness_weight=2.5),
    }
    for name, priority in given.items():
        await _inherits(env, name, own, priority)
    await _inherits(env, "unset", None, None)
    await _inherits(env, "child-only", None, own)


async def _inherits(env: Env, name: str, above: Priority | None, priority: Priority | None) -> None:
    family = Family(env)
    family.parent_id, family.queue = env.id(f"parent-{name}"), env.unique(f"queue-{name}")
    family.child = RawWorker(env, family.queue)
    start = family.start(name, priority=priority)
    activity = schedule_activity(env, priority=priority)
    await family.begin(start, activity, priority=above)
    await env.wait_event(family.parent_id, STARTED)
    described = (await env.client.get_workflow_handle(family.parent_id).describe()).raw_description
    env.record(f"pending {name}", [each.priority for each in described.pending_activities])
    task = await family.parent.poll_activity()
    env.record(f"task {name}", [task.HasField("priority"), task.priority])
    await family.parent.run_task(complete_workflow())
    await family.closed(name)
    await family.histories(name)
    await env.history(family.parent_id, f"history of parent {name}")
    await family.describe(f"description {name}", name)


async def scenario_child_does_not_inherit_memo(env: Env) -> None:
    family = Family(env)
    await family.begin(upsert_memo(later='"x"'), family.start(), memo=memo(first='"y"'))
    await family.started()
    await family.describe("parent", "parent")
    await family.describe("child", "child")


async def scenario_root_of_a_chain(env: Env) -> None:
    """The root of a child whose parent is a later run, and of a grandchild whose parent is one."""
    family = Family(env)
    await env.start_raw(family.parent_id)
    await family.parent.run_task(continue_as_new())
    await family.parent.run_task(family.start())
    await env.wait_event(family.parent_id, STARTED)
    await family.child.run_task(continue_as_new())
    deep = env.unique("deep")
    await family.child.run_task(start_child(env.id("grandchild"), task_queue=TaskQueue(name=deep)))
    await env.wait_event(env.id("child"), STARTED)
    await family.histories("parent", "child", "grandchild")
    for name in ("parent", "child", "grandchild"):
        await family.describe(name, name)


async def scenario_child_timeouts_with_retries(env: Env) -> None:
    """A run that times out is retried; the chain ends with its own timeout or with the attempts."""
    for name, options in {
        "run": {"workflow_run_timeout": Duration(seconds=1)},
        "execution": {"workflow_execution_timeout": Duration(seconds=2)},
    }.items():
        family = Family(env)
        family.parent_id, family.queue = env.id(f"parent-{name}"), env.unique(f"queue-{name}")
        policy = RetryPolicy(maximum_attempts=2, initial_interval=Duration(seconds=1))
        await family.begin(family.start(name, retry_policy=policy, **options))
        await env.wait_event(family.parent_id, "CHILD_WORKFLOW_EXECUTION_TIMED_OUT")
        await family.parent.run_task(complete_workflow())
        await env.history(family.parent_id, f"history of parent {name}")
        await family.histories(name)


async def scenario_child_cron_fails(env: Env) -> None:
    """A failed run of a cron child is followed by the next; the parent hears of the end of the schedule only."""
    family = Family(env)
    await family.begin(family.start(cron_schedule="@every 1s"))
    await family.started()
    first = (await family.handle().describe()).run_id
    await family.child.run_task(fail_workflow(FINAL))
    await family.child.run_task(cancel_workflow())
    await family.ends("CHILD_WORKFLOW_EXECUTION_CANCELED")
    await env.chain(env.id("child"), first)


async def scenario_child_retries_listed_failures(env: Env) -> None:
    family = Family(env)
    policy = RetryPolicy(maximum_attempts=5, non_retryable_error_types=["Broken"])
    await family.begin(family.start(retry_policy=policy))
    await family.started()
    await family.child.run_task(fail_workflow(FAILURE))
    await family.ends("CHILD_WORKFLOW_EXECUTION_FAILED")


async def scenario_child_upserts_and_continues(env: Env) -> None:
    """What a child changes of its memo goes over to its next runs as the command says; the parent's stays."""
    family = Family(env)
    await family.begin(family.start(memo=memo(a="1")))
    await family.started()
    await family.child.run_task(upsert_memo(b="2"), continue_as_new())
    env.record("second run", (await family.handle().describe()).raw_description.workflow_execution_info.memo)
    await family.child.run_task(continue_as_new(memo=memo(c="3")))
    env.record("third run", (await family.handle().describe()).raw_description.workflow_execution_info.memo)
    await family.child.run_task(complete_workflow())
    await env.wait_event(family.parent_id, "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await family.parent.run_task(complete_workflow())
    await family.histories("parent")


# Cancellation by the SDK.


@workflow.defn
class CancelsChild:
    """Starts a child on another queue, cancels it on a signal, says how that went, ends on another signal."""

    def __init__(self) -> None:
        self._signals: list[str] = []

    @workflow.run
    async def run(self, child_id: str, queue: str, kind: str) -> list[str]:
        said: list[str] = []
        child = await workflow.start_child_workflow(
            "Raw", id=child_id, task_queue=queue, cancellation_type=workflow.ChildWorkflowCancellationType[kind]
        )
        await workflow.wait_condition(lambda: "cancel" in self._signals)
        child.cancel()
        try:
            said.append(f"result {await child}")
        except BaseException as error:
            said.append(f"{type(error).__name__} caused by {type(error.__cause__).__name__}")
        await workflow.wait_condition(lambda: "end" in self._signals)
        return said

    @workflow.signal
    def tell(self, what: str) -> None:
        self._signals.append(what)


async def _cancels(env: Env, kind: str, end: Command) -> None:
    """The child is asked, ends its way, the parent ends after that; everything in turn."""
    name, queue, child = f"parent-{kind}", env.unique(f"queue-{kind}"), env.id(f"child-{kind}")
    async with env.worker(CancelsChild):
        parent = await env.client.start_workflow(
            CancelsChild.run, args=[child, queue, kind], id=env.id(name), task_queue=env.queue
        )
        worker = RawWorker(env, queue)
        await env.wait_event(parent, STARTED)
        await env.settled(parent)
        await worker.run_task()
        await parent.signal(CancelsChild.tell, "cancel")
        if kind != "ABANDON":
            await env.wait_event(parent, CANCELED)
            await env.settled(parent)
            await worker.run_task(end)
            await env.until(lambda: _no_children(env, parent.id), "the end of the child")
        await env.settled(parent)
        await parent.signal(CancelsChild.tell, "end")
        await env.outcome(f"result {kind}", parent.result())
        await env.history(parent, f"history of {name}")
        if kind != "ABANDON":
            await env.history(child, f"history of child {kind}")


async def _no_children(env: Env, parent_id: str) -> bool:
    return not (await env.client.get_workflow_handle(parent_id).describe()).raw_description.pending_children


async def scenario_child_sdk_try_cancel(env: Env) -> None:
    await _cancels(env, "TRY_CANCEL", cancel_workflow())


async def scenario_child_sdk_wait_cancellation_requested(env: Env) -> None:
    await _cancels(env, "WAIT_CANCELLATION_REQUESTED", cancel_workflow())


async def scenario_child_sdk_wait_cancellation_completed(env: Env) -> None:
    await _cancels(env, "WAIT_CANCELLATION_COMPLETED", cancel_workflow())


async def scenario_child_sdk_cancel_is_not_heeded(env: Env) -> None:
    """The child completes although it was asked."""
    await _cancels(env, "WAIT_CANCELLATION_COMPLETED", complete_workflow('"all the same"'))


async def scenario_child_sdk_abandon(env: Env) -> None:
    await _cancels(env, "ABANDON", complete_workflow())


# Signals and requests to cancel from within.


async def _target(env: Env, **fields: Any) -> tuple[str, str, RawWorker]:
    queue, target = env.unique("other"), env.id("target")
    response = await env.start_raw(target, task_queue=TaskQueue(name=queue), **fields)
    return target, response.run_id, RawWorker(env, queue)


async def _send(env: Env, name: str, sent: Command, answer: str) -> None:
    worker = RawWorker(env)
    await env.start_raw(env.id(name))
    await worker.run_task(sent)
    await env.wait_event(env.id(name), answer)
    await worker.run_task(complete_workflow())
    await env.history(env.id(name), f"history of {name}")


async def scenario_external_to_runs_of_a_chain(env: Env) -> None:
    """By run id: the old run is closed, the current one is reached."""
    target, first, worker = await _target(env)
    await worker.run_task(continue_as_new())
    await worker.run_task()
    current = (await env.client.get_workflow_handle(target).describe()).run_id
    await _send(env, "signal-to-old", signal_other(target, first), SIGNAL_FAILED)
    await _send(env, "cancel-to-old", cancel_other(target, first), CANCELED)
    await _send(env, "signal-to-current", signal_other(target, current), SIGNALED)
    await worker.run_task()
    await _send(env, "cancel-to-current", cancel_other(target, current), CANCELED)
    await worker.run_task(cancel_workflow())
    await env.chain(target, first)


async def scenario_external_cancel_twice(env: Env) -> None:
    """Whoever was asked already is not asked again, and nobody is told so."""
    target, _, worker = await _target(env)
    await worker.run_task()
    await env.client.get_workflow_handle(target).cancel()
    await worker.run_task()
    await _send(env, "second", cancel_other(target, reason="again"), CANCELED)
    await _send(env, "third", cancel_other(target), CANCELED)
    await env.history(target)


async def scenario_external_to_one_that_waits(env: Env) -> None:
    """A workflow with a start delay: a signal does not wake it, a request to cancel does."""
    target, _, worker = await _target(env, workflow_start_delay=Duration(seconds=60))
    await _send(env, "signal", signal_other(target), SIGNALED)
    await env.history(target, "signaled")
    await _send(env, "cancel", cancel_other(target, reason="enough"), CANCELED)
    await worker.run_task(cancel_workflow())
    await env.history(target)


async def scenario_external_only_to_own_children(env: Env) -> None:
    """A grandchild and the parent are no children of one's own."""
    family = Family(env)
    deep = RawWorker(env, env.unique("deep"))
    await family.begin(family.start())
    await family.started()
    await family.child.run_task(start_child(env.id("grandchild"), task_queue=deep.task_queue))
    await env.wait_event(env.id("child"), STARTED)
    await family.child.run_task(signal_other(family.parent_id, child_workflow_only=True))
    await env.wait_event(env.id("child"), SIGNAL_FAILED)
    await family.child.run_task()
    await family.handle("parent").signal("go")
    await family.parent.run_task(signal_other(env.id("grandchild"), child_workflow_only=True))
    await env.wait_event(family.parent_id, SIGNAL_FAILED)
    await family.parent.run_task(cancel_other(env.id("grandchild"), child_workflow_only=True))
    await env.wait_event(family.parent_id, CANCEL_FAILED)
    await family.parent.run_task()
    await family.histories("parent", "child", "grandchild")


async def scenario_external_child_in_a_later_run(env: Env) -> None:
    """A child that continued as new is still a child: reached without a run id, not by that of its first run."""
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    first = (await family.handle().describe()).run_id
    await family.child.run_task(continue_as_new())
    await family.child.run_task()
    await family.handle("parent").signal("go")
    await family.parent.run_task(signal_other(env.id("child"), child_workflow_only=True, input=payloads("1")))
    await env.wait_event(family.parent_id, SIGNALED)
    await family.parent.run_task(signal_other(env.id("child"), first, child_workflow_only=True))
    await env.wait_event(family.parent_id, SIGNAL_FAILED)
    await family.parent.run_task(cancel_other(env.id("child"), child_workflow_only=True))
    await env.wait_event(family.parent_id, CANCELED)
    await family.parent.run_task()
    await family.histories("parent", "child")


async def scenario_external_to_oneself_by_run_id(env: Env) -> None:
    worker, me = RawWorker(env), env.id()
    run_id = (await env.start_raw(me)).run_id
    await worker.run_task(signal_other(me, run_id))
    await env.wait_event(me, SIGNAL_FAILED)
    await worker.run_task(cancel_other(me, run_id))
    await env.wait_event(me, CANCEL_FAILED)
    await worker.run_task()
    await env.history(me)


async def scenario_external_failure_is_buffered(env: Env) -> None:
    worker, me = RawWorker(env), env.id()
    await env.start_raw(me)
    options = {"force_create_new_workflow_task": True, "return_new_workflow_task": True}
    sent = (signal_other(env.id("nobody")), cancel_other(env.id("nobody-else")))
    answered = await worker.complete(await worker.poll(), *sent, **options)
    await asyncio.sleep(1)
    await env.outcome("closing", worker.complete(answered.workflow_task, complete_workflow()))
    await worker.run_task(complete_workflow())
    history = await env.fetch_history(me)
    env.record("kinds", sorted(event.event_type for event in history.events))
