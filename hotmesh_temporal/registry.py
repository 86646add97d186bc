"""Registered types: which workflows and activities the workers of a database have, and what waits for a worker.

A worker that was made through this package stores, when it starts, the types that it has: their parameters, results,
handlers and texts, its task queue and build. See docs/types.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import msgspec

from .contracts.types import AppVersion
from .operators import Operator
from .runtime.keys import APP_ID
from .runtime.quorum import Ping
from .runtime.registered import (
    DYNAMIC,
    Handler,
    HookKind,
    Parameter,
    Place,
    Queues,
    Rule,
    Serving,
    TypeKind,
    TypeSchema,
    hook_topic,
    in_force,
    place_of,
)
from .runtime.registry import change_tables
from .runtime.waiting import Pending, pending_work

__all__ = [
    "DYNAMIC",
    "Handler",
    "HookKind",
    "Parameter",
    "RegisteredOn",
    "RegisteredType",
    "Registry",
    "TypeKind",
    "TypeSchema",
    "Waiting",
    "WaitingWork",
]

_BUSY_SECONDS = 10.0


@dataclass(frozen=True)
class RegisteredOn:
    """A task queue that serves a type: in which form, by which build of the worker, since when, and which builds before
    it (the newest first).
    """

    queue: str
    schema: TypeSchema
    build_id: str
    since: datetime
    earlier_builds: Sequence[str]


@dataclass(frozen=True)
class RegisteredType:
    """A type, on all queues where a worker has ever registered it; the latest registration first."""

    kind: TypeKind
    namespace: str
    name: str
    queues: Sequence[RegisteredOn]

    @property
    def schema(self) -> TypeSchema:
        """Its latest form."""
        return self.queues[0].schema


@dataclass(frozen=True)
class Waiting:
    """Workflow tasks or activities of one type that wait on one queue, or that a worker of it fails again and again.

    ``workflow_ids``: some of the workflows. ``registered``: the type is registered on this queue; ``elsewhere``: the
    queues on which it is, too. ``polled``: a worker polls the queue, or did ten seconds ago. ``advice``: what to do, a
    sentence.
    """

    kind: TypeKind
    namespace: str
    queue: str
    name: str
    count: int
    since: datetime
    workflow_ids: Sequence[str]
    registered: bool
    elsewhere: Sequence[str]
    polled: bool
    advice: str


@dataclass(frozen=True)
class WaitingWork:
    """What waits, the oldest first. ``complete``: every open workflow was looked at."""

    waiting: Sequence[Waiting]
    complete: bool


class Registry(Operator):
    """A look at what is registered. It is no engine: it takes no tasks. Use it in ``async with``, or close it."""

    async def types(self, namespace: str = "default") -> Sequence[RegisteredType]:
        """Every type that a worker of the namespace has registered, in order: workflows first, then by name."""
        app = await self._app()
        if app is None:
            return []
        # First, because a worker that starts now writes them last: what they name is there.
        subscriptions = in_force(await self._store.get_subscriptions(app))
        schemas, transitions = await asyncio.gather(self._store.get_schemas(app), self._store.get_transitions(app))
        serving = msgspec.convert(transitions, dict[str, Queues])
        found: dict[Place, list[RegisteredOn]] = {}
        for topic, identifier in subscriptions.items():
            place = place_of(topic)
            if place is not None and place.namespace == namespace:
                schema = msgspec.convert(schemas[identifier], TypeSchema)
                entry = _registered_on(place, schema, serving[place.transition].queues[place.queue])
                found.setdefault(place._replace(queue=""), []).append(entry)
        return [_registered_type(place, entries) for place, entries in sorted(found.items(), key=_order)]

    async def type(self, name: str, namespace: str = "default") -> Sequence[RegisteredType]:
        """The types of this name: a workflow, an activity, both, or none."""
        return [each for each in await self.types(namespace) if each.name == name]

    async def handlers_of(self, hook: HookKind, name: str, namespace: str = "default") -> Sequence[tuple[str, str]]:
        """Who handles a signal or an update: names of workflow types, each with its queue, in order.

        Those with a handler for every name are among them, after the others.
        """
        rules = await self._store.get_hook_rules()
        found: list[tuple[str, str]] = []
        for each in dict.fromkeys((name, DYNAMIC)):
            given = msgspec.convert(rules.get(hook_topic(hook, namespace, each), []), list[Rule])
            places = [place for place in (place_of(rule.to) for rule in given) if place is not None]
            found += sorted((place.name, place.queue) for place in places)
        return list(dict.fromkeys(found))

    async def polled(self, wait: float = 1.0) -> Mapping[tuple[TypeKind, str, str], int]:
        """The queues that workers poll, or did ten seconds ago, as (kind, namespace, queue), and how many processes it
        are.
        """
        engines = await self._caller.call(Ping(self._id), wait)
        found: dict[tuple[TypeKind, str, str], int] = {}
        for engine in engines:
            queues: set[tuple[TypeKind, str, str]] = {(each.kind, each.namespace, each.name) for each in engine.queues}
            for key in queues:
                found[key] = found.get(key, 0) + 1
        return found

    async def waiting(self, namespace: str = "default", *, limit: int = 10_000, wait: float = 1.0) -> WaitingWork:
        """What waits for a worker that is not there: its type is not registered on its queue, nobody polls the queue,
        or it waits for more than ten seconds though somebody does.

        Args:
            namespace: The namespace.
            limit: How many open workflows to look at, the oldest first. Each is one read.
            wait: Seconds to wait for the workers' word that they are there.
        """
        polled = await self.polled(wait)
        app = await self._app()
        subscriptions = in_force(await self._store.get_subscriptions(app)) if app is not None else {}
        pending, more = await pending_work(self._store, self._search, namespace, limit)
        places = {place for place in map(place_of, subscriptions) if place is not None}
        looked_at = (_waiting(each, places, polled) for each in pending)
        return WaitingWork([each for each in looked_at if each is not None], complete=not more)

    async def forget(self, task_queue: str, namespace: str = "default") -> Sequence[tuple[TypeKind, str]]:
        """Forget what is registered on a queue that is not used any more; the types (kind, name) that it was.

        A worker that polls it registers them again when it is started next.
        """
        app = await self._app()
        if app is None:
            return []
        places = await change_tables(self._store, app, self._id, lambda change: change.forget(namespace, task_queue))
        return [(place.kind, place.name) for place in sorted(places)]

    async def _app(self) -> AppVersion | None:
        """The active version, under which everything is registered; None if no engine was ever there."""
        app = await self._store.get_app(APP_ID, refresh=True)
        return AppVersion(APP_ID, app.version) if app is not None and app.version else None


def _order(entry: tuple[Place, object]) -> tuple[bool, str]:
    return (entry[0].kind == "activity", entry[0].name)


def _registered_on(place: Place, schema: TypeSchema, serving: Serving) -> RegisteredOn:
    since = datetime.fromtimestamp(serving.since_ms / 1000, timezone.utc)
    return RegisteredOn(place.queue, schema, serving.build_id, since, serving.earlier)


def _registered_type(place: Place, entries: Sequence[RegisteredOn]) -> RegisteredType:
    latest_first = sorted(entries, key=lambda each: (each.since, each.queue), reverse=True)
    return RegisteredType(place.kind, place.namespace, place.name, latest_first)


def _waiting(pending: Pending, places: set[Place], polled: Mapping[tuple[TypeKind, str, str], int]) -> Waiting | None:
    """What is to be said of it; None if a worker will soon take it."""
    place = pending.place
    since = datetime.fromtimestamp(pending.since / 1e9, timezone.utc)
    here = place in places or place._replace(name=DYNAMIC) in places
    is_polled = (place.kind, place.namespace, place.queue) in polled
    # A queue of which nothing is registered belongs to workers that do not register, of another SDK perhaps.
    unknown = is_polled and not any(each._replace(name="") == place._replace(name="") for each in places)
    if (here or unknown) and is_polled and (datetime.now(timezone.utc) - since).total_seconds() < _BUSY_SECONDS:
        return None
    elsewhere = sorted(
        {each.queue for each in places if each == place._replace(queue=each.queue) and each.queue != place.queue}
    )
    return Waiting(
        place.kind,
        place.namespace,
        place.queue,
        place.name,
        pending.count,
        since,
        pending.workflow_ids,
        registered=here,
        elsewhere=elsewhere,
        polled=is_polled,
        advice=_advice(place, elsewhere, here=here, polled=is_polled, unknown=unknown),
    )


def _advice(place: Place, elsewhere: Sequence[str], *, here: bool, polled: bool, unknown: bool) -> str:
    if here and not polled:
        return f"no worker polls {place.queue!r} now: start the one that has {place.name!r}"
    if here or unknown:
        return (
            f"workers poll {place.queue!r}: they are busy, they fail it again and again, or the queue is paused "
            "(hotmesh-temporal quorum roll-call)"
        )
    if elsewhere:
        others = ", ".join(repr(queue) for queue in elsewhere)
        return f"{place.name!r} is registered on {others}: start a worker with it on {place.queue!r}, or use that queue"
    return f"no worker has ever registered {place.name!r}: start one that has it on {place.queue!r}"
