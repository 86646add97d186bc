"""What becomes of children when their parent ends, in each way in which it can end."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy
from temporalio.api.taskqueue.v1 import TaskQueue

from compat_tests.env import Env
from compat_tests.raw import RawWorker, complete_workflow, fail_workflow
from compat_tests.raw_commands import FAILURE, cancel_workflow, continue_as_new
from compat_tests.scenarios.children import ABANDON, REQUEST_CANCEL, TERMINATE, Family

STARTED = "CHILD_WORKFLOW_EXECUTION_STARTED"
ASKED = "WORKFLOW_EXECUTION_CANCEL_REQUESTED"
POLICIES = {"terminated": TERMINATE, "asked": REQUEST_CANCEL, "abandoned": ABANDON}


async def _family(env: Env, **fields: object) -> tuple[Family, str]:
    """A parent with a child of each policy, started one after the other."""
    family = Family(env)
    starts = [family.start(name, parent_close_policy=policy) for name, policy in POLICIES.items()]
    run_id = await family.begin(starts[0], **fields)
    for number, start in enumerate(starts[1:], 1):
        await env.wait_event(family.parent_id, STARTED, number)
        await family.parent.run_task(start)
    await env.wait_event(family.parent_id, STARTED, len(starts))
    return family, run_id


async def _fates(env: Env, family: Family) -> None:
    """Wait until the policies were applied, and record all histories."""
    await family.closed("terminated")
    await env.wait_event(env.id("asked"), ASKED)
    await family.histories(*POLICIES)


async def _ends_by(env: Env, answer: Command) -> None:
    family, run_id = await _family(env)
    await family.parent.run_task(answer)
    await _fates(env, family)
    # Whether a next run has to wait depends on how long this one took.
    await env.history(env.client.get_workflow_handle(family.parent_id, run_id=run_id), "history of the parent")


async def scenario_parent_fails_over_children(env: Env) -> None:
    await _ends_by(env, fail_workflow(FAILURE))


async def scenario_parent_canceled_over_children(env: Env) -> None:
    await _ends_by(env, cancel_workflow())


async def scenario_parent_continued_over_children(env: Env) -> None:
    await _ends_by(env, continue_as_new())


async def scenario_parent_terminated_over_children(env: Env) -> None:
    family, _ = await _family(env)
    await family.parent.run_task()
    await family.handle("parent").terminate(reason="enough")
    await _fates(env, family)
    await family.histories("parent")


async def scenario_parent_run_times_out_over_children(env: Env) -> None:
    family, _ = await _family(env, workflow_run_timeout=Duration(seconds=8))
    await family.parent.run_task()
    await _fates(env, family)
    await family.histories("parent")


async def scenario_parent_replaced_over_children(env: Env) -> None:
    """Another run takes the parent's id over."""
    family, run_id = await _family(env)
    await family.parent.run_task()
    policy = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    await env.start_raw(family.parent_id, workflow_id_conflict_policy=policy)
    await _fates(env, family)
    await env.history(env.client.get_workflow_handle(family.parent_id, run_id=run_id), "history of the first run")


async def scenario_parent_cron_over_children(env: Env) -> None:
    """The end of each run of a cron workflow is the end of a parent."""
    family, run_id = await _family(env, cron_schedule="@every 1s")
    await family.parent.run_task(complete_workflow())
    await _fates(env, family)
    await family.parent.poll()
    await family.handle("parent").terminate()
    await env.chain(family.parent_id, run_id)


async def scenario_abandoned_child_ends_after_its_parent(env: Env) -> None:
    """Nobody is told."""
    family = Family(env)
    await family.begin(family.start(parent_close_policy=ABANDON))
    await family.started()
    await family.handle("parent").terminate(reason="enough")
    await family.child.run_task(complete_workflow())
    await family.histories("parent", "child")
    await family.describe("child", "child")


async def scenario_abandoned_child_is_not_known_to_the_next_run(env: Env) -> None:
    """The end of a child is not told to the run that follows its parent."""
    family = Family(env)
    first = await family.begin(family.start(parent_close_policy=ABANDON))
    await env.wait_event(family.parent_id, STARTED)
    await family.parent.run_task(continue_as_new())
    await family.child.run_task(complete_workflow())
    await family.closed("child")
    await family.pending_children()
    await family.parent.run_task(complete_workflow())
    await env.chain(family.parent_id, first)


async def scenario_child_chain_is_ended_by_the_parent(env: Env) -> None:
    """The policy reaches the run of the child that is current, by continue-as-new and by retry."""
    family = Family(env)
    policy = RetryPolicy(maximum_attempts=3)
    await family.begin(family.start("continued"))
    await env.wait_event(family.parent_id, STARTED)
    elsewhere = RawWorker(env, env.unique("elsewhere"))
    await family.parent.run_task(family.start("retried", retry_policy=policy, task_queue=elsewhere.task_queue))
    await env.wait_event(family.parent_id, STARTED, 2)
    firsts = {name: (await family.handle(name).describe()).run_id for name in ("continued", "retried")}
    await family.child.run_task(continue_as_new())
    await elsewhere.run_task(fail_workflow(FAILURE))
    await family.parent.run_task(complete_workflow())
    await family.closed("continued", "retried")
    for name, first in firsts.items():
        await env.chain(env.id(name), first)


async def scenario_child_asked_between_its_runs(env: Env) -> None:
    """Requests to cancel reach a run of the child that waits for its first task."""
    family = Family(env)
    policy = RetryPolicy(initial_interval=Duration(seconds=60))
    await family.begin(family.start(retry_policy=policy, parent_close_policy=REQUEST_CANCEL))
    await env.wait_event(family.parent_id, STARTED)
    await family.child.run_task(fail_workflow(FAILURE))
    await family.parent.run_task(complete_workflow())
    await env.wait_event(env.id("child"), ASKED)
    await family.child.run_task(cancel_workflow())
    await family.histories("parent", "child")


async def scenario_child_replaced_by_a_start(env: Env) -> None:
    """Somebody else takes over the id of a child: the parent is told that it was terminated."""
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    policy = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    queue = TaskQueue(name=env.unique("elsewhere"))
    await env.start_raw(env.id("child"), workflow_id_conflict_policy=policy, task_queue=queue)
    await env.wait_event(family.parent_id, "CHILD_WORKFLOW_EXECUTION_TERMINATED")
    await family.parent.run_task(complete_workflow())
    await family.histories("parent", "child")
    await family.describe("the other one", "child")


async def scenario_child_reuses_the_id_of_a_finished_one(env: Env) -> None:
    """The same parent starts it again; each outcome belongs to its own start."""
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    await family.child.run_task(complete_workflow('"first"'))
    await env.wait_event(family.parent_id, "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await family.parent.run_task(family.start())
    await family.started(2)
    await family.child.run_task(complete_workflow('"second"'))
    await env.wait_event(family.parent_id, "CHILD_WORKFLOW_EXECUTION_COMPLETED", 2)
    await family.parent.run_task(complete_workflow())
    await family.histories("parent", "child")


async def scenario_child_with_the_id_of_its_parent(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start("parent"))
    await env.wait_event(family.parent_id, "START_CHILD_WORKFLOW_EXECUTION_FAILED")
    await family.parent.run_task(complete_workflow())
    await family.histories("parent")


async def scenario_parent_may_not_close_over_a_new_child(env: Env) -> None:
    """The start of the child is buffered: the worker has to see it before it closes the run."""
    family = Family(env)
    options = {"force_create_new_workflow_task": True, "return_new_workflow_task": True}
    await env.start_raw(family.parent_id)
    answered = await family.parent.complete(await family.parent.poll(), family.start(), **options)
    await family.child.poll()
    await env.until(lambda: _has_started(family), "the child's start")
    await env.outcome("answer", family.parent.complete(answered.workflow_task, complete_workflow()))
    await family.parent.run_task(complete_workflow())
    await family.closed("child")
    await family.histories("parent", "child")


async def _has_started(family: Family) -> bool:
    pending = (await family.handle("parent").describe()).raw_description.pending_children
    return bool(pending and pending[0].run_id)
