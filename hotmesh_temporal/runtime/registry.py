"""Registration of types: a worker's are stored when it starts, and starts of workflows are compared with them.

An unchanged worker costs one small read and no write. Nothing of the engine depends on what is registered: it is there
for people and tools, so a failure is logged and that is all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, TypeVar

import msgspec

from ..contracts.errors import ContractError, Unavailable
from ..contracts.store import StoreService
from ..contracts.types import AppVersion
from .keys import APP_ID, QueueKey
from .peers import Peers
from .registered import (
    DYNAMIC,
    FORGOTTEN,
    Place,
    Queues,
    Rule,
    Serving,
    TypeSchema,
    WorkerTypes,
    digest_of,
    hooks_of,
    in_force,
    place_of,
    schema_id,
)
from .versions import EngineVersion

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

GATHER_SECONDS = 0.25
"""How long a registration waits for those of other workers of the process, and lets their first tasks go first."""

CHECK_SECONDS, READ_SECONDS = 2.0, 60.0
"""How long after a start its type is looked up, and the least time between two reads of what is registered."""

_RETRIES = (1.0, 5.0, 30.0, 120.0)
_LAST_SECONDS = 2.0
_ROLE, _ROLE_SECONDS = "types", 10
_ROLE_TRIES, _ROLE_PAUSE = 150, 0.1
_DIGESTS, _EARLIER, _PLACES_KEPT = 8, 5, 10_000


class TypeRegistry:
    """What the workers of this process have registered, and of which starts a look was taken at."""

    def __init__(self, store: StoreService, version: EngineVersion, peers: Peers, engine_id: str) -> None:
        self._store = store
        self._version = version
        self._peers = peers
        self._engine_id = engine_id
        self._own: dict[str, WorkerTypes] = {}
        self._pending: dict[str, WorkerTypes] = {}
        self._noted: set[Place] = set()
        self._unchecked: set[Place] = set()
        self._read_at = 0.0
        self._registrar: asyncio.Task[None] | None = None
        self._checker: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        version.changed = self.register_again

    async def close(self) -> None:
        """Store what waits to be stored, if that takes no time; the rest is left to the next start of the worker."""
        self._closing.set()
        tasks = [task for task in (self._registrar, self._checker) if task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_LAST_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # -- workers ----------------------------------------------------------------------------------------------

    def register(self, types: WorkerTypes) -> None:
        """A worker has started; what it has registered will be stored soon."""
        # Workers of one queue in one process may have different types.
        key = digest_of(types)
        self._own[key] = self._pending[key] = types
        if (self._registrar is None or self._registrar.done()) and not self._closing.is_set():
            self._registrar = asyncio.get_running_loop().create_task(self._register_soon())

    def register_again(self) -> None:
        """Another engine version is active: what is registered belongs to a version."""
        for types in list(self._own.values()):
            self.register(types)

    async def _register_soon(self) -> None:
        await self._pause(GATHER_SECONDS)
        for pause in (*_RETRIES, None):
            try:
                while self._pending:
                    await self._register_pending()
                return
            except ContractError as error:
                problem: Exception = error
                _LOG.debug("the types of a worker could not be registered: %s", error)
            except Exception:
                # It must not disturb the worker, which runs whether its types are known or not.
                _LOG.exception("the types of a worker could not be registered")
                self._pending.clear()
                return
            if pause is None or self._closing.is_set():
                self._pending.clear()
                _LOG.warning("the types of a worker could not be registered, and stay unknown to others: %s", problem)
                return
            await self._pause(pause)

    async def _register_pending(self) -> None:
        batch = dict(self._pending)
        changed = await self._unknown_of(batch)
        if changed:
            await self._write(changed)
        for key, types in batch.items():
            if self._pending.get(key) is types:
                del self._pending[key]

    async def _unknown_of(self, batch: Mapping[str, WorkerTypes]) -> dict[str, WorkerTypes]:
        """Those that are not stored as they are."""
        noted = await asyncio.gather(
            *(self._store.get_subscription(types.topic, self._app) for types in batch.values())
        )
        found = zip(batch.items(), noted, strict=True)
        return {digest: types for (digest, types), digests in found if digest not in (digests or "").split()}

    async def _write(self, changed: Mapping[str, WorkerTypes]) -> None:
        """Add what is new to the tables."""

        def add(change: Change) -> None:
            for digest, types in changed.items():
                change.add(types, digest, int(time.time() * 1000))

        await change_tables(self._store, self._app, self._engine_id, add)

    @property
    def _app(self) -> AppVersion:
        return AppVersion(APP_ID, self._version.active)

    # -- starts -----------------------------------------------------------------------------------------------

    def started(self, namespace: str, queue: str, workflow_type: str) -> None:
        """A workflow was started here: later, a look is taken whether a worker of the queue knows its type."""
        place = Place("workflow", namespace, queue, workflow_type)
        if place in self._noted or self._closing.is_set():
            return
        if len(self._noted) >= _PLACES_KEPT:
            self._noted.clear()
        self._noted.add(place)
        self._unchecked.add(place)
        if self._checker is None or self._checker.done():
            self._checker = asyncio.get_running_loop().create_task(self._check_soon())

    async def _check_soon(self) -> None:
        await self._pause(max(CHECK_SECONDS, self._read_at + READ_SECONDS - time.monotonic()))
        if self._closing.is_set():
            return
        try:
            await self._check()
        except ContractError as error:
            _LOG.debug("the registered types could not be read: %s", error)
        except Exception:
            # A look that nobody waits for.
            _LOG.exception("the registered types could not be read")

    async def _check(self) -> None:
        places, self._unchecked = self._unchecked, set()
        self._read_at = time.monotonic()
        registered = in_force(await self._store.get_subscriptions(self._app))
        missing = [place for place in places if not _serves(registered, place)]
        known = [each for each in map(place_of, registered) if each is not None] if missing else []
        for place in missing:
            queues = sorted({each.queue for each in known if each == place._replace(queue=each.queue)})
            if not queues:
                self._noted.discard(place)  # nobody knows the type yet: look again when it is started again
            elif not await self._served_by_strangers(place, known):
                _LOG.warning("%s", _warning(place, queues))

    async def _served_by_strangers(self, place: Place, known: Sequence[Place]) -> bool:
        """The queue is polled, and nothing is registered of it: its workers are not of this package."""
        if any(each._replace(name="") == place._replace(name="") for each in known):
            return False
        return bool((await self._peers.queue(_queue_of(place))).pollers)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)


class Change:
    """What has to be written so that the tables hold what some workers have registered, too."""

    def __init__(
        self,
        subscriptions: Mapping[str, str],
        transitions: Mapping[str, Any],
        rules: Mapping[str, Sequence[Mapping[str, str]]],
    ) -> None:
        """The tables as they are. They may be large, so only what is changed is looked at closely."""
        self._subscriptions = dict(subscriptions)
        self._transitions = dict(transitions)
        self._rules = dict(rules)
        self.schemas: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[str, str] = {}
        self.transitions: dict[str, Any] = {}
        self.rules: dict[str, list[Mapping[str, str]]] = {}

    def forget(self, namespace: str, queue: str) -> list[Place]:
        """Everything that is registered on a queue; what it was."""
        found = [each for each in map(place_of, in_force(self._subscriptions)) if each is not None]
        places = [each for each in found if (each.namespace, each.queue) == (namespace, queue)]
        for place in places:
            self._subscribe(place.topic, FORGOTTEN)
            entry = msgspec.convert(self._transitions[place.transition], Queues)
            entry.queues.pop(queue, None)
            self._transitions[place.transition] = self.transitions[place.transition] = msgspec.to_builtins(entry)
        gone = WorkerTypes(namespace, queue, "", [])
        self._replace_rules({place.topic for place in places}, {})
        if gone.topic in self._subscriptions:
            self._subscribe(gone.topic, FORGOTTEN)
        return places

    def add(self, types: WorkerTypes, digest: str, now_ms: int) -> None:
        """What one worker has registered."""
        replaced = [self._set_place(place, schema, types.build_id, now_ms) for place, schema in types.places()]
        self._set_rules(types)
        noted = [] if any(replaced) else self._subscriptions.get(types.topic, "").split()
        self._subscribe(types.topic, " ".join([*noted, digest][-_DIGESTS:]))

    def _set_place(self, place: Place, schema: TypeSchema, build_id: str, now_ms: int) -> bool:
        """Whether it was there in another form: then others on the queue that had that form are not as stored."""
        identifier, before = schema_id(place, schema), self._subscriptions.get(place.topic)
        if identifier != before:
            self.schemas[identifier] = msgspec.to_builtins(schema)
            self._subscribe(place.topic, identifier)
        serving = self._serve(place, build_id, now_ms)
        return serving or before not in (None, FORGOTTEN, identifier)

    def _serve(self, place: Place, build_id: str, now_ms: int) -> bool:
        """Note the build. Whether another one was noted."""
        entry = msgspec.convert(self._transitions.get(place.transition, {"queues": {}}), Queues)
        before = entry.queues.get(place.queue)
        if before is not None and before.build_id == build_id:
            return False
        earlier = [each for each in (before.build_id, *before.earlier) if each != build_id] if before else []
        entry.queues[place.queue] = Serving(build_id, now_ms, earlier[:_EARLIER])
        self._transitions[place.transition] = self.transitions[place.transition] = msgspec.to_builtins(entry)
        return before is not None

    def _set_rules(self, types: WorkerTypes) -> None:
        """The hooks of its types, and no others that these types once had."""
        self._replace_rules({place.topic for place, _ in types.places()}, hooks_of(types))

    def _replace_rules(self, places: Set[str], wanted: Mapping[str, Set[str]]) -> None:
        affected = {topic for topic, rules in self._rules.items() if any(rule["to"] in places for rule in rules)}
        for topic in affected | wanted.keys():
            before = {rule["to"] for rule in self._rules.get(topic, ())}
            now = (before - places) | wanted.get(topic, set())
            if now != before:
                self._rules[topic] = self.rules[topic] = [msgspec.to_builtins(Rule(to)) for to in sorted(now)]

    def _subscribe(self, topic: str, value: str) -> None:
        self._subscriptions[topic] = self.subscriptions[topic] = value


async def change_tables(store: StoreService, app: AppVersion, owner: str, edit: Callable[[Change], _T]) -> _T:
    """Change what is registered, alone: an entry may be made of what several workers say. What ``edit`` gives."""
    for _ in range(_ROLE_TRIES):
        if await store.reserve_scout_role(_ROLE, _ROLE_SECONDS, owner):
            break
        await asyncio.sleep(_ROLE_PAUSE)
    else:
        raise Unavailable("another process registers its types, and does not come to an end")
    try:
        tables = await asyncio.gather(store.get_subscriptions(app), store.get_transitions(app), store.get_hook_rules())
        change = Change(*tables)
        result = edit(change)
        await asyncio.gather(
            store.set_schemas(change.schemas, app),
            store.set_transitions(change.transitions, app),
            store.set_hook_rules(change.rules),
        )
        # Last, because the digests say that everything is there.
        await store.set_subscriptions(change.subscriptions, app)
        return result
    finally:
        await store.release_scout_role(_ROLE, owner)


def _serves(registered: Mapping[str, str], place: Place) -> bool:
    return place.topic in registered or place._replace(name=DYNAMIC).topic in registered


def _queue_of(place: Place) -> QueueKey:
    return QueueKey(place.namespace, place.kind == "activity", place.queue)


def _warning(place: Place, queues: Sequence[str]) -> str:
    others = ", ".join(repr(queue) for queue in queues[:5])
    return (
        f"a workflow of type {place.name!r} was started on the task queue {place.queue!r} (namespace "
        f"{place.namespace!r}), where no worker has ever registered that type: it waits until one does. The type is "
        f"registered on {others}: start the workflow there, or a worker with the type on {place.queue!r}"
    )
