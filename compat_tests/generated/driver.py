"""Plays the client of a program: opens what is held, one at a time, whenever nothing else is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

from google.protobuf.message import Message
from temporalio.client import WithStartWorkflowOperation, WorkflowUpdateHandle, WorkflowUpdateStage
from temporalio.common import RetryPolicy, WorkflowIDConflictPolicy

from compat_tests.env import Env, Handle
from compat_tests.generated.board import BOARD, CANCEL_NOTICED, Held
from compat_tests.generated.family import Activity, Family, Run
from compat_tests.generated.interpreter import Program
from compat_tests.generated.program import Node, nodes

MAX_STEPS = 200
UpdateHandle = WorkflowUpdateHandle[Any]


async def play(env: Env, program: Node) -> None:
    """Run a program to its end, and record its outcome and the histories of all its runs."""
    await Driver(env, program).play()


class Driver:
    """One run of one program on one target."""

    def __init__(self, env: Env, program: Node) -> None:
        self._env = env
        self._program = program
        self._nodes = {int(node["id"]): node for node in nodes(program)}
        self._done: set[tuple[str, int]] = set()
        """Steps that were taken: after a failed task a local activity is there a second time."""
        self._updates: list[tuple[str, UpdateHandle]] = []

    async def play(self) -> None:
        """Everything from the start to the records."""
        handle = await self._start()
        run_id = handle.first_execution_run_id or (await handle.describe()).run_id
        self._family = Family(self._env, handle.id, run_id)
        for _ in range(MAX_STEPS):
            await self._family.settle()
            if all(run.closed for run in self._family.runs):
                break
            await self._move()
        else:
            raise AssertionError(f"still open after {MAX_STEPS} steps")
        await self._record(handle)

    # Starting.

    async def _start(self) -> Handle:
        how = self._program["start"]["how"]
        options: dict[str, Any] = {
            "id": self._env.id("root"),
            "task_queue": self._env.queue,
            "memo": {"kept": 1, "changed": "old", "removed": 2},
            "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=2),
            "task_timeout": timedelta(seconds=60),
        }
        if how == "update":
            return await self._update_with_start(options)
        if how == "signal":
            options |= {"start_signal": "noise", "start_signal_args": ["with the start"]}
        if how == "delay":
            options["start_delay"] = timedelta(seconds=0.3)
        if how == "limited":
            options["run_timeout"] = timedelta(seconds=4)
        return await self._env.client.start_workflow(Program.run, self._program, **options)

    async def _update_with_start(self, options: dict[str, Any]) -> Handle:
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            "Program", self._program, id_conflict_policy=WorkflowIDConflictPolicy.FAIL, **options
        )
        node = self._program["start"]["update"]
        client = cast("Any", self._env.client)  # its overloads are not fully typed
        call = cast("Callable[..., Awaitable[UpdateHandle]]", client.start_update_with_start_workflow)
        handle = await call(
            "update",
            node,
            id=f"update-{node['id']}",
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            start_workflow_operation=operation,
        )
        self._updates.append((f"update with start {node['id']}", handle))
        return await operation.workflow_handle()

    # Moving on.

    async def _move(self) -> None:
        """Let go of the one thing that is first in the program's order."""
        runs = [run for run in self._family.runs if not run.closed]
        parked = [(run, number) for run in runs if (number := run.parked) is not None]
        if parked:
            return await self._unpark(*parked[0])
        gates = [(self._order(number), run, number) for run in runs for number in self._gates(run)]
        held = [(self._order(int(each.node["id"])), run, (each, it)) for run in runs for each, it in run.held()]
        _, run, what = min([*gates, *held], key=lambda each: each[0])
        if isinstance(what, tuple):
            return await self._release(run, *what)
        return await self._open(run, what)

    def _order(self, number: int) -> tuple[float, int]:
        return float(self._nodes[number].get("order", 0)), number

    def _gates(self, run: Run) -> list[int]:
        return [number for run_id, number in BOARD.gates if run_id == run.run_id]

    async def _open(self, run: Run, number: int) -> None:
        """Do what comes before the gate, and open it if it is still there."""
        for node in self._nodes[number].get("before", []):
            if (run.run_id, int(node["id"])) not in self._done:
                self._done.add((run.run_id, int(node["id"])))
                await self._step(run, node)
                return
        await self._handle(run).signal("go", number)

    async def _release(self, run: Run, activity: Activity, held: Held) -> None:
        """End an attempt of a held activity."""
        node = activity.node
        del BOARD.held[run.run_id, int(node["id"])]
        if held.noticed:
            outcome = CANCEL_NOTICED if node["when_cancelled"] == "cancel" else "ok"
            return held.inbox.put_nowait(outcome)
        ends = node["ends"]
        outcome = ends[held.attempt - 1] if held.attempt <= len(ends) else "ok"
        if outcome != "async":
            return held.inbox.put_nowait(outcome)
        held.inbox.put_nowait("async")
        await self._env.client.get_async_activity_handle(task_token=held.token).complete("from the client")

    async def _unpark(self, run: Run, number: int) -> None:
        """While the run's task is in flight: do what is to be buffered, then let it be answered."""
        for node in self._nodes[number].get("during", []):
            if (run.run_id, int(node["id"])) not in self._done:
                self._done.add((run.run_id, int(node["id"])))
                await self._step(run, node)
        BOARD.held.pop((run.run_id, number)).inbox.put_nowait("ok")

    # Steps of the client.

    async def _step(self, run: Run, node: Node) -> None:
        await getattr(self, f"_do_{node['kind']}")(run, node)

    def _handle(self, run: Run) -> Handle:
        return self._env.client.get_workflow_handle(run.workflow_id, run_id=run.run_id)

    async def _do_signal(self, run: Run, node: Node) -> None:
        await self._handle(run).signal("noise", f"from the client {node['id']}")

    async def _do_perform(self, run: Run, node: Node) -> None:
        await self._handle(run).signal("perform", node)

    async def _do_query(self, run: Run, node: Node) -> None:
        name = "trace" if node.get("known", True) else "unknown"
        await self._env.outcome(f"query {node['id']}", self._handle(run).query(name))

    async def _do_cancel(self, run: Run, node: Node) -> None:
        await self._env.outcome(f"cancel {node['id']}", self._handle(run).cancel())

    async def _do_terminate(self, run: Run, node: Node) -> None:
        await self._handle(run).terminate(node["id"], reason="told to")

    async def _do_update(self, run: Run, node: Node) -> None:
        call = cast("Callable[..., Awaitable[UpdateHandle]]", self._handle(run).start_update)  # pyright: ignore[reportUnknownMemberType]  (SDK)
        update = call("update", node, id=f"update-{node['id']}", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
        self._updates.append((f"update {node['id']}", await update))

    async def _do_reject(self, run: Run, node: Node) -> None:
        await self._do_update(run, node)

    async def _do_describe(self, run: Run, node: Node) -> None:
        description = (await self._handle(run).describe()).raw_description
        info = description.workflow_execution_info
        self._env.record(f"description {node['id']}", [info.status, info.history_length, info.memo])
        self._env.record("activities", _sorted(description.pending_activities, lambda each: each.activity_id))
        self._env.record("children", _sorted(description.pending_children, lambda each: each.initiated_id))

    async def _do_release(self, run: Run, _: Node) -> None:
        """An activity ends while the task is in flight: its events are buffered. Or it is tried again, and held."""
        held = sorted(run.held(), key=lambda each: self._order(int(each[0].node["id"])))
        if not held or held[0][0].cancel_requested:
            return
        activity, waiting = held[0]
        await self._release(run, activity, waiting)

        async def gone() -> bool:
            pending = (await self._handle(run).describe()).raw_description.pending_activities
            again = BOARD.held.get((run.run_id, int(activity.node["id"])))
            return again is not None or all(each.activity_id != activity.id for each in pending)

        await self._env.until(gone, "the end of an activity")

    # Recording.

    async def _record(self, handle: Handle) -> None:
        await self._env.outcome("outcome", handle.result())
        for label, update in self._updates:
            await self._env.outcome(label, update.result())
        for number, run in enumerate(self._family.ordered()):
            BOARD.forget(run.run_id)
            await self._env.history(self._handle(run), f"history {number}: {run.workflow_id}")


def _sorted(messages: Any, key: Callable[[Any], Any]) -> list[Message]:
    return sorted(messages, key=key)
