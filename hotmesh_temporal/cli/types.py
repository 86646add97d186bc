"""``hotmesh-temporal types``: which workflows and activities the workers have, and what waits for a worker."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar

import click
import msgspec

from hotmesh_temporal.connection import InvalidConnection
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.embedded import new_event_loop
from hotmesh_temporal.registry import (
    Handler,
    Parameter,
    RegisteredOn,
    RegisteredType,
    Registry,
    TypeKind,
    TypeSchema,
    Waiting,
    WaitingWork,
)

from .options import connection_of, connection_options
from .progress import progress, quiet_option

_T = TypeVar("_T")
_Polled = Mapping[tuple[TypeKind, str, str], int]


@click.command()
@click.argument("name", required=False)
@click.option("--waiting", is_flag=True, help="Show what waits for a worker that is not there, and what to do.")
@click.option("--forget", metavar="QUEUE", help="Forget what is registered on a task queue that is not used any more.")
@click.option("--namespace", default="default", show_default=True, help="The namespace.")
@click.option("--limit", type=click.IntRange(1), default=10_000, show_default=True, help="Open workflows to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--wait", type=click.FloatRange(0.05, 60), default=0.5, show_default=True, help="Seconds to wait for workers."
)
@connection_options
@quiet_option
def types(
    name: str | None,
    waiting: bool,
    forget: str | None,
    namespace: str,
    limit: int,
    as_json: bool,
    wait: float,
    quiet: bool,
    **services: str | None,
) -> None:
    """List the workflow and activity types that workers have registered, and on which task queues.

    With NAME: one type, what it takes and gives, its signals, queries and updates. A type stays listed when its workers
    are gone; "polled by" counts the processes that poll its queue, or did ten seconds ago. Workers that were not made
    through this package do not register.

    \b
    Examples:
        hotmesh-temporal types
        hotmesh-temporal types OrderWorkflow --connection postgresql://localhost/orders
        hotmesh-temporal types --waiting
    """
    if sum((waiting, name is not None, forget is not None)) > 1:
        raise click.UsageError("give one of NAME, --waiting and --forget")
    if forget is not None:
        gone = _on_registry(lambda registry: registry.forget(forget, namespace), services)
        click.echo(f"forgotten: {', '.join(f'{kind} {_shown(each)}' for kind, each in gone) or 'nothing'}")
        return
    if waiting:
        with progress("types", quiet=quiet) as tell:
            tell("open workflows")
            found = _on_registry(lambda registry: registry.waiting(namespace, limit=limit, wait=wait), services)
        _print(_waiting_json(found) if as_json else None, _waiting_lines(found))
        return
    known, polled = _on_registry(lambda registry: _known(registry, namespace, wait), services)
    if name is not None:
        known = [each for each in known if each.name == name]
        if not known:
            raise click.ClickException(f"no worker has registered a type {name!r} in the namespace {namespace!r}")
    lines = _lines(known, polled) if name is None else _details(known, polled)
    _print([_type_json(each, polled) for each in known] if as_json else None, lines)


async def _known(registry: Registry, namespace: str, wait: float) -> tuple[Sequence[RegisteredType], _Polled]:
    known = await registry.types(namespace)
    return known, await registry.polled(wait) if known else {}


def _on_registry(work: Callable[[Registry], Awaitable[_T]], services: dict[str, str | None]) -> _T:
    """What ``work`` gives on the database of the options; errors of the user's become messages."""

    async def run() -> _T:
        async with await Registry.connect(connection_of(**services)) as connected:
            return await work(connected)

    loop = new_event_loop()
    try:
        return loop.run_until_complete(run())
    except (InvalidConnection, ContractError, OSError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        loop.close()


def _print(value: object | None, lines: Iterator[str]) -> None:
    if value is not None:
        click.echo(json.dumps(value, indent=2, default=str))
        return
    for line in lines:
        click.echo(line)


# -- types ------------------------------------------------------------------------------------------------------------


def _lines(known: Sequence[RegisteredType], polled: _Polled) -> Iterator[str]:
    """A table: kind, name, queue, who polls, handlers."""
    if not known:
        yield "no worker has registered a type"
        return
    rows = [_row(each, on, polled) for each in known for on in each.queues]
    header = ("KIND", "TYPE", "TASK QUEUE", "POLLED BY", "HANDLERS")
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header) - 1)]
    for row in [header, *rows]:
        yield "  ".join([*(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()


def _row(type_: RegisteredType, on: RegisteredOn, polled: _Polled) -> tuple[str, str, str, str, str]:
    names = [
        f"{what} {', '.join(_shown(each.name) for each in handlers)}"
        for what, handlers in _handlers(on.schema)
        if handlers
    ]
    return type_.kind, _shown(type_.name), on.queue, _who(type_, on, polled), "; ".join(names)


def _handlers(schema: TypeSchema) -> Sequence[tuple[str, Sequence[Handler]]]:
    return (("signal", schema.signals), ("query", schema.queries), ("update", schema.updates))


def _shown(name: str) -> str:
    return name or "(any other)"


def _who(type_: RegisteredType, on: RegisteredOn, polled: _Polled) -> str:
    count = polled.get((type_.kind, type_.namespace, on.queue), 0)
    return f"{count} processes" if count > 1 else "1 process" if count else "nobody"


def _details(known: Sequence[RegisteredType], polled: _Polled) -> Iterator[str]:
    """Everything of each type, in the form that it has on each queue."""
    for type_ in known:
        for on in type_.queues:
            yield f"{type_.kind} {_signature(on.schema.name, on.schema.parameters, on.schema.result)}"
            yield from _indented(on.schema.description, 4)
            since = on.since.astimezone().strftime("%Y-%m-%d %H:%M:%S")
            yield f"    on {on.queue}: build {on.build_id} since {since}, polled by {_who(type_, on, polled)}"
            if on.earlier_builds:
                yield f"    builds before: {', '.join(on.earlier_builds)}"
            for what, handlers in _handlers(on.schema):
                for handler in handlers:
                    yield f"    {what} {_signature(handler.name, handler.parameters, handler.result)}"
                    yield from _indented(handler.description, 8)


def _indented(text: str, width: int) -> Iterator[str]:
    return (f"{' ' * width}{line}".rstrip() for line in text.splitlines())


def _signature(name: str, parameters: Sequence[Parameter], result: Mapping[str, Any] | None) -> str:
    shown = ", ".join(f"{each.name}: {_type(each.schema)}{'' if each.required else ' = …'}" for each in parameters)
    gives = f" -> {_type(result)}" if result is not None and result.get("type") != "null" else ""
    return f"{_shown(name)}({shown}){gives}"


def _type(schema: Mapping[str, Any]) -> str:
    """A short name of what a JSON schema describes."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(_type(each) for each in schema["anyOf"])
    kind, title = schema.get("type"), schema.get("title")
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"[{_type(schema['items'])}]"
    return str(title or schema.get("format") or kind or "any")


def _type_json(type_: RegisteredType, polled: _Polled) -> dict[str, Any]:
    queues = [
        {
            "queue": on.queue,
            "build_id": on.build_id,
            "since": on.since.isoformat(),
            "earlier_builds": list(on.earlier_builds),
            "polled_by": polled.get((type_.kind, type_.namespace, on.queue), 0),
            "schema": msgspec.to_builtins(on.schema),
        }
        for on in type_.queues
    ]
    return {"kind": type_.kind, "namespace": type_.namespace, "name": type_.name, "queues": queues}


# -- waiting ----------------------------------------------------------------------------------------------------------


def _waiting_json(found: WaitingWork) -> dict[str, Any]:
    return {"complete": found.complete, "waiting": [msgspec.to_builtins(each) for each in found.waiting]}


def _waiting_lines(found: WaitingWork) -> Iterator[str]:
    for each in found.waiting:
        yield _what(each)
        yield f"    {each.advice}"
        yield f"    for example: {', '.join(each.workflow_ids)}"
    if not found.waiting:
        yield "nothing waits for a worker that is not there"
    if not found.complete:
        yield "only the oldest open workflows were looked at; --limit looks at more"


def _what(waiting: Waiting) -> str:
    seconds = (datetime.now(timezone.utc) - waiting.since).total_seconds()
    one, many = ("workflow task", "workflow tasks") if waiting.kind == "workflow" else ("activity", "activities")
    what = one if waiting.count == 1 else many
    return (
        f"{waiting.count} {what} of type {waiting.name!r} on the queue {waiting.queue!r}, the oldest for "
        f"{_duration(seconds)}"
    )


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
