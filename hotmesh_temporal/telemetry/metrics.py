"""The metrics of an engine, under the names, types and labels of the Temporal server's.

So its dashboards and alerts can be used. What a Temporal server divides among its services is all one process here;
``service_name`` says where that server counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..engine import model
from ..engine.limits import SECOND
from .families import OMITTED, Counter, Family, Gauge, Histogram, Labels

if TYPE_CHECKING:
    from prometheus_client.core import Metric

UNKNOWN = "_unknown_"
"""The namespace of what has none, or names one that does not exist."""

_CALL: Labels = ("namespace", "operation", "service_name")
_ERROR: Labels = ("error_type", *_CALL)
_VERSION: Labels = ("worker_build_id", "worker_deployment_name", "worker_version")
_QUEUE: Labels = ("namespace", "namespace_state", "operation", "partition", "service_name", "task_type", "taskqueue")
_PRIORITY: Labels = ("task_priority",)
_END: Labels = ("namespace", "namespace_state", "operation", "service_name", "taskqueue", "workflowType")
_START: Labels = ("namespace", "operation", "partition", "service_name", "task_type", "taskqueue")

_ACTIVE, _UNVERSIONED, _STICKY = "active", "__unversioned__", "__sticky__"
_ENDS = {
    model.COMPLETED: ("workflow_success", "Workflows that completed."),
    model.FAILED: ("workflow_failed", "Workflows that failed."),
    model.CANCELED: ("workflow_cancel", "Workflows that were canceled."),
    model.TERMINATED: ("workflow_terminate", "Workflows that were terminated."),
    model.TIMED_OUT: ("workflow_timeout", "Workflows that timed out."),
    model.CONTINUED_AS_NEW: ("workflow_continued_as_new", "Workflows that continued as new."),
}
_RECORDED = {"Workflow": "RecordWorkflowTaskStarted", "Activity": "RecordActivityTaskStarted"}


class Metrics:
    """What one engine counts. Register it with ``prometheus_client``::

        metrics = Metrics()
        prometheus_client.REGISTRY.register(metrics)
        client = await Client.connect(connection=…, telemetry=Telemetry(metrics))

    or serve it on a port of its own: ``telemetry.exposition.MetricsServer(metrics, port=9090)``.

    Args:
        task_queues: Whether the label ``taskqueue`` names the queue. Leave it out where queues are made without end.
    """

    def __init__(self, *, task_queues: bool = True) -> None:
        self._task_queues = task_queues
        self.requests = Counter("service_requests", "Requests.", _CALL)
        self.errors = Counter("service_error_with_type", "Requests that failed, by the type of the error.", _ERROR)
        self.latency = Histogram("service_latency", "Seconds from a request to its answer.", _CALL)
        self.pending = Gauge("service_pending_requests", "Requests that are not answered yet.", _CALL)
        self.persistence_requests = Counter("persistence_requests", "Requests to the database.", _CALL)
        self.persistence_errors = Counter("persistence_error_with_type", "Those that failed, by type.", _ERROR)
        self.persistence_latency = Histogram("persistence_latency", "Seconds that a request to it takes.", _CALL)
        self.poll_success = Counter("poll_success", "Polls of workers that were given a task.", (*_QUEUE, *_VERSION))
        self.poll_timeouts = Counter("poll_timeouts", "Polls that ended without one.", (*_QUEUE, *_VERSION))
        self.schedule_to_start = Histogram("task_schedule_to_start_latency", "Seconds that a task waited.", _START)
        self.backlog = Gauge("approximate_backlog_count", "Tasks that wait.", (*_QUEUE, *_PRIORITY, *_VERSION))
        self.ends = {status: Counter(name, text, _END) for status, (name, text) in _ENDS.items()}
        self.life = Histogram("workflow_schedule_to_close_latency", "Seconds that workflows took.", _END)
        self.sample: Callable[[], None] = lambda: None
        """Called before the metrics are read, from the thread that reads them."""

    # -- counting -----------------------------------------------------------------------------------------------

    def polled(self, namespace: str, task_type: str, queue: str, build_id: str, *, sticky: bool, found: bool) -> None:
        """A worker's poll has ended. ``queue`` is the normal one, also of a sticky poll."""
        labels = (*self._queue_labels("TaskQueueMgr", namespace, task_type, queue, sticky=sticky), build_id)
        (self.poll_success if found else self.poll_timeouts).add((*labels, "", _UNVERSIONED))

    def started(self, namespace: str, task_type: str, queue: str, seconds: float, *, sticky: bool) -> None:
        """A worker got a task that had waited that long."""
        partition = _STICKY if sticky else "__normal__"
        labels = (namespace, _RECORDED[task_type], partition, "history", task_type, self._named(queue))
        self.schedule_to_start.observe(labels, seconds)

    def waits(self, depths: dict[tuple[str, str, str, bool], int]) -> None:
        """How many tasks wait, by namespace, type and name of the queue, and whether it is sticky."""
        values: dict[Labels, float] = {}
        for (namespace, task_type, queue, sticky), depth in depths.items():
            labels = self._queue_labels("TaskQueuePartitionManager", namespace, task_type, queue, sticky=sticky)
            key = (*labels, "3", "", "", _UNVERSIONED)
            values[key] = values.get(key, 0) + depth
        self.backlog.replace(values)

    def ended(self, state: model.ExecutionState) -> None:
        """A run was committed as closed."""
        queue = self._named(state.task_queue)
        labels = (state.namespace, _ACTIVE, "CompletionStats", "history", queue, state.workflow_type)
        self.ends[state.status].add(labels)
        self.life.observe(labels, (state.closed_at - state.started_at) / SECOND)

    def _queue_labels(self, operation: str, namespace: str, task_type: str, queue: str, *, sticky: bool) -> Labels:
        partition = _STICKY if sticky else "0"
        return (namespace, _ACTIVE, operation, partition, "matching", task_type, self._named(queue))

    def _named(self, queue: str) -> str:
        return queue if self._task_queues else OMITTED

    # -- reading ------------------------------------------------------------------------------------------------

    def families(self) -> list[Family]:
        """All metrics."""
        return [each for each in (*vars(self).values(), *self.ends.values()) if isinstance(each, Family)]

    def collect(self) -> Iterator[Metric]:
        """For a registry of ``prometheus_client``, which appends ``_total`` to the names of counters."""
        from prometheus_client.core import Metric

        self.sample()
        for family in self.families():
            metric = Metric(family.name, family.help_text, family.kind)
            suffix = "_total" if family.kind == "counter" else ""
            for sample in family.samples():
                metric.add_sample(family.name + suffix + sample.suffix, dict(sample.labels), sample.value)
            yield metric
