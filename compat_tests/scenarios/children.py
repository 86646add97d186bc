"""Child workflows: how they start, end, and what becomes of them when their parent ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.command.v1 import (
    CancelWorkflowExecutionCommandAttributes,
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import Header, Memo, Payload, RetryPolicy, WorkflowType
from temporalio.api.enums.v1 import ParentClosePolicy, WorkflowIdReusePolicy
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.exceptions import ApplicationError

from compat_tests.env import NAMESPACE, Env, Handle
from compat_tests.raw import RawWorker, command, complete_workflow, fail_workflow, payloads

TERMINATE = ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE
ABANDON = ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON
REQUEST_CANCEL = ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL
FAILURE = Failure(message="broken", application_failure_info=ApplicationFailureInfo(type="Broken"))
COMPLETED = "CHILD_WORKFLOW_EXECUTION_COMPLETED"


def start_child(workflow_id: str, **fields: Any) -> Command:
    """Start a child of type ``Raw``."""
    defaults: dict[str, Any] = {"workflow_id": workflow_id, "workflow_type": WorkflowType(name="Raw")}
    attributes = StartChildWorkflowExecutionCommandAttributes(**{**defaults, **fields})
    return command("START_CHILD_WORKFLOW_EXECUTION", start_child_workflow_execution_command_attributes=attributes)


class Family:
    """A raw parent on the scenario's queue whose children are on a queue of their own."""

    def __init__(self, env: Env) -> None:
        self.env = env
        self.queue = env.unique("children")
        self.parent, self.child = RawWorker(env), RawWorker(env, self.queue)
        self.parent_id = env.id("parent")

    async def begin(self, *commands: Command, **fields: Any) -> str:
        """Start the parent and let it give these commands; its run id."""
        response = await self.env.start_raw(self.parent_id, **fields)
        await self.parent.run_task(*commands)
        return response.run_id

    def start(self, name: str = "child", **fields: Any) -> Command:
        """The command to start a child on the children's queue; the same name is the same id."""
        return start_child(self.env.id(name), **{"task_queue": TaskQueue(name=self.queue), **fields})

    async def started(self, count: int = 1) -> None:
        """Let the parent see that its children have started."""
        await self.env.wait_event(self.parent_id, "CHILD_WORKFLOW_EXECUTION_STARTED", count)
        await self.parent.run_task()

    async def ends(self, event: str, *commands: Command) -> None:
        """Wait for an event of the parent, answer the task that it leads to (by completing), record everything."""
        await self.env.wait_event(self.parent_id, event)
        await self.parent.run_task(*(commands or [complete_workflow()]))
        await self.histories("parent", "child")

    async def histories(self, *names: str) -> None:
        """Record the histories of the current runs."""
        for name in names:
            await self.env.history(self.env.id(name), f"history of {name}")

    async def closed(self, *names: str) -> None:
        """Wait until these have ended."""
        for name in names:
            handle = self.env.client.get_workflow_handle(self.env.id(name))

            async def done(handle: Handle = handle) -> bool:
                return (await handle.describe()).close_time is not None

            await self.env.until(done, f"the end of {name}")

    def handle(self, name: str = "child") -> Handle:
        """A handle of the current run."""
        return self.env.client.get_workflow_handle(self.env.id(name))

    async def pending_children(self) -> None:
        """Record what the parent's description says of its children (in no order)."""
        pending = (await self.handle("parent").describe()).raw_description.pending_children
        self.env.record("pending", sorted(pending, key=lambda each: each.initiated_id))

    async def describe(self, label: str, name: str) -> None:
        """Record a description."""
        self.env.record(label, (await self.handle(name).describe()).raw_description)


async def scenario_child_completes(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start(input=payloads('"in"')))
    await family.started()
    await family.describe("parent while the child runs", "parent")
    await family.describe("child while it runs", "child")
    await family.child.run_task(complete_workflow('"from child"'))
    await family.ends(COMPLETED)
    await family.describe("parent", "parent")
    await family.describe("child", "child")


async def scenario_child_all_fields(env: Env) -> None:
    family = Family(env)
    value = Payload(metadata={"encoding": b"json/plain"}, data=b'"x"')
    child = family.start(
        input=payloads('"in"'),
        header=Header(fields={"key": value}),
        memo=Memo(fields={"note": value}),
        workflow_execution_timeout=Duration(seconds=100),
        workflow_run_timeout=Duration(seconds=50),
        workflow_task_timeout=Duration(seconds=5),
        retry_policy=RetryPolicy(maximum_attempts=2),
        parent_close_policy=ABANDON,
        workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
        control="control",
    )
    child.user_metadata.CopyFrom(UserMetadata(summary=value))
    attributes = child.start_child_workflow_execution_command_attributes
    attributes.search_attributes.indexed_fields["BatcherUser"].CopyFrom(value)
    attributes.search_attributes.indexed_fields["BatcherUser"].metadata["type"] = b"Keyword"
    attributes.priority.priority_key = 2
    await family.begin(child)
    await family.started()
    await family.describe("child while it runs", "child")
    await family.child.run_task(complete_workflow())
    await family.ends(COMPLETED)


async def scenario_child_fails(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    await family.child.run_task(fail_workflow(FAILURE))
    await family.ends("CHILD_WORKFLOW_EXECUTION_FAILED", fail_workflow(FAILURE))


async def scenario_child_canceled(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    await family.child.run_task()
    await family.handle().cancel()
    details = CancelWorkflowExecutionCommandAttributes(details=payloads('"details"'))
    await family.child.run_task(
        command("CANCEL_WORKFLOW_EXECUTION", cancel_workflow_execution_command_attributes=details)
    )
    await family.ends("CHILD_WORKFLOW_EXECUTION_CANCELED")


async def scenario_child_times_out(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start(workflow_run_timeout=Duration(seconds=2)))
    await family.started()
    await family.ends("CHILD_WORKFLOW_EXECUTION_TIMED_OUT")


async def scenario_child_terminated(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    await family.handle().terminate(reason="enough")
    await family.ends("CHILD_WORKFLOW_EXECUTION_TERMINATED")


async def scenario_child_outcome_is_buffered(env: Env) -> None:
    """Children start and end while the parent's worker is busy."""
    family = Family(env)
    await family.begin(family.start("child"), family.start("second"))
    await env.wait_event(family.parent_id, "CHILD_WORKFLOW_EXECUTION_STARTED")
    task = await family.parent.poll()
    for _ in range(2):
        await family.child.run_task(complete_workflow())
    await family.closed("child", "second")
    await asyncio.sleep(1)
    await family.parent.complete(task)
    await env.wait_event(family.parent_id, COMPLETED, 2)
    await family.parent.run_task(complete_workflow())
    events = (await env.fetch_history(family.parent_id)).events
    env.record("kinds", sorted(event.event_type for event in events))


async def scenario_child_already_started(env: Env) -> None:
    family = Family(env)
    await env.start_raw(env.id("child"))
    await family.parent.poll()
    await family.begin(family.start(control="control"))
    await family.ends("START_CHILD_WORKFLOW_EXECUTION_FAILED")


async def scenario_child_same_id_twice(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    await env.client.get_workflow_handle(family.parent_id).signal("go")
    await family.parent.run_task(family.start())
    await env.wait_event(family.parent_id, "START_CHILD_WORKFLOW_EXECUTION_FAILED")
    await family.parent.run_task(complete_workflow())
    await family.closed("child")
    await family.histories("parent", "child")


async def scenario_child_reuse_policies(env: Env) -> None:
    for name in ("ALLOW_DUPLICATE", "ALLOW_DUPLICATE_FAILED_ONLY", "REJECT_DUPLICATE", "TERMINATE_IF_RUNNING"):
        policy = WorkflowIdReusePolicy.Value(f"WORKFLOW_ID_REUSE_POLICY_{name}")
        for end in ("completed", "failed", "running"):
            await _reuse(env, f"{name} after {end}", policy, end)


async def _reuse(env: Env, label: str, policy: int, end: str) -> None:
    name = label.replace(" ", "-")
    family = Family(env)
    family.parent_id = env.id(f"parent-{name}")
    family.queue = env.unique(f"queue-{name}")
    family.child = RawWorker(env, family.queue)
    await env.start_raw(env.id(name), task_queue=TaskQueue(name=family.queue))
    if end != "running":
        await family.child.run_task(complete_workflow() if end == "completed" else fail_workflow(FAILURE))
    await family.begin(family.start(name, workflow_id_reuse_policy=policy))
    await family.parent.run_task(complete_workflow())
    await env.history(family.parent_id, label)


async def scenario_parent_close_policies(env: Env) -> None:
    family = Family(env)
    await family.begin(
        family.start("terminated", parent_close_policy=TERMINATE),
        family.start("asked", parent_close_policy=REQUEST_CANCEL),
        family.start("abandoned", parent_close_policy=ABANDON),
        family.start("unspecified"),
    )
    await env.wait_event(family.parent_id, "CHILD_WORKFLOW_EXECUTION_STARTED", 4)
    task = await family.parent.poll()
    await family.parent.complete(task, complete_workflow())
    await family.closed("terminated", "unspecified")
    await env.wait_event(env.id("asked"), "WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    await family.histories("terminated", "asked", "abandoned", "unspecified")
    await family.pending_children()


async def scenario_parent_is_terminated(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    await family.handle("parent").terminate(reason="enough")
    await family.closed("child")
    await family.histories("parent", "child")


async def scenario_parent_times_out(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start(parent_close_policy=REQUEST_CANCEL), workflow_execution_timeout=Duration(seconds=2))
    await family.started()
    await family.child.run_task()
    await env.wait_event(env.id("child"), "WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    await family.histories("parent", "child")


async def scenario_parent_continues_as_new(env: Env) -> None:
    family = Family(env)
    first = await family.begin(family.start("terminated", parent_close_policy=TERMINATE))
    await env.wait_event(family.parent_id, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await family.parent.run_task(family.start("kept", parent_close_policy=ABANDON))
    await env.wait_event(family.parent_id, "CHILD_WORKFLOW_EXECUTION_STARTED", 2)
    again = ContinueAsNewWorkflowExecutionCommandAttributes(
        workflow_type=WorkflowType(name="Raw"), task_queue=TaskQueue(name=env.queue)
    )
    await family.parent.run_task(
        command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=again)
    )
    await family.closed("terminated")
    await family.histories("terminated", "kept")
    await family.child.run_task(complete_workflow())
    await family.parent.run_task(complete_workflow())
    await env.chain(family.parent_id, first)


async def scenario_parent_fails_and_retries(env: Env) -> None:
    family = Family(env)
    policy = RetryPolicy(maximum_attempts=2)
    first = await family.begin(family.start(), retry_policy=policy)
    await env.wait_event(family.parent_id, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await family.parent.run_task(fail_workflow(FAILURE))
    await family.closed("child")
    await family.parent.run_task(complete_workflow())
    await env.chain(family.parent_id, first)
    await family.histories("child")


async def scenario_parent_completes_at_once(env: Env) -> None:
    """The parent is over before its children could start: there will be none, whatever the policy."""
    family = Family(env)
    await family.begin(
        family.start("terminated"), family.start("abandoned", parent_close_policy=ABANDON), complete_workflow()
    )
    await asyncio.sleep(1)
    await family.histories("parent")
    await family.pending_children()
    for name in ("terminated", "abandoned"):
        await env.outcome(name, family.handle(name).fetch_history())


async def scenario_child_retries(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start(retry_policy=RetryPolicy(maximum_attempts=2)))
    await family.started()
    first = (await family.handle().describe()).run_id
    await family.child.run_task(fail_workflow(FAILURE))
    await family.child.run_task(complete_workflow())
    await family.ends(COMPLETED)
    await env.chain(env.id("child"), first)


async def scenario_child_retries_in_vain(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start(retry_policy=RetryPolicy(maximum_attempts=2)))
    await family.started()
    await family.child.run_task(fail_workflow(FAILURE))
    await family.child.run_task(fail_workflow(FAILURE))
    await family.ends("CHILD_WORKFLOW_EXECUTION_FAILED")


async def scenario_child_continues_as_new(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    first = (await family.handle().describe()).run_id
    again = ContinueAsNewWorkflowExecutionCommandAttributes(
        workflow_type=WorkflowType(name="Raw"), task_queue=TaskQueue(name=family.queue)
    )
    await family.child.run_task(
        command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=again)
    )
    task = await family.child.poll()
    await family.describe("parent while the second run goes on", "parent")
    await family.describe("second run", "child")
    await family.child.complete(task, complete_workflow())
    await family.ends(COMPLETED)
    await env.chain(env.id("child"), first)


async def scenario_child_with_cron(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start(cron_schedule="@every 1s"))
    await family.started()
    first = (await family.handle().describe()).run_id
    await family.child.run_task(complete_workflow())
    await family.child.poll()
    await family.handle().terminate(reason="enough")
    await family.ends("CHILD_WORKFLOW_EXECUTION_TERMINATED")
    await env.chain(env.id("child"), first)


async def scenario_child_of_a_child(env: Env) -> None:
    family = Family(env)
    deep = RawWorker(env, env.unique("deep"))
    await family.begin(family.start())
    await family.started()
    await family.child.run_task(start_child(env.id("grandchild"), task_queue=TaskQueue(name=env.unique("deep"))))
    await env.wait_event(env.id("child"), "CHILD_WORKFLOW_EXECUTION_STARTED")
    await family.describe("grandchild", "grandchild")
    await _listed(env, "children of the parent", f'ParentWorkflowId = "{family.parent_id}"')
    await _listed(env, "all of the family", f'RootWorkflowId = "{family.parent_id}"', 3)
    await family.handle("parent").terminate(reason="enough")
    await family.closed("child", "grandchild")
    await family.histories("parent", "child", "grandchild")
    del deep


async def _listed(env: Env, label: str, query: str, count: int = 1) -> None:
    found: list[Any] = []

    async def there() -> bool:
        request = ListWorkflowExecutionsRequest(namespace=NAMESPACE, query=query)
        found[:] = (await env.rpc.list_workflow_executions(request)).executions
        return len(found) == count

    await env.until(there, label)
    found.sort(key=lambda each: each.execution.workflow_id)
    env.record(label, [(each.execution, each.parent_execution, each.root_execution) for each in found])


async def scenario_child_bad_attributes(env: Env) -> None:
    worker, long = RawWorker(env), "x" * 1001
    negative = Duration(seconds=-1)
    cases: dict[str, dict[str, Any]] = {
        "no-id": {"workflow_id": ""},
        "no-type": {"workflow_type": WorkflowType()},
        "long-id": {"workflow_id": long},
        "long-type": {"workflow_type": WorkflowType(name=long)},
        "long-queue": {"task_queue": TaskQueue(name=long)},
        "negative-execution": {"workflow_execution_timeout": negative},
        "negative-run": {"workflow_run_timeout": negative},
        "negative-task": {"workflow_task_timeout": negative},
        "bad-retry": {"retry_policy": RetryPolicy(maximum_attempts=-1)},
        "bad-cron": {"cron_schedule": "never"},
        "unknown-namespace": {"namespace": "nope"},
    }
    for name, fields in cases.items():
        workflow_id = env.id(name)
        await env.start_raw(workflow_id)
        bad = start_child(**{"workflow_id": "child", **fields})
        await env.outcome(name, worker.complete(await worker.poll(), bad))
        await env.history(workflow_id, f"history of {name}")
        await env.client.get_workflow_handle(workflow_id).terminate()


async def scenario_child_bad_search_attribute(env: Env) -> None:
    worker = RawWorker(env)
    bad = start_child("child")
    fields = bad.start_child_workflow_execution_command_attributes.search_attributes.indexed_fields
    fields["Nope"].CopyFrom(payloads('"x"').payloads[0])
    await env.start_raw(env.id("parent"))
    await env.outcome("answer", worker.complete(await worker.poll(), bad))
    await env.history(env.id("parent"))


async def scenario_child_same_id_in_one_answer(env: Env) -> None:
    family = Family(env)
    await env.start_raw(family.parent_id)
    await env.outcome("answer", family.parent.complete(await family.parent.poll(), family.start(), family.start()))


async def scenario_child_cancel_by_parent(env: Env) -> None:
    """What the SDK sends when a child is to be canceled."""
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    await family.child.run_task()
    await family.handle("parent").signal("go")
    attributes = RequestCancelExternalWorkflowExecutionCommandAttributes(
        workflow_id=env.id("child"), child_workflow_only=True, reason="enough"
    )
    await family.parent.run_task(
        command(
            "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION",
            request_cancel_external_workflow_execution_command_attributes=attributes,
        )
    )
    await env.wait_event(family.parent_id, "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    await family.parent.run_task()
    canceled = CancelWorkflowExecutionCommandAttributes()
    await family.child.run_task(
        command("CANCEL_WORKFLOW_EXECUTION", cancel_workflow_execution_command_attributes=canceled)
    )
    await family.ends("CHILD_WORKFLOW_EXECUTION_CANCELED")


# -- by the SDK ------------------------------------------------------------------------------------------------


@workflow.defn
class Waits:
    """A child that ends as it is told."""

    def __init__(self) -> None:
        self._how = ""

    @workflow.run
    async def run(self, text: str) -> str:
        await workflow.wait_condition(lambda: bool(self._how))
        if self._how == "fail":
            raise ApplicationError("child failed", text, type="Told")
        return f"{text} {self._how}"

    @workflow.signal
    def end(self, how: str) -> None:
        self._how = how


@workflow.defn
class Calls:
    """Waits for a child; a signal cancels it."""

    def __init__(self) -> None:
        self._cancel = False

    @workflow.run
    async def run(self, child_id: str, kind: str) -> Any:
        child = await workflow.start_child_workflow(
            Waits.run,
            "x",
            id=child_id,
            cancellation_type=workflow.ChildWorkflowCancellationType[kind],
            run_timeout=timedelta(seconds=60),
        )
        cancelling = asyncio.ensure_future(self._cancel_it(child))
        try:
            return await child
        finally:
            cancelling.cancel()

    async def _cancel_it(self, child: workflow.ChildWorkflowHandle[Any, Any]) -> None:
        await workflow.wait_condition(lambda: self._cancel)
        child.cancel()

    @workflow.signal
    def cancel(self) -> None:
        self._cancel = True


async def scenario_child_sdk_outcomes(env: Env) -> None:
    async with env.worker(Calls, Waits):
        for how in ("well", "fail"):
            child = env.id(f"child-{how}")
            handle = await env.client.start_workflow(
                Calls.run, args=[child, "WAIT_CANCELLATION_COMPLETED"], id=env.id(how), task_queue=env.queue
            )
            await env.wait_event(handle, "CHILD_WORKFLOW_EXECUTION_STARTED")
            await env.settled(handle)
            await env.settled(child)
            await env.client.get_workflow_handle(child).signal("end", how)
            await env.outcome(how, handle.result())
            await env.history(handle, f"history of {how}")
            await env.history(child, f"child of {how}")


async def scenario_child_sdk_cancellation(env: Env) -> None:
    async with env.worker(Calls, Waits):
        for kind in ("WAIT_CANCELLATION_COMPLETED", "ABANDON"):
            child = env.id(f"child-{kind}")
            handle = await env.client.start_workflow(
                Calls.run, args=[child, kind], id=env.id(kind), task_queue=env.queue
            )
            await env.wait_event(handle, "CHILD_WORKFLOW_EXECUTION_STARTED")
            await env.settled(handle)
            await handle.signal(Calls.cancel)
            await env.outcome(kind, handle.result())


@workflow.defn
class CallsTaken:
    """Starts a child whose id is taken."""

    @workflow.run
    async def run(self, child_id: str) -> None:
        await workflow.execute_child_workflow(Waits.run, "x", id=child_id)


async def scenario_child_sdk_id_is_taken(env: Env) -> None:
    async with env.worker(CallsTaken, Waits):
        child = await env.client.start_workflow(Waits.run, "x", id=env.id("child"), task_queue=env.queue)
        handle = await env.client.start_workflow(CallsTaken.run, child.id, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)
