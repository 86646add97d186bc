"""The engine of one process: wires the parts of the runtime to a backend, starts and stops them in order."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from ..contracts.backend import Backend
from ..contracts.search import SearchService
from ..contracts.store import StoreService
from ..contracts.stream import StreamService
from ..contracts.sub import SubService
from ..engine.context import Limits
from ..engine.deadlines import fire_due
from ..engine.effects import Work
from ..errors import LimitExceeded
from .batch import WORK as BATCH_WORK
from .batch import Batches
from .batch_work import Operations
from .clock import Clock
from .cluster import Cluster
from .draining import Draining
from .engine_tasks import EngineTasks
from .execution import Executions
from .hints import Hints
from .history import Histories
from .imports import Imports
from .joining import Joining
from .keys import APP_ID, ENGINE_QUEUE, HOTMESH_NAMESPACE, run_key, schedule_of_job
from .matching import Matching
from .moving import Moving
from .namespace_removal import NamespaceRemoval
from .namespaces import Namespaces
from .outbox import Outbox
from .peers import Peers
from .queries import Queries
from .queue_configs import QueueConfigs
from .quorum import QuorumMember
from .registry import TypeRegistry
from .resets import Resets
from .retention import Retention
from .schedule_actions import Starts
from .schedules import Schedules
from .stats import Counters
from .throttle import Throttle
from .timers import Timers
from .upkeep import Upkeep
from .versions import EngineVersion
from .virtual_time import VirtualTime
from .watching import Watching
from .workers import Workers


class _NoSuchRun(Exception):
    """A timer stands for a run that does not exist any more."""


class Runtime:
    """Everything that awaits. Built from a backend that offers store, stream, sub and search."""

    def __init__(
        self,
        backend: Backend,
        *,
        engine_id: str | None = None,
        limits: Limits | None = None,
        virtual_time: VirtualTime | None = None,
    ) -> None:
        self.backend = backend
        self.engine_id = engine_id or uuid.uuid4().hex
        self.virtual_time = virtual_time
        self.clock = Clock() if virtual_time is None else Clock(virtual_time.now)
        self.limits = limits or Limits()
        self.watching = Watching()
        self.batch_operations: Operations = None  # type: ignore[assignment]  # set by the frontend, which has them
        self.schedule_starts: Starts = None  # type: ignore[assignment]  # set by the frontend, which has them
        self.watch_store: Callable[[StoreService], StoreService] = lambda store: store
        """What stands in for the store, to watch what it is asked."""
        self._open = AsyncExitStack()

    async def start(self) -> None:
        """Open the backend and begin to work. Nothing stays open if that fails."""
        async with AsyncExitStack() as stack:
            await self.backend.open(HOTMESH_NAMESPACE, APP_ID, self.engine_id)
            stack.push_async_callback(self.backend.close)
            self._build(*_services(self.backend))
            for part in (self.throttle, self.hints, self.matching, self.outbox):
                stack.push_async_callback(part.close)
            # They do not need each other, and each waits for the database.
            await _all(
                self.version.start(),
                self.namespaces.start(),
                self.throttle.start(),
                self.hints.start(),
                self._start_outbox(),
            )
            await self.matching.start()
            stack.push_async_callback(self.queries.close)
            stack.push_async_callback(self.counters.close)
            stack.push_async_callback(self.registry.close)
            stack.push_async_callback(self.executions.close)
            await self.timers.start()
            stack.push_async_callback(self.timers.close)
            stack.push_async_callback(self.batches.close)
            await self.engine_tasks.start()
            stack.push_async_callback(self.engine_tasks.close)
            await self.quorum.start()
            stack.push_async_callback(self.quorum.close)
            await self.queue_configs.start()
            stack.push_async_callback(self.queue_configs.close)
            await self.upkeep.start()
            stack.push_async_callback(self.upkeep.close)
            stack.push_async_callback(self.peers.close)
            stack.push_async_callback(self.joining.close)
            if self.virtual_time is not None:
                self._start_skipping(self.virtual_time)
                stack.push_async_callback(self.virtual_time.close)
            self._open = stack.pop_all()

    async def start_reading(self) -> None:
        """Open the backend to answer questions only: nothing works in the background, and nobody sees this engine."""
        async with AsyncExitStack() as stack:
            await self.backend.open(HOTMESH_NAMESPACE, APP_ID, self.engine_id)
            stack.push_async_callback(self.backend.close)
            self._build(*_services(self.backend))
            await self.namespaces.start()
            self._open = stack.pop_all()

    async def close(self) -> None:
        """Stop in the reverse order; what has begun to commit is finished. Idempotent."""
        await self._open.aclose()

    def _build(self, store: StoreService, stream: StreamService, sub: SubService, search: SearchService) -> None:
        store = self.watch_store(store)
        self.store, self.stream, self.search = store, stream, search
        self.namespaces = Namespaces(store, search, self.limits)
        self.executions = Executions(store, self.clock, self.limits, self.namespaces)
        self.throttle = Throttle(store)
        self.version = EngineVersion(store)
        self.cluster = Cluster(store, self.engine_id)
        self.matching = Matching(stream, self.engine_id, self.throttle)
        self.outbox = Outbox(store, stream, self.matching, self.clock, self.engine_id)
        self.timers = Timers(store, self.clock, self._fire)
        self.draining = Draining(self.matching, self.watching)
        self.queries = Queries(stream, self.matching, self.clock, self.engine_id)
        self.histories = Histories(store, self.executions, self.watching)
        self.engine_tasks = EngineTasks(self.executions, self.histories, self.matching, stream, self.engine_id)
        self.resets = Resets(self.executions, self.histories)
        self.imports = Imports(self.executions, self.histories)
        self.moving = Moving(store, self.clock)
        self.engine_tasks.is_moving = self.moving.is_under_way
        self.batches = Batches(
            (store, search, stream),
            self.batch_operations,
            self.matching,
            self.namespaces,
            self.version,
            self.clock,
            self.limits,
            self.engine_id,
        )
        self.engine_tasks.handle(BATCH_WORK, self.batches.take)
        self.schedules = Schedules(store, self.executions, self.histories, self.schedule_starts)
        self.engine_tasks.handle(Work.TELL_SCHEDULE.value, self.schedules.take)
        self.engine_tasks.tell_schedule = self.schedules.tell
        self.hints = Hints(sub, self.engine_id, self.hinted)
        self.joining = Joining(self)
        self.hints.transaction_committed = self.joining.committed
        self.workers = Workers()
        self.peers = Peers(sub, self.engine_id, self.hints, self.matching, self.workers)
        self.registry = TypeRegistry(store, self.version, self.peers, self.engine_id)
        self.queue_configs = QueueConfigs(store, self.throttle, self.peers)
        self._build_upkeep(search)
        self.quorum = QuorumMember(
            sub, self.engine_id, self.matching, self.throttle, self.version, self.peers, self.queue_configs
        )
        self.executions.matching, self.executions.timers = self.matching, self.timers
        self.executions.changed, self.executions.scrub = self._changed, store.scrub
        self.counters = self.executions.counters = Counters(store, self.version)
        self.namespaces.changed = self.upkeep.say = self.hints.say
        self.timers.say = self.hints.say
        self.matching.hints = self.queries.hints = self.hints

    def _build_upkeep(self, search: SearchService) -> None:
        self.upkeep = Upkeep(self.store, self.clock, self.limits, self.engine_id)
        self.retention = Retention(self.upkeep, search, self.namespaces, self.executions, self.engine_tasks)
        self.retention.bury_schedule = self.schedules.bury
        self.removal = NamespaceRemoval(
            self.upkeep, self.namespaces, self.executions, (self.store, self.stream, search), self.queue_configs
        )
        self.upkeep.adopt = self._adopt_namespaces

    async def _adopt_namespaces(self) -> None:
        async for record in self.namespaces.all():
            if record.stored_as:
                await self.removal.arm(record)
            else:
                await self.retention.adopt(record)

    async def _start_outbox(self) -> None:
        if self.backend.stream_joins_store:
            await self.outbox.publish_leftovers()
        else:
            self.executions.outbox = self.outbox
            await self.outbox.start()

    async def _fire(self, job_id: str) -> bool:
        if schedule_of_job(job_id) is not None:
            return await self.schedules.fire(job_id)
        try:
            await self.executions.update(run_key(job_id), fire_due, missing=_NoSuchRun)
        except _NoSuchRun:
            return False
        except LimitExceeded:
            pass  # the run was ended by that
        return True

    def _start_skipping(self, virtual_time: VirtualTime) -> None:
        own_work = self.matching.stream_of(ENGINE_QUEUE)

        async def is_idle() -> bool:
            # In this order: while the depth is read, another timer may come due, and is not to be overlooked.
            return not await self.stream.get_stream_depth(own_work) and not self.timers.firing

        virtual_time.is_idle, virtual_time.next_timer_ms = is_idle, self.timers.next_at_ms
        virtual_time.jumped = self.timers.time_changed
        virtual_time.start()

    def _changed(self, job_id: str) -> None:
        if self.virtual_time is not None:
            loaded = self.executions.cached(job_id)
            state = loaded.state if loaded is not None else None
            self.virtual_time.saw(job_id, state, awaited=self.watching.is_watched(job_id))
        self.watching.changed(job_id)
        self.hints.say(job_id)

    def hinted(self, topic: str) -> None:
        """Something has happened that this process does not know of yet: in another one, or in a joined transaction."""
        self.namespaces.hinted(topic)
        self.upkeep.hinted(topic)
        self.timers.hinted(topic)
        self.matching.hinted(topic)
        self.queries.hinted(topic)
        self.watching.changed(topic, remote=True)


async def _all(*starts: Awaitable[None]) -> None:
    """All of them at once, to their ends; then the first problem in their order is raised."""
    results = await asyncio.gather(*starts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _services(backend: Backend) -> tuple[StoreService, StreamService, SubService, SearchService]:
    if backend.store is None or backend.stream is None or backend.sub is None or backend.search is None:
        raise ValueError(f"{type(backend).__name__} does not offer all of store, stream, sub and search")
    return backend.store, backend.stream, backend.sub, backend.search
