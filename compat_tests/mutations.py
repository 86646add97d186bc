"""Every way to spoil one field of a valid request: made from its descriptor, so that no field is forgotten.

A mutation sets one field (or one field of a part of the request, set or not) to something that makes no sense or is
unusual: nothing, too long, negative, out of range, an unknown number of an enumeration, the id of something else.
What the table of fields (``hotmesh_temporal.frontend.fields``) marks as refused is left out, because there the two
servers differ on purpose.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType
from temporalio.service import RPCError

from compat_tests.env import Env
from hotmesh_temporal.frontend.fields import TABLE

COMPARED = Counter[str]()
"""How many mutations of each kind of request were sent to the real server in this session."""

LONG = "x" * 1001
FOREIGN_RUN = "8b2d2e5f-8b0c-4d8f-a8a5-1d8f0f1a2b3c"

_DURATIONS = {
    "negative": Duration(seconds=-1),
    "mixed signs": Duration(seconds=1, nanos=-1),
    "beyond 10000 years": Duration(seconds=315_576_000_001),
    "1000 years": Duration(seconds=31_557_600_000),
    "zero": Duration(),
}
_TIMESTAMPS = {
    "before year 1": Timestamp(seconds=-62_135_596_801),
    "negative nanoseconds": Timestamp(seconds=1, nanos=-1),
}
_CLOSED = {"temporal.api.common.v1.Payload", "google.protobuf.Any", "temporal.api.failure.v1.Failure"}
"""What is not looked into: opaque to a server, or without end."""

_DEPTH = 4
_LARGE_ENUM = 12
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: 2**31 - 1,
    FieldDescriptor.CPPTYPE_INT64: 2**63 - 1,
    FieldDescriptor.CPPTYPE_UINT32: 2**32 - 1,
    FieldDescriptor.CPPTYPE_UINT64: 2**64 - 1,
}

_OK = "OK"

Path = tuple[str, ...]
Change = Callable[[Message], None]
"""Applied to the message that has the field."""


@dataclass(frozen=True)
class Mutation:
    """``label`` names the field's path and what is done to it."""

    label: str
    parents: Path
    change: Change

    def apply(self, valid: Message) -> Any:
        """A spoiled copy."""
        spoiled = type(valid)()
        spoiled.CopyFrom(valid)
        part: Any = spoiled
        for name in self.parents:
            part = _step(part, name)
        self.change(part)
        return spoiled


def mutations(valid: Message, *, skip: frozenset[str] = frozenset()) -> list[Mutation]:
    """All mutations of a valid request. ``skip``: labels that are left out, and paths (with dots) that are so
    with everything below."""
    return list(_of_message(valid, valid.DESCRIPTOR, (), skip))


def _of_message(given: Message | None, kind: Any, parents: Path, skip: frozenset[str]) -> Iterator[Mutation]:
    rows = TABLE.get(kind.full_name)
    for field in kind.fields:
        path = ".".join((*parents, field.name))
        if path in skip or (rows is not None and field.name in rows.refused):
            continue
        for what, change in _changes(field, given):
            if f"{path}: {what}" in skip:
                continue
            yield Mutation(f"{path}: {what}", parents, change)
        yield from _below(field, given, parents, skip)


def _below(field: Any, given: Message | None, parents: Path, skip: frozenset[str]) -> Iterator[Mutation]:
    part = field.message_type
    if part is None or part.full_name in _CLOSED or _is_map(field) or len(parents) >= _DEPTH:
        return
    if part.full_name in (Duration.DESCRIPTOR.full_name, Timestamp.DESCRIPTOR.full_name):
        return
    value: Any = None
    if given is not None:
        value = getattr(given, field.name)
        if _repeated(field):
            value = value[0] if value else None
        elif not given.HasField(field.name):
            value = None
    yield from _of_message(value, part, (*parents, field.name), skip)


def _changes(field: Any, given: Message | None) -> Iterator[tuple[str, Change]]:
    """What is done to one field, with a word for it."""
    name = field.name
    if given is not None and _is_set(field, given):
        yield "unset", lambda message: message.ClearField(name)
    if _is_map(field):
        yield from _of_map(field)
    elif field.message_type is not None:
        yield from _of_part(field)
    else:
        for what, value in _scalars(field):
            if _repeated(field):
                yield what, lambda message, value=value: getattr(message, name).append(value)
            else:
                yield what, lambda message, value=value: setattr(message, name, value)


def _of_map(field: Any) -> Iterator[tuple[str, Change]]:
    name, value = field.name, field.message_type.fields_by_name["value"]
    for what, key in (("empty key", ""), ("long key", LONG)):
        if value.message_type is not None:
            yield what, lambda message, key=key: getattr(message, name)[key].SetInParent()
        else:
            yield what, lambda message, key=key: getattr(message, name).__setitem__(key, "")


def _of_part(field: Any) -> Iterator[tuple[str, Change]]:
    name, kind = field.name, field.message_type.full_name
    if _repeated(field):
        yield "an empty one more", lambda message: getattr(message, name).add() and None
        return
    known: dict[str, Any] = {}
    if kind == Duration.DESCRIPTOR.full_name:
        known = _DURATIONS
    elif kind == Timestamp.DESCRIPTOR.full_name:
        known = _TIMESTAMPS
    else:
        yield "empty", lambda message: _empty(message, name)
    for what, value in known.items():
        yield what, lambda message, value=value: getattr(message, name).CopyFrom(value)


def _empty(message: Message, name: str) -> None:
    message.ClearField(name)
    getattr(message, name).SetInParent()


def _scalars(field: Any) -> Iterator[tuple[str, Any]]:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        yield "unknown number", 99
        values = field.enum_type.values
        yield from ((each.name, each.number) for each in (values if len(values) < _LARGE_ENUM else values[:2]))
    elif kind == FieldDescriptor.CPPTYPE_BOOL:
        yield "true", True
    elif kind == FieldDescriptor.CPPTYPE_STRING and field.type == FieldDescriptor.TYPE_BYTES:
        yield "bytes", b"x"
    elif kind == FieldDescriptor.CPPTYPE_STRING:
        yield from _texts(field.name)
    elif kind in _INTEGERS:
        yield "most", _INTEGERS[kind]
        if kind in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64):
            yield "negative", -1
    else:
        yield from (("negative", -1.0), ("a half", 0.5))


def _texts(name: str) -> Iterator[tuple[str, str]]:
    yield "long", LONG
    if name.endswith("run_id"):
        yield "no uuid", "x"
        yield "foreign", FOREIGN_RUN
    elif name == "namespace":
        yield "foreign", "no-such-namespace"


def _step(message: Any, name: str) -> Any:
    field = message.DESCRIPTOR.fields_by_name[name]
    part = getattr(message, name)
    if _repeated(field):
        return part[0] if part else part.add()
    part.SetInParent()
    return part


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated)


def _is_set(field: Any, given: Message) -> bool:
    return any(each.name == field.name for each, _ in given.ListFields())


Call = Callable[[Any], Awaitable[Any]]


async def send_each(
    env: Env,
    prepare: Callable[[], Awaitable[Message]],
    call: Call,
    *,
    finish: Callable[[Any], Awaitable[None]] | None = None,
    skip: frozenset[str] = frozenset(),
    after: Callable[[], Awaitable[None]] | None = None,
    at_once: bool = False,
) -> None:
    """Send every mutation of a valid request, and the valid one last; record what is answered.

    ``prepare`` makes what a request is about, and the valid request. When one was accepted, ``finish`` is awaited with
    the request (to record what it did, and what the refused ones before it did not do) and the next gets a new one.
    ``after`` is awaited after each, whether it was accepted or not. ``at_once`` sends all of them together.
    """
    valid = await prepare()
    whole = Mutation("valid", (), lambda message: None)
    every = [*mutations(valid, skip=skip), whole]
    if env.connection.kind == "temporal":
        COMPARED[_kind(valid)] += len(every)
    if at_once:
        answers = await asyncio.gather(*(_answer(call, each.apply(valid)) for each in every))
        for mutation, answer in zip(every, answers, strict=True):
            env.record(mutation.label, answer)
        return
    for mutation in every:
        request = mutation.apply(valid)
        answer = await _answer(call, request)
        env.record(mutation.label, answer)
        if after is not None:
            await after()
        if answer == _OK and finish is not None:
            await finish(request)
            valid = await prepare()


def _kind(valid: Any) -> str:
    """The request or the command."""
    if isinstance(valid, Command):
        return CommandType.Name(valid.command_type).removeprefix("COMMAND_TYPE_").lower()
    return type(valid).__name__.removesuffix("Request")


async def _answer(call: Call, request: Any) -> Any:
    try:
        await call(request)
    except RPCError as error:
        return error
    return _OK
