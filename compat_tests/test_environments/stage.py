"""Where a play takes place: an environment, a worker, and a record of what was seen."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from compat_tests.normalize import Normalizer

from .programs import ACTIVITIES, WORKFLOWS

Handle = WorkflowHandle[Any, Any]


class Stage:
    """One play on one environment."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        self.env = environment
        self.client: Client = environment.client
        self.queue = f"queue-{uuid.uuid4().hex}"
        self.records: dict[str, Any] = {}
        self._names = {self.queue: "<queue>"}
        self._since: datetime | None = None

    def worker(self) -> Worker:
        """Knows every workflow and activity."""
        return Worker(
            self.client,
            task_queue=self.queue,
            workflows=WORKFLOWS,
            activities=ACTIVITIES,
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_workflow_task_polls=2,
            max_concurrent_activity_task_polls=2,
            # Who is in the middle of an activity when the play ends must not hold it up.
            graceful_shutdown_timeout=timedelta(0),
        )

    def id(self, name: str = "workflow") -> str:
        """A workflow id that reads as ``<name>`` in the record."""
        full = f"{name}-{uuid.uuid4().hex}"
        self._names[full] = f"<{name}>"
        return full

    async def start(self, run: Any, *args: Any, name: str = "workflow", **options: Any) -> Handle:
        """Start a workflow on the stage's queue."""
        return await self.client.start_workflow(run, args=args, id=self.id(name), task_queue=self.queue, **options)

    async def execute(self, run: Any, *args: Any, **options: Any) -> Any:
        """Start a workflow and await its result."""
        return await (await self.start(run, *args, **options)).result()

    # -- the record ---------------------------------------------------------------------------------------------

    def record(self, label: str, value: Any) -> None:
        """Keep a value for the comparison."""
        assert label not in self.records, label
        self.records[label] = value

    async def outcome(self, label: str, work: Awaitable[Any]) -> Any:
        """Keep a result, or the error there was."""
        try:
            value = await work
        except Exception as error:
            value = error
        self.record(label, value)
        return value

    async def mark(self) -> None:
        """From here on time is measured."""
        self._since = await self.env.get_current_time()

    async def passed(self, label: str) -> None:
        """Keep how many minutes of the environment's time have passed since `mark`."""
        assert self._since is not None
        self.record(label, f"{round((await self.env.get_current_time() - self._since).total_seconds() / 60)} minutes")

    async def history(self, handle: Handle, label: str = "history", run_id: str | None = None) -> None:
        """Keep the events of a run: type, attributes, and the minute after the start."""
        chosen = self.client.get_workflow_handle(handle.id, run_id=run_id or handle.result_run_id)
        events = [event async for event in chosen.fetch_history_events()]
        begin = events[0].event_time.ToDatetime()
        self.record(label, [(_minute(event.event_time.ToDatetime() - begin), event) for event in events])

    def normalized(self) -> dict[str, Any]:
        """What was seen, as JSON data that is equal where the servers behave alike."""
        normalize = Normalizer(self._names)
        return {
            label: [f"{minute} {_line(normalize, event)}" for minute, event in value if not _is_task(event)]
            if label.startswith("history")
            else normalize(value)
            for label, value in self.records.items()
        }


def _minute(after: timedelta) -> str:
    return f"+{round(after.total_seconds() / 60)}m"


_KEPT = (
    "activity_id", "timer_id", "start_to_fire_timeout", "attempt", "result", "failure", "retry_state", "signal_name",
    "input", "timeout_type", "backoff_start_interval", "initiator", "first_workflow_task_backoff",
    "cron_schedule", "marker_name",
)  # fmt: skip
"""What an event says that a workflow or a test could depend on. The Java server leaves much of the rest empty."""


def _line(normalize: Normalizer, event: Any) -> str:
    attributes: dict[str, Any] = normalize(getattr(event, event.WhichOneof("attributes")))
    kept = {name: _short(attributes[name]) for name in _KEPT if attributes.get(name) not in (None, "", [], {}, "0s")}
    said = " ".join(f"{name}={value}" for name, value in kept.items())
    return f"{EventType.Name(event.event_type).removeprefix('EVENT_TYPE_')} {said}".rstrip()


def _is_task(event: Any) -> bool:
    """How many tasks there are, and which signal comes with which, depends on who is faster."""
    return EventType.Name(event.event_type).startswith("EVENT_TYPE_WORKFLOW_TASK_")


def _short(value: Any) -> Any:
    if isinstance(value, dict) and "message" in value:
        return repr(value["message"])  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, dict) and "payloads" in value:
        return [each["data"] for each in value["payloads"]]  # pyright: ignore[reportUnknownVariableType]
    return value  # pyright: ignore[reportUnknownVariableType]
