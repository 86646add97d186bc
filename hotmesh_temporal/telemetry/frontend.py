"""A frontend that is watched: every request is counted, timed and traced."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ..contracts.backend import Backend
from ..contracts.errors import ContractError
from ..contracts.store import StoreService
from ..errors import Code, RpcError
from ..frontend.server import Frontend
from .metrics import UNKNOWN, Metrics
from .requests_to_store import WatchedStore
from .tracing import Tracing, about

_LOG = logging.getLogger(__name__)

_SAMPLE_SECONDS = 2.0
_NO_LONGER_PENDING = -1
_POLLS = {"PollWorkflowTaskQueue": "Workflow", "PollActivityTaskQueue": "Activity"}


@dataclass(frozen=True)
class Telemetry:
    """What is told of an engine. Each part may be left out."""

    metrics: Metrics | None = None
    tracing: Tracing | None = None

    def frontend(self, backend: Backend) -> Frontend:
        """The engine's frontend on a backend, watched, not started."""
        return ObservedFrontend(backend, self)


class ObservedFrontend(Frontend):
    """Counts and traces what it answers, and what it asks the database."""

    def __init__(self, backend: Backend, telemetry: Telemetry) -> None:
        super().__init__(backend)
        self._metrics = telemetry.metrics
        self._tracing = telemetry.tracing
        self.runtime.watch_store = self._watch_store

    async def start(self) -> None:
        """See base class."""
        await super().start()
        if self._metrics is not None:
            self.runtime.counters.ended = self._metrics.ended
            loop = asyncio.get_running_loop()
            self._metrics.sample = lambda: self._sample_from_outside(loop)

    async def close(self) -> None:
        """See base class."""
        if self._metrics is not None:
            self._metrics.sample = lambda: None
        await super().close()

    async def call(
        self,
        service: str,
        method: str,
        request: Message,
        *,
        metadata: Mapping[str, str | bytes],
        deadline: float | None,
    ) -> Message:
        """See base class."""
        if self._tracing is None:
            return await self._counted(service, method, request, metadata, deadline)
        with self._tracing.request(service, method, request, metadata) as span:
            answer = await self._counted(service, method, request, metadata, deadline)
            if method in _POLLS:
                about(span, answer)
            return answer

    async def _counted(
        self, service: str, method: str, request: Any, metadata: Mapping[str, str | bytes], deadline: float | None
    ) -> Message:
        metrics = self._metrics
        if metrics is None:
            return await super().call(service, method, request, metadata=metadata, deadline=deadline)
        # The frontend may change the request.
        labels = (self._namespace_of(request), _operation(method, request), "frontend")
        begin = time.perf_counter()
        metrics.pending.add(labels)
        try:
            answer = await super().call(service, method, request, metadata=metadata, deadline=deadline)
        except RpcError as error:
            metrics.errors.add((error_type(error), *labels))
            raise
        finally:
            metrics.pending.add(labels, _NO_LONGER_PENDING)
            # Counted now: a namespace that a request makes is known by now.
            metrics.requests.add(labels)
            metrics.latency.observe(labels, time.perf_counter() - begin)
        if method in _POLLS:
            _count_poll(metrics, labels[0], _POLLS[method], request, answer)
        return answer

    def _namespace_of(self, request: Any) -> str:
        """The namespace that a request names, if there is one of that name: the names that callers make up are many."""
        name = str(getattr(request, "namespace", ""))
        return name if name and self.runtime.namespaces.known(name) is not None else UNKNOWN

    # -- the database -------------------------------------------------------------------------------------------

    def _watch_store(self, store: StoreService) -> StoreService:
        return cast(StoreService, WatchedStore(store, self._metrics, self._tracing))

    def _sample_from_outside(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._sample(), loop).result(_SAMPLE_SECONDS)
        except (ContractError, TimeoutError, RuntimeError) as error:
            _LOG.debug("how many tasks wait is not known: %s", error)

    async def _sample(self) -> None:
        """How many tasks wait in the queues that workers of this process poll."""
        polled = self.runtime.matching.polled()
        if self._metrics is None or not polled:
            return
        depths = await self.runtime.stream.get_stream_depths([queue.stream for queue in polled])
        by_stream = {each.stream: each.depth for each in depths}
        self._metrics.waits(
            {
                (
                    queue.key.namespace,
                    "Activity" if queue.key.activity else "Workflow",
                    queue.serves.name,
                    sticky,
                ): depth
                for queue in polled
                for sticky, depth in [(queue.key != queue.serves, by_stream.get(queue.stream, 0))]
            }
        )


def _operation(method: str, request: Any) -> str:
    """The server tells the long poll from the reading of a history."""
    if method == "GetWorkflowExecutionHistory" and request.wait_new_event:
        return "PollWorkflowExecutionHistory"
    return method


def _count_poll(metrics: Metrics, namespace: str, task_type: str, request: Any, answer: Any) -> None:
    sticky = bool(request.task_queue.normal_name)
    queue = request.task_queue.normal_name or request.task_queue.name
    build_id = request.worker_version_capabilities.build_id
    found = bool(answer.task_token)
    metrics.polled(namespace, task_type, queue, build_id, sticky=sticky, found=found)
    if found and answer.HasField("started_time"):
        scheduled = answer.scheduled_time if task_type == "Workflow" else answer.current_attempt_scheduled_time
        waited = _seconds(answer.started_time) - _seconds(scheduled)
        metrics.started(namespace, task_type, queue, max(waited, 0.0), sticky=sticky)


def _seconds(at: Timestamp) -> float:
    return at.seconds + at.nanos / 1e9


def error_type(error: RpcError) -> str:
    """The name of an error's type in the server's metrics: ``serviceerror_NotFound``."""
    if error.details:
        name = error.details[0].DESCRIPTOR.name.removesuffix("Failure")
    else:
        name = "".join(word.capitalize() for word in Code(error.code).name.split("_"))
    return f"serviceerror_{name}"
