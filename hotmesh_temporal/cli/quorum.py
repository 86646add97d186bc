"""``hotmesh-temporal quorum``: which processes use a database, and how fast they hand out tasks."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click
import msgspec

from hotmesh_temporal.connection import InvalidConnection
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.embedded import new_event_loop
from hotmesh_temporal.quorum import (
    MAX_THROTTLE_MS,
    PAUSED,
    ActivationRefused,
    EngineProfile,
    QueueKind,
    QueueProfile,
    Quorum,
    Rate,
    RollCall,
)

from .options import connection_of, connection_options

_Command = TypeVar("_Command", bound=Callable[..., object])
_T = TypeVar("_T")


@click.group()
def quorum() -> None:
    """See which processes use a database, and slow down or pause their task queues.

    Every process that has connected to the database is an engine: workers, clients, hotmesh-temporal server. They
    answer a roll call with what they are and which queues their workers poll. Rates are stored, so engines that start
    later honour them too; those that run are told at once. This command is no engine itself.

    \b
    Examples:
        hotmesh-temporal quorum roll-call --connection postgresql://localhost/orders
        hotmesh-temporal quorum pause --task-queue orders
        hotmesh-temporal quorum throttle 200 --task-queue orders --kind activity
        hotmesh-temporal quorum resume --task-queue orders
    """


def _options(command: _Command) -> _Command:
    """What every command of the group has."""
    wait = click.option(
        "--wait", type=click.FloatRange(0.05, 60), default=1.0, show_default=True, help="Seconds to wait for answers."
    )
    return connection_options(wait(command))


def _queue_options(command: _Command) -> _Command:
    """Of which queue, or which engine."""
    for option in (
        click.option("--engine", "engine_id", metavar="ID", help="Only this engine, until it ends; nothing is stored."),
        click.option("--kind", type=click.Choice(["workflow", "activity"]), help="Only these tasks of the queue."),
        click.option("--namespace", default="default", show_default=True, help="The namespace of the queue."),
        click.option("--task-queue", metavar="NAME", help="The queue; without it all queues of all namespaces."),
    ):
        command = option(command)
    return command


def _on_quorum(work: Callable[[Quorum], Awaitable[_T]], services: dict[str, str | None]) -> _T:
    """What ``work`` gives on the database of the options; errors of the user's become messages."""

    async def run() -> _T:
        async with await Quorum.connect(connection_of(**services)) as connected:
            return await work(connected)

    loop = new_event_loop()
    try:
        return loop.run_until_complete(run())
    except (InvalidConnection, ContractError, ActivationRefused, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        loop.close()


# -- roll call --------------------------------------------------------------------------------------------------------


@quorum.command("roll-call")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_options
def roll_call(as_json: bool, wait: float, **services: str | None) -> None:
    """List the engines of a database, the queues that their workers poll, and how much waits there.

    Per queue: which tasks (workflow or activity), how many requests wait for one (polls) and of which workers, how many
    tasks are in it (depth), and its rate if it has one.
    """
    called, rates = _on_quorum(functools.partial(_call, wait=wait), services)
    if as_json:
        click.echo(json.dumps(_as_json(called, rates), indent=2))
        return
    for line in _lines(called, rates):
        click.echo(line)


async def _call(connected: Quorum, wait: float) -> tuple[RollCall, Sequence[Rate]]:
    return await connected.roll_call(wait=wait), await connected.rates()


def _as_json(called: RollCall, rates: Sequence[Rate]) -> dict[str, Any]:
    engines = [msgspec.to_builtins(engine) for engine in called.engines]
    for engine in engines:
        for queue in engine["queues"]:
            queue["depth"] = called.depths[queue["stream"]]
    return {"engines": engines, "rates": [msgspec.to_builtins(rate) for rate in rates]}


def _lines(called: RollCall, rates: Sequence[Rate]) -> Iterator[str]:
    """The roll call for people."""
    for engine in called.engines:
        since = datetime.fromtimestamp(engine.started_at_ms / 1000).strftime("%Y-%m-%d %H:%M:%S")
        yield f"{engine.host}, process {engine.pid}, since {since}, hotmesh-temporal {engine.version}"
        yield f"    engine {engine.engine_id}, engine version {engine.app_version}"
        for queue in engine.queues:
            yield f"    {_queue(queue, called.depths[queue.stream])}"
    yield f"{len(called.engines)} engines" if len(called.engines) != 1 else "1 engine"
    for rate in rates:
        yield f"stored: {_stored(rate)}"


def _queue(queue: QueueProfile, depth: int) -> str:
    sticky = " (sticky)" if queue.sticky else ""
    speed = f", {_speed(queue.throttle)}" if queue.throttle else ""
    pollers = ", ".join(queue.pollers)
    return (
        f"{queue.kind:8}  {queue.namespace}/{queue.name}{sticky}: {queue.polls} polls of {pollers}; "
        f"depth {depth}{speed}"
    )


def _stored(rate: Rate) -> str:
    if not rate.name:
        return f"all queues {_speed(rate.throttle)}"
    return f"{rate.kind} tasks of {rate.namespace}/{rate.name} {_speed(rate.throttle)}"


def _speed(throttle: int) -> str:
    if throttle == PAUSED:
        return "paused"
    return f"one task per {throttle} ms and process" if throttle else "at full speed"


# -- rates ------------------------------------------------------------------------------------------------------------


@quorum.command()
@click.argument("milliseconds", type=click.IntRange(0, MAX_THROTTLE_MS))
@_queue_options
@_options
def throttle(milliseconds: int, **options: Any) -> None:
    """Let at least MILLISECONDS pass between two tasks of a queue that one process hands out.

    Other processes hand out theirs at the same pace. 0 takes the limit away. A queue's own rate counts more than that
    of all queues; a new rate of all queues replaces those of single ones. Timeouts of tasks that wait go on.
    """
    _set_rate(milliseconds, options)


@quorum.command()
@_queue_options
@_options
def pause(**options: Any) -> None:
    """Hand out no task of a queue until it is resumed; without --task-queue of no queue at all.

    Tasks under way go on, new ones wait in the queue; clients may start and signal workflows, timers fire, queries find
    no worker. Timeouts of tasks that wait go on. Engines that start later pause the queue too.
    """
    _set_rate(PAUSED, options)


@quorum.command()
@_queue_options
@_options
def resume(**options: Any) -> None:
    """Hand out tasks of a queue at full speed again; without --task-queue of all queues.

    A queue that is resumed by name goes on even if all queues are paused.
    """
    _set_rate(0, options)


def _set_rate(milliseconds: int, options: dict[str, Any]) -> None:
    queue: str | None = options.pop("task_queue")
    namespace: str = options.pop("namespace")
    kind: QueueKind | None = options.pop("kind")
    engine_id: str | None = options.pop("engine_id")
    wait: float = options.pop("wait")
    engines = _on_quorum(
        lambda connected: connected.throttle(
            milliseconds, queue, namespace=namespace, kind=kind, engine_id=engine_id, wait=wait
        ),
        options,
    )
    if engine_id and not engines:
        raise click.ClickException(f"no engine {engine_id} answers; hotmesh-temporal quorum roll-call lists them")
    place = f"{kind or 'all'} tasks of {namespace}/{queue}" if queue else "all queues"
    click.echo(f"{place}: {_speed(milliseconds)}; {_who(engines)}")


def _who(engines: Sequence[EngineProfile]) -> str:
    if not engines:
        return "no engine answers now, those that start will know"
    names = ", ".join(f"process {each.pid} on {each.host}" for each in engines)
    return f"{names} {'obeys' if len(engines) == 1 else 'obey'}"


# -- version ----------------------------------------------------------------------------------------------------------


@quorum.command()
@click.argument("version")
@_options
def activate(version: str, wait: float, **services: str | None) -> None:
    """Let the engines use the engine version VERSION, if all of them know it.

    An engine version is a form of what is stored, and changes seldom; roll-call shows the active one. Install the new
    package everywhere first, then activate. Afterwards packages that do not know the version refuse the database.
    """
    engines = _on_quorum(lambda connected: connected.activate(version, wait=wait), services)
    click.echo(f"engine version {version} is active; {_who(engines)}")
