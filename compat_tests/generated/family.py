"""All runs that a program gave rise to, as their histories show them, and whether anything in them is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.enums.v1 import ParentClosePolicy
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import PayloadConverter

from compat_tests.env import Env
from compat_tests.generated.board import BOARD, HEARTBEAT, Held
from compat_tests.generated.program import Node

SETTLE_TIMEOUT = 40.0
"""Seconds."""

SHORT = 60
"""Seconds: a shorter time-out is one that the program waits for."""

TERMINATE = ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE
REQUEST_CANCEL = ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL


@dataclass
class Activity:
    """A pending activity."""

    id: str
    node: Node
    held: bool
    cancel_requested: bool = False


@dataclass
class Child:
    """A child workflow that the run initiated."""

    workflow_id: str
    policy: int
    run_id: str = ""
    """Of the first run; empty until it has started."""
    closed: bool = False


@dataclass
class Run:
    """What the history of one run says."""

    workflow_id: str
    run_id: str
    parent: Run | None = field(default=None, repr=False)
    child: Child | None = None
    """What it is to its parent."""
    next_run_id: str = ""
    closed: bool = False
    began: bool = False
    """It has answered its first task."""
    task: bool = False
    """A workflow task is scheduled or started."""
    limited: bool = False
    """It will time out."""
    cancel_requested: bool = False
    timers: set[int] = field(default_factory=set[int])
    """Short ones that run."""
    asked: set[int] = field(default_factory=set[int])
    """Signals and cancellations that are not answered."""
    activities: dict[int, Activity] = field(default_factory=dict[int, Activity])
    children: dict[int, Child] = field(default_factory=dict[int, Child])

    def held(self) -> Iterator[tuple[Activity, Held]]:
        """Activities of the run that wait for the driver."""
        for activity in self.activities.values():
            held = BOARD.held.get((self.run_id, int(activity.node["id"])))
            if activity.held and held is not None:
                yield activity, held

    @property
    def parked(self) -> int | None:
        """The node of a local activity that keeps the run's task from being answered."""
        if self.closed or not self.task:
            return None
        held = BOARD.held.items()
        return next((number for (run_id, number), each in held if run_id == self.run_id and each.local), None)

    @property
    def busy(self) -> bool:
        """Something happens to it without anybody's doing."""
        if self.closed:
            return False
        if not self.began or self.limited or self.timers or self.asked or self.task:
            return self.parked is None
        if any(not child.run_id for child in self.children.values()):
            return True
        return any(self._is_moving(activity) for activity in self.activities.values())

    def _is_moving(self, activity: Activity) -> bool:
        held = BOARD.held.get((self.run_id, int(activity.node["id"])))
        if not activity.held or held is None:
            return True
        if activity.cancel_requested and not held.noticed:
            held.inbox.put_nowait(HEARTBEAT)
            return True
        return False


class Family:
    """The root, its later runs, and the children of all of them; see `settle`."""

    def __init__(self, env: Env, workflow_id: str, run_id: str) -> None:
        self._env = env
        self.runs = [Run(workflow_id, run_id)]

    async def settle(self) -> None:
        """Wait until nothing is under way in any run (but for runs that are parked)."""
        wait, deadline = 0.004, asyncio.get_running_loop().time() + SETTLE_TIMEOUT

        async def idle() -> bool:
            await self._look()
            return not self._under_way()

        while not await idle():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError("does not settle:\n" + "\n".join(str(run) for run in self.runs if not run.closed))
            wait = min(wait * 1.5, 0.1)
            await asyncio.sleep(wait)

    def _under_way(self) -> bool:
        return any(run.busy or self._parent_is_to_move(run) for run in self.runs)

    def _parent_is_to_move(self, run: Run) -> bool:
        """One of the two has ended, and the other does not know it yet."""
        if run.parent is None or run.child is None or run.next_run_id:
            return False
        if run.closed:
            return not run.parent.closed and not run.child.closed
        if not run.parent.closed or run.child.closed:
            return False
        return run.child.policy == TERMINATE or (
            run.child.policy == REQUEST_CANCEL and not self._was_cancelled(run.child)
        )

    def _was_cancelled(self, child: Child) -> bool:
        """The request may have come to an earlier run of a child that is tried again."""
        return any(run.cancel_requested for run in self.runs if run.child is child)

    async def _look(self) -> None:
        """Read the histories of all runs that are open, and of those that they lead to."""
        number = 0
        while number < len(self.runs):
            run = self.runs[number]
            if not run.closed:
                history = await self._env.fetch_history(run.workflow_id, run.run_id)
                self.runs[number] = run = self._replace(run, read(run, list(history.events)))
                self._discover(run)
            number += 1

    def _replace(self, old: Run, new: Run) -> Run:
        for run in self.runs:
            if run.parent is old:
                run.parent = new
                if run.child is not None:
                    run.child = next(child for child in new.children.values() if child.run_id == run.child.run_id)
        return new

    def _discover(self, run: Run) -> None:
        known = {each.run_id for each in self.runs}
        if run.next_run_id and run.next_run_id not in known:
            self.runs.append(Run(run.workflow_id, run.next_run_id, run.parent, run.child))
        for child in run.children.values():
            if child.run_id and child.run_id not in known:
                self.runs.append(Run(child.workflow_id, child.run_id, run, child))

    def ordered(self) -> list[Run]:
        """All runs: each followed by its children in the order in which they were initiated, then by its next run."""
        return list(self._from(self.runs[0]))

    def _from(self, run: Run) -> Iterator[Run]:
        yield run
        by_run_id = {each.run_id: each for each in self.runs}
        for child in run.children.values():
            if child.run_id:
                yield from self._from(by_run_id[child.run_id])
        if run.next_run_id:
            yield from self._from(by_run_id[run.next_run_id])


def read(old: Run, events: list[HistoryEvent]) -> Run:
    """A run by its events."""
    run = Run(old.workflow_id, old.run_id, old.parent, old.child)
    for event in events:
        attributes = event.WhichOneof("attributes") or ""
        kind = attributes.removesuffix("_event_attributes")
        if handler := _READERS.get(kind):
            handler(run, event.event_id, getattr(event, attributes))
        if kind in _ENDS:
            run.closed = True
            run.next_run_id = getattr(getattr(event, attributes), "new_execution_run_id", "")
    return run


_ENDS = {
    f"workflow_execution_{end}"
    for end in ("completed", "failed", "canceled", "terminated", "timed_out", "continued_as_new")
}


def _started(run: Run, _: int, attributes: Any) -> None:
    run.limited = 0 < attributes.workflow_run_timeout.ToSeconds() < SHORT


def _task(task: bool) -> Any:
    def read_task(run: Run, _: int, __: Any) -> None:
        run.task = task
        run.began = run.began or not task

    return read_task


def _cancel_requested(run: Run, _: int, __: Any) -> None:
    run.cancel_requested = True


def _timer_started(run: Run, event_id: int, attributes: Any) -> None:
    if attributes.start_to_fire_timeout.ToSeconds() < SHORT:
        run.timers.add(event_id)


def _timer_ended(run: Run, _: int, attributes: Any) -> None:
    run.timers.discard(attributes.started_event_id)


def _activity_scheduled(run: Run, event_id: int, attributes: Any) -> None:
    node = PayloadConverter.default.from_payloads(attributes.input.payloads)[0]
    held = attributes.activity_type.name == "hold"
    run.activities[event_id] = Activity(attributes.activity_id, node, held)


def _activity_cancel_requested(run: Run, _: int, attributes: Any) -> None:
    if activity := run.activities.get(attributes.scheduled_event_id):
        activity.cancel_requested = True


def _activity_ended(run: Run, _: int, attributes: Any) -> None:
    run.activities.pop(attributes.scheduled_event_id, None)


def _asked(run: Run, event_id: int, _: Any) -> None:
    run.asked.add(event_id)


def _answered(run: Run, _: int, attributes: Any) -> None:
    run.asked.discard(attributes.initiated_event_id)


def _child_initiated(run: Run, event_id: int, attributes: Any) -> None:
    run.children[event_id] = Child(attributes.workflow_id, attributes.parent_close_policy)


def _child_not_started(run: Run, _: int, attributes: Any) -> None:
    run.children.pop(attributes.initiated_event_id, None)


def _child_started(run: Run, _: int, attributes: Any) -> None:
    run.children[attributes.initiated_event_id].run_id = attributes.workflow_execution.run_id


def _child_ended(run: Run, _: int, attributes: Any) -> None:
    run.children[attributes.initiated_event_id].closed = True


_CHILD = "child_workflow_execution"
_READERS: dict[str, Any] = {
    "workflow_execution_started": _started,
    "workflow_execution_cancel_requested": _cancel_requested,
    "workflow_task_scheduled": _task(True),
    "workflow_task_started": _task(True),
    "workflow_task_completed": _task(False),
    "workflow_task_failed": _task(True),
    "workflow_task_timed_out": _task(True),
    "timer_started": _timer_started,
    "timer_fired": _timer_ended,
    "timer_canceled": _timer_ended,
    "activity_task_scheduled": _activity_scheduled,
    "activity_task_cancel_requested": _activity_cancel_requested,
    **{f"activity_task_{end}": _activity_ended for end in ("completed", "failed", "timed_out", "canceled")},
    "signal_external_workflow_execution_initiated": _asked,
    "signal_external_workflow_execution_failed": _answered,
    "external_workflow_execution_signaled": _answered,
    "request_cancel_external_workflow_execution_initiated": _asked,
    "request_cancel_external_workflow_execution_failed": _answered,
    "external_workflow_execution_cancel_requested": _answered,
    "start_child_workflow_execution_initiated": _child_initiated,
    "start_child_workflow_execution_failed": _child_not_started,
    f"{_CHILD}_started": _child_started,
    **{f"{_CHILD}_{end}": _child_ended for end in ("completed", "failed", "timed_out", "canceled", "terminated")},
}
