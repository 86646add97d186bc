"""Registered types as they are stored: what a worker says about the workflows and activities that it runs.

They are the routing tables of HotMesh's contract. A *place* is a type on a task queue of a namespace.

========================  =================================================================================
table                     entry
========================  =================================================================================
subscriptions             place (``workflow/<namespace>/<queue>/<type>``) to the id of its schema;
                          ``worker/<namespace>/<queue>`` to the digests of what is registered there
schemas                   id (``workflow/<namespace>/<type>@<digest>``) to what the type takes and gives
transitions               type (``.workflow/<namespace>/<type>``) to the queues that serve it, by build
hook rules                ``signal/<namespace>/<name>``, ``update/…`` to the places that handle it
========================  =================================================================================

A schema never changes, because its id holds its digest: another form of the type has another id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from .keys import escaped, unescaped

TypeKind = Literal["workflow", "activity"]
HookKind = Literal["signal", "update"]

KINDS: tuple[TypeKind, ...] = ("workflow", "activity")
DYNAMIC = ""
"""The name of a type, or of a handler, that takes what no other one takes."""

FORGOTTEN = ""
"""The value of a subscription that was taken back: the contract has no way to remove one."""

_DIGEST_LENGTH = 16
_encoder = msgspec.json.Encoder(order="deterministic")


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a function takes. ``schema`` is a JSON schema, as far as its type has one; empty: anything."""

    name: str
    schema: dict[str, Any] = {}
    required: bool = True


class Handler(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signal, query or update that a workflow takes. ``result``: None if it gives none."""

    name: str
    description: str = ""
    parameters: list[Parameter] = []
    result: dict[str, Any] | None = None


class TypeSchema(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a workflow or activity type takes and gives. ``name`` is `DYNAMIC` for one that takes every name."""

    kind: TypeKind
    name: str
    description: str = ""
    parameters: list[Parameter] = []
    result: dict[str, Any] | None = None
    signals: list[Handler] = []
    queries: list[Handler] = []
    updates: list[Handler] = []

    def handlers(self, hook: HookKind) -> list[Handler]:
        """Of signals, or of updates."""
        return self.signals if hook == "signal" else self.updates


class WorkerTypes(msgspec.Struct, frozen=True):
    """What a worker of a task queue has registered."""

    namespace: str
    queue: str
    build_id: str
    types: list[TypeSchema]

    @property
    def topic(self) -> str:
        """The subscription that holds the digests."""
        return f"worker/{escaped(self.namespace)}/{escaped(self.queue)}"

    def places(self) -> Iterator[tuple[Place, TypeSchema]]:
        """Each type with its place."""
        for schema in self.types:
            yield Place(schema.kind, self.namespace, self.queue, schema.name), schema


class Place(NamedTuple):
    """A type on a task queue."""

    kind: TypeKind
    namespace: str
    queue: str
    name: str

    @property
    def topic(self) -> str:
        """Its subscription. The type comes last, because it may hold any text."""
        return f"{self.kind}/{escaped(self.namespace)}/{escaped(self.queue)}/{self.name}"

    @property
    def transition(self) -> str:
        """The key of its type among the transitions."""
        return f".{self.kind}/{escaped(self.namespace)}/{self.name}"


class Serving(msgspec.Struct, omit_defaults=True):
    """A queue that serves a type: which build of the worker since when, and those before it, the newest first."""

    build_id: str
    since_ms: int
    earlier: list[str] = []


class Queues(msgspec.Struct):
    """The queues that serve a type: the value of a transition."""

    queues: dict[str, Serving]


class Rule(msgspec.Struct, frozen=True):
    """A hook rule: the place whose workflows handle the signal or update."""

    to: str


def digest_of(value: object) -> str:
    """The same for equal values, in every process."""
    return hashlib.sha256(_encoder.encode(value)).hexdigest()[:_DIGEST_LENGTH]


def schema_id(place: Place, schema: TypeSchema) -> str:
    """The id of this form of a type."""
    return f"{place.kind}/{escaped(place.namespace)}/{place.name}@{digest_of(schema)}"


def place_of(topic: str) -> Place | None:
    """The place whose subscription it is; None for any other."""
    kind, _, rest = topic.partition("/")
    namespace, _, rest = rest.partition("/")
    queue, separator, name = rest.partition("/")
    if kind not in KINDS or not separator:
        return None
    return Place(kind, unescaped(namespace), unescaped(queue), name)


def in_force(subscriptions: Mapping[str, str]) -> dict[str, str]:
    """Those that were not taken back."""
    return {topic: value for topic, value in subscriptions.items() if value != FORGOTTEN}


def hook_topic(hook: HookKind, namespace: str, name: str) -> str:
    """The hook rules of a signal or update."""
    return f"{hook}/{escaped(namespace)}/{name}"


def hooks_of(types: WorkerTypes) -> dict[str, set[str]]:
    """Topic of a signal or update to the places that handle it."""
    found: dict[str, set[str]] = {}
    hooks: Sequence[HookKind] = ("signal", "update")
    for place, schema in types.places():
        for hook in hooks:
            for handler in schema.handlers(hook):
                found.setdefault(hook_topic(hook, types.namespace, handler.name), set()).add(place.topic)
    return found
