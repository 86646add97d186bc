"""The workflow that carries out a program."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType, ChildWorkflowCancellationType, ParentClosePolicy

from compat_tests.generated.activities import hold, step
from compat_tests.generated.board import BOARD
from compat_tests.generated.program import Node

HOUR = timedelta(hours=1)
ABANDON = workflow.HandlerUnfinishedPolicy.ABANDON
RUN_SECONDS_BEFORE_AGAIN = 1.1
"""A run that lasted a second is continued at once; the wait after a shorter one depends on the clock."""


@workflow.defn
class Program:
    """Its result is the trace: what the nodes gave, in the order in which they ended."""

    @workflow.init
    def __init__(self, program: Node) -> None:
        self._program = program
        self._trace: list[str] = []
        self._open: set[int] = set()
        self._background: list[asyncio.Task[None]] = []

    @workflow.run
    async def run(self, program: Node) -> list[str]:
        try:
            await self._optional_gate(program.get("gate"))
            await self._block(program["body"])
            return await self._end(program["end"])
        except BaseException as error:
            if not is_cancelled_exception(error):
                raise
            self._note("cancelled", workflow.cancellation_reason())
            await self._gate(program["cleanup"])
            if program["on_cancel"] == "cancel":
                raise
            if program["on_cancel"] == "fail":
                raise ApplicationError("failed when cancelled") from error
            return self._trace

    async def _end(self, end: Node) -> list[str]:
        await self._block(end.get("last", []))
        if end["how"] == "again":
            await workflow.sleep(RUN_SECONDS_BEFORE_AGAIN)
            workflow.continue_as_new(args=[end["program"]])
        if end["how"] == "hang":
            await workflow.wait_condition(lambda: False)
        if end["how"] == "fail" and workflow.info().attempt < end.get("until", 1000):
            raise ApplicationError("the end", self._trace, type="End", non_retryable=end.get("fatal", False))
        return self._trace

    # From outside.

    @workflow.signal(unfinished_policy=ABANDON)
    def go(self, gate: int) -> None:
        """Open a gate."""
        self._open.add(gate)

    @workflow.signal(unfinished_policy=ABANDON)
    def noise(self, text: str) -> None:
        """Nothing but a line in the trace."""
        self._note("noise", text)

    @workflow.signal(unfinished_policy=ABANDON)
    async def perform(self, node: Node) -> None:
        """Carry out nodes in the handler of a signal."""
        await self._block(node["body"])

    @workflow.update(unfinished_policy=ABANDON)
    async def update(self, node: Node) -> list[str]:
        """Carry out nodes in the handler of an update."""
        await self._block(node["body"])
        return [*self._trace, f"update {node['id']}"]

    @update.validator
    def check(self, node: Node) -> None:
        """Reject what wants to be rejected."""
        if node["kind"] == "reject":
            raise ApplicationError("rejected", node["id"], type="Rejected")

    @workflow.query
    def trace(self) -> list[str]:
        """The trace so far."""
        return self._trace

    # Nodes.

    async def _block(self, block: list[Node]) -> None:
        for node in block:
            await self._node(node)

    async def _node(self, node: Node) -> None:
        perform: Callable[[Node], Awaitable[Any]] = getattr(self, f"_do_{node['kind']}")
        try:
            self._note(node["id"], await perform(node))
        except Exception as error:
            if is_cancelled_exception(error):
                self._note(node["id"], "cancelled")
                raise
            self._note(node["id"], _text(error))
            if node.get("fatal") or isinstance(error, RuntimeError):
                raise

    def _note(self, what: object, value: object) -> None:
        self._trace.append(f"{what}: {value}")

    async def _optional_gate(self, gate: Node | None) -> None:
        if gate is not None:
            await self._gate(gate)

    async def _gate(self, gate: Node) -> None:
        """Wait until the driver opens it; until then it is on the board."""
        key, number = (workflow.info().run_id, int(gate["id"])), int(gate["id"])
        BOARD.gates.add(key)
        try:
            timeout = HOUR if gate.get("timed") else None
            await workflow.wait_condition(lambda: number in self._open, timeout=timeout)
        finally:
            BOARD.gates.discard(key)

    async def _do_gate(self, node: Node) -> None:
        await self._gate(node)

    async def _do_act(self, node: Node) -> Any:
        how, limit = node["how"], timedelta(seconds=1)
        return await workflow.execute_activity(
            step,
            node,
            start_to_close_timeout=limit if how == "hang" else HOUR,
            schedule_to_start_timeout=limit if how == "unserved" else None,
            schedule_to_close_timeout=timedelta(seconds=5) if how == "expires" else None,
            heartbeat_timeout=limit if how == "silent" else None,
            task_queue=f"{workflow.info().task_queue}-unserved" if how == "unserved" else None,
            retry_policy=_policy(node),
            summary=node.get("summary"),
        )

    async def _do_hold(self, node: Node) -> Any:
        return await workflow.execute_activity(
            hold,
            node,
            start_to_close_timeout=HOUR,
            retry_policy=_policy(node),
            cancellation_type=ActivityCancellationType[node["cancellation"]],
        )

    async def _do_background(self, node: Node) -> None:
        """Held activities that nobody waits for."""
        self._background.append(asyncio.create_task(self._block(node["body"])))
        await asyncio.sleep(0)

    async def _do_sleep(self, node: Node) -> None:
        await workflow.sleep(node["seconds"], summary=node.get("summary"))

    async def _do_wait(self, node: Node) -> None:
        await workflow.wait_condition(lambda: False, timeout=node["seconds"])

    async def _do_local(self, node: Node) -> Any:
        threshold = timedelta(seconds=0.05) if node["how"] == "backoff" else None
        return await workflow.execute_local_activity(
            step, node, start_to_close_timeout=HOUR, retry_policy=_policy(node), local_retry_threshold=threshold
        )

    async def _do_local_hold(self, node: Node) -> Any:
        """Activities of its own are started before, so that they can end while it keeps the task."""
        if "held" in node:
            self._background += [asyncio.create_task(self._node(each)) for each in node["held"]]
            await self._gate(node["gate"])
        result = await workflow.execute_local_activity(hold, node, start_to_close_timeout=HOUR)
        await self._optional_gate(node.get("after"))
        return result

    async def _do_patch(self, node: Node) -> Any:
        name = f"patch-{node['id'] % 3}"
        return workflow.deprecate_patch(name) if node.get("deprecate") else workflow.patched(name)

    async def _do_memo(self, node: Node) -> Any:
        workflow.upsert_memo({"changed": node["id"], "removed": None, f"new-{node['id']}": "x"})
        return sorted(workflow.memo().items())

    async def _do_random(self, node: Node) -> None:
        workflow.random().random()
        workflow.uuid4()

    async def _do_fail_task(self, node: Node) -> None:
        key = (workflow.info().run_id, int(node["id"]))
        if key not in BOARD.failed_tasks:
            BOARD.failed_tasks.add(key)
            raise RuntimeError("the task fails once")

    async def _do_parallel(self, node: Node) -> Any:
        tasks = [asyncio.create_task(self._block(branch)) for branch in node["branches"]]
        if node["join"] == "all":
            results = await asyncio.gather(*tasks, return_exceptions=True)
        else:
            results = await self._first(tasks)
            await self._gate(node["after"])
        return [_text(each) for each in results]

    async def _first(self, tasks: list[asyncio.Task[None]]) -> list[Any]:
        """When one branch has ended, the others are cancelled."""
        try:
            await workflow.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    # Other workflows.

    async def _do_child(self, node: Node) -> Any:
        info = workflow.info()
        handle = await workflow.start_child_workflow(
            Program.run,
            node["program"],
            id=f"{info.workflow_id}.{node['id']}.{info.attempt}",
            cancellation_type=ChildWorkflowCancellationType[node["cancellation"]],
            parent_close_policy=ParentClosePolicy[node["close"]],
            retry_policy=_policy(node) if "attempts" in node else None,
            run_timeout=timedelta(seconds=node["run_timeout"]) if "run_timeout" in node else None,
            memo={"removed": 1} if node.get("memo") else None,
            static_summary=node.get("summary"),
        )
        try:
            for each in node["then"]:
                await self._gate(each["gate"])
                await self._meddle(handle, each)
            if node["join"]:
                return await handle
        except Exception as error:
            if not (is_cancelled_exception(error) and any(each["kind"] == "cancel" for each in node["then"])):
                raise
            self._note(node["id"], "child cancelled")
        await self._gate(node["after"])
        return None

    async def _meddle(self, handle: workflow.ChildWorkflowHandle[Any, Any], node: Node) -> None:
        external = workflow.get_external_workflow_handle(handle.id)
        if node["kind"] == "signal":
            await handle.signal("noise", f"from the parent {node['id']}")
        elif node["kind"] == "cancel":
            handle.cancel()
        elif node["kind"] == "external_cancel":
            await external.cancel()
        else:
            await external.signal("noise", f"from outside {node['id']}")

    async def _do_twin(self, node: Node) -> Any:
        """A child with the id of this very workflow, which is there already."""
        await workflow.start_child_workflow(Program.run, self._program, id=workflow.info().workflow_id)

    async def _do_external(self, node: Node) -> None:
        """A parent is not cancelled: it would cancel this workflow while the answer is under way."""
        parent = workflow.info().parent if node["target"] == "parent" else None
        target = parent.workflow_id if parent else f"{workflow.info().workflow_id}.nobody"
        handle = workflow.get_external_workflow_handle(target)
        try:
            if node["what"] == "signal" or parent:
                await handle.signal("noise", f"from another {node['id']}")
            else:
                await handle.cancel()
        finally:
            await self._gate(node["after"])


def _policy(node: Node) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timedelta(seconds=node.get("interval", 0.05)),
        backoff_coefficient=1.0,
        maximum_attempts=node.get("attempts", 1),
        non_retryable_error_types=["Excluded"],
    )


def _text(error: object) -> str:
    """Types and messages of an error and its causes."""
    if not isinstance(error, BaseException):
        return str(error)
    cause = f" < {_text(error.__cause__)}" if error.__cause__ else ""
    return f"{type(error).__name__} {error}{cause}"
