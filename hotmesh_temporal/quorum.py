"""The quorum: see which engines use a database, and slow down, pause and resume task queues while they run.

An engine is a process that has connected to the database: a worker, a client, or ``hotmesh-temporal server``. Rates
are stored in the database, so engines that start later honour them too; those that run are told at once. See
docs/quorum.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .contracts.types import MAX_DELAY_MS, ThrottleOptions
from .operators import Operator
from .runtime.keys import APP_ID, QueueKey, queue_of_topic
from .runtime.quorum import ActivateCall, EngineProfile, Ping, QueueKind, QueueProfile, ThrottleCall, kind_of
from .runtime.throttle import EVERYTHING, PAUSED

__all__ = [
    "MAX_THROTTLE_MS",
    "PAUSED",
    "ActivationRefused",
    "EngineProfile",
    "QueueKind",
    "QueueProfile",
    "Quorum",
    "Rate",
    "RollCall",
]

MAX_THROTTLE_MS = MAX_DELAY_MS - 1
"""The slowest rate that is not a pause, in milliseconds."""

_ACTIVATION_SECONDS = 60
_COUNTS = 3
_KINDS: tuple[QueueKind, ...] = ("workflow", "activity")


class ActivationRefused(RuntimeError):
    """An engine version was not activated; the text says why and what to do. Nothing was changed."""


@dataclass(frozen=True)
class RollCall:
    """The engines that answered, the oldest first; and how many tasks wait in each queue that they poll, by the name of
    its stream.
    """

    engines: Sequence[EngineProfile]
    depths: Mapping[str, int]


@dataclass(frozen=True)
class Rate:
    """A stored rate: milliseconds between two tasks that one process hands out; `PAUSED` for none. Without ``name`` it
    is that of all queues that have none of their own.
    """

    throttle: int
    namespace: str = ""
    name: str = ""
    kind: QueueKind | None = None


class Quorum(Operator):
    """An operator of a database. It is no engine itself: it takes no tasks, and no roll call shows it.

    Use it in ``async with await Quorum.connect(…)``, or close it. Every method that speaks to the engines waits
    ``wait`` seconds for their answers; one that was too busy to answer in time obeys a stored rate within two minutes.
    """

    # -- who is there -----------------------------------------------------------------------------------------

    async def roll_call(self, *, wait: float = 1.0) -> RollCall:
        """Ask every engine for its profile."""
        engines = await self._caller.call(Ping(self._id), wait)
        streams = sorted({queue.stream for engine in engines for queue in engine.queues})
        depths = await self._stream.get_stream_depths(streams) if streams else []
        return RollCall(engines, {each.stream: each.depth for each in depths})

    # -- how fast ---------------------------------------------------------------------------------------------

    async def throttle(
        self,
        milliseconds: int,
        task_queue: str | None = None,
        *,
        namespace: str = "default",
        kind: QueueKind | None = None,
        engine_id: str | None = None,
        wait: float = 1.0,
    ) -> Sequence[EngineProfile]:
        """Let at least ``milliseconds`` pass between two tasks of a queue that one process hands out; 0: no limit.

        Args:
            milliseconds: 0 to `MAX_THROTTLE_MS`, or `PAUSED`.
            task_queue: Without one: all queues of all namespaces, and rates of single queues are forgotten.
            namespace: The namespace of ``task_queue``.
            kind: Only the workflow tasks, or only the activities, of ``task_queue``.
            engine_id: Only this engine, until it ends; nothing is stored. With 0 it follows the stored rates again.
            wait: Seconds to wait for answers.

        Returns:
            The engines that have answered; they obey already.

        Raises:
            ValueError: ``milliseconds`` is out of range, or ``kind`` was given without ``task_queue``.
        """
        if not (milliseconds == PAUSED or 0 <= milliseconds <= MAX_THROTTLE_MS):
            raise ValueError(f"a throttle of {milliseconds} ms is not in 0..{MAX_THROTTLE_MS}, nor {PAUSED} (paused)")
        if kind is not None and task_queue is None:
            raise ValueError("a kind is for one task queue: name that, too")
        topics = _topics(namespace, task_queue, kind)
        if engine_id is None:
            for topic in topics:
                await self._store.set_throttle_rate(ThrottleOptions(milliseconds, topic))
            return await self._caller.call(ThrottleCall(self._id), wait)
        calls = [ThrottleCall(self._id, milliseconds, topic, engine_id) for topic in topics]
        return await self._caller.call_all(calls, wait)

    async def pause(
        self,
        task_queue: str | None = None,
        *,
        namespace: str = "default",
        kind: QueueKind | None = None,
        engine_id: str | None = None,
        wait: float = 1.0,
    ) -> Sequence[EngineProfile]:
        """Hand out no task of a queue, or of any, until `resume`; see `throttle`. Tasks under way go on."""
        return await self.throttle(PAUSED, task_queue, namespace=namespace, kind=kind, engine_id=engine_id, wait=wait)

    async def resume(
        self,
        task_queue: str | None = None,
        *,
        namespace: str = "default",
        kind: QueueKind | None = None,
        engine_id: str | None = None,
        wait: float = 1.0,
    ) -> Sequence[EngineProfile]:
        """Hand out tasks of a queue, or of all, as fast as possible; see `throttle`."""
        return await self.throttle(0, task_queue, namespace=namespace, kind=kind, engine_id=engine_id, wait=wait)

    async def rates(self) -> Sequence[Rate]:
        """The stored rates: that of all queues first, then by queue. Those of 0 are in force, too: they win over it."""
        stored = await self._store.get_throttle_rates()
        return [_rate(topic, int(rate)) for topic, rate in sorted(stored.items(), key=lambda each: _order(each[0]))]

    # -- which version ----------------------------------------------------------------------------------------

    async def activate(self, version: str, *, wait: float = 1.0) -> Sequence[EngineProfile]:
        """Let the engines use a newer engine version (or an older one again), if all that are there know it.

        They are counted three times, ``wait`` seconds each; it is a head count, no consensus: an engine that starts in
        that moment and does not know the version refuses the database.

        Raises:
            ActivationRefused: No engine runs, one does not know the version, they come and go, or another operator is
                at it.
        """
        if not await self._store.reserve_scout_role("activate", _ACTIVATION_SECONDS, self._id):
            raise ActivationRefused("another operator is activating a version: try again in a minute")
        try:
            await self._check_all_know(version, wait)
            await self._store.activate_app_version(APP_ID, version)
        finally:
            await self._store.release_scout_role("activate", self._id)
        return await self._caller.call(ActivateCall(self._id, version), wait)

    async def _check_all_know(self, version: str, wait: float) -> None:
        counts = [await self._caller.call(Ping(self._id), wait) for _ in range(_COUNTS)]
        if not counts[-1]:
            raise ActivationRefused("no engine answers: start a worker, or wait longer for answers")
        if len({frozenset(engine.engine_id for engine in engines) for engines in counts}) > 1:
            raise ActivationRefused("engines come and go: try again when they have settled")
        behind = [engine for engine in counts[-1] if version not in engine.app_versions]
        if behind:
            names = ", ".join(f"process {each.pid} on {each.host} ({each.version})" for each in behind)
            raise ActivationRefused(f"not every engine knows version {version!r}; install a newer package for: {names}")


def _topics(namespace: str, task_queue: str | None, kind: QueueKind | None) -> list[str | None]:
    if task_queue is None:
        return [None]
    return [QueueKey(namespace, each == "activity", task_queue).topic for each in _KINDS if kind in (None, each)]


def _order(topic: str) -> tuple[bool, str, str]:
    return (topic != EVERYTHING, topic[1:], topic)


def _rate(topic: str, throttle: int) -> Rate:
    key = queue_of_topic(topic)
    if key is None:
        return Rate(throttle)
    return Rate(throttle, key.namespace, key.name, kind_of(key))
