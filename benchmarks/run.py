"""Start the servers, run the measurements in turn, print the table."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks.counting import POSTGRES_SETTINGS
from benchmarks.table import TEMPORAL, Measured, show
from tests.support.nats_server import NatsServer
from tests.support.ports import free_port
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.temporal_server import TemporalServer

_ROOT = Path(__file__).parent.parent
_TIMEOUT_SECONDS = 600
_IDLE_SECONDS = 60
_LONG_HISTORY = 10_000

console = Console(stderr=True, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Side:
    """One of those that are compared."""

    name: str
    package: str
    target: str
    server_pids: Sequence[int] = ()
    counted: Sequence[str] = ()


DATABASES = ("sqlite", "postgres", "redis", "postgres+nats")


@click.command()
@click.option(
    "--database",
    "databases",
    type=click.Choice(DATABASES),
    multiple=True,
    help="Only these.  [default: all, side by side]",
)
@click.option("--rounds", type=click.IntRange(1), default=2, show_default=True, help="Turns of each side and mode.")
@click.option("--workflows", type=click.IntRange(10), default=400, show_default=True, help="For the throughput.")
@click.option("--quick", is_flag=True, help="One round of 100 workflows, nothing that has to be waited for.")
@click.option(
    "--json", "output", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Write the values to."
)
def main(databases: Sequence[str], rounds: int, workflows: int, quick: bool, output: Path | None) -> None:
    """Measure beside the real Temporal dev server, which runs with its in-memory database."""
    if quick:
        rounds, workflows = 1, 100
    with ExitStack() as stack:
        ours = [stack.enter_context(SERVERS[name]()) for name in databases or DATABASES]
        theirs = stack.enter_context(temporal())
        runs = measure([theirs, *ours], rounds, workflows)
        extra = {side.name: {} if quick else unhurried(side) for side in ours}
        if not quick:
            for name, values in idle(ours).items():
                extra[name] |= values
    start = statistics.median(first_result() for _ in range(3))
    measured = {
        side.name: Measured(medians(runs[side.name, False]), medians(runs[side.name, True]), extra.get(side.name, {}))
        for side in (theirs, *ours)
    }
    show(measured, start, f"{os.cpu_count()} cores, Python {platform.python_version()}")
    if output is not None:
        output.write_text(json.dumps({name: asdict(values) for name, values in measured.items()}, indent=2) + "\n")


@contextmanager
def temporal() -> Generator[Side, None, None]:
    """The real server."""
    server = TemporalServer()
    asyncio.run(server.start())
    try:
        yield Side(TEMPORAL, "temporalio", server.address, [server.pid])
    finally:
        server.stop()


@contextmanager
def sqlite() -> Generator[Side, None, None]:
    """A file."""
    with tempfile.TemporaryDirectory(prefix="hotmesh-bench-") as folder:
        yield _side("sqlite", {"store": f"sqlite:///{folder}/bench.sqlite3"}, [])


@contextmanager
def postgres() -> Generator[Side, None, None]:
    """A server that survives a power cut."""
    with PostgresServer(durable=True, settings=POSTGRES_SETTINGS) as server:
        yield _side("postgres", {"store": server.new_database()}, [server.pid])


@contextmanager
def redis() -> Generator[Side, None, None]:
    """A Valkey server that syncs every write."""
    with RedisServer() as server:
        yield _side("redis", {"store": server.url}, [server.pid])


@contextmanager
def postgres_and_nats() -> Generator[Side, None, None]:
    """The same, with streams and notices on a broker."""
    port = free_port()
    nats = NatsServer(arguments=["-m", str(port)]).start()
    try:
        with postgres() as side:
            services = {**json.loads(side.target), "stream": nats.url, "sub": nats.url}
            yield _side("postgres+nats", services, [*side.server_pids, nats.pid], f"http://127.0.0.1:{port}")
    finally:
        nats.stop()


SERVERS: Mapping[str, Callable[[], AbstractContextManager[Side]]] = {
    "sqlite": sqlite,
    "postgres": postgres,
    "redis": redis,
    "postgres+nats": postgres_and_nats,
}


def _side(name: str, services: Mapping[str, str], pids: Sequence[int], *monitors: str) -> Side:
    return Side(name, "hotmesh_temporal", json.dumps(services), pids, [services["store"], *monitors])


Runs = Mapping[tuple[str, bool], Sequence[Mapping[str, float]]]


def measure(sides: Sequence[Side], rounds: int, workflows: int) -> Runs:
    """Both sides in turn, with the sandbox and without."""
    runs: dict[tuple[str, bool], list[Mapping[str, float]]] = defaultdict(list)
    for number in range(rounds):
        for sandbox in (False, True):
            for side in sides:
                results = process(side, sandbox=sandbox, arguments=["--workflows", str(workflows)])
                mode = "sandbox" if sandbox else "no sandbox"
                console.print(f"round {number + 1}, {mode}, {side.name}: {results}")
                runs[side.name, sandbox].append(results)
    return runs


def unhurried(side: Side) -> dict[str, float]:
    """What a long history costs."""
    console.print(f"{side.name}: a long history")
    return process(side, sandbox=False, arguments=["--long-history", str(_LONG_HISTORY)])


def idle(sides: Sequence[Side]) -> dict[str, dict[str, float]]:
    """All sides idle at the same time."""
    console.print("idling")
    with ThreadPoolExecutor(len(sides)) as threads:
        arguments = ["--idle", str(_IDLE_SECONDS)]
        running = {side.name: threads.submit(process, side, sandbox=False, arguments=arguments) for side in sides}
        return {name: each.result() for name, each in running.items()}


def process(side: Side, *, sandbox: bool, arguments: Sequence[str]) -> dict[str, float]:
    """Run one measured process to its end."""
    command = [sys.executable, "-m", "benchmarks.process", side.target, *arguments]
    command += ["--sandbox"] if sandbox else []
    command += [word for pid in side.server_pids for word in ("--server-pid", str(pid))]
    command += [word for url in side.counted for word in ("--count", url)]
    environment = {**os.environ, "BENCH_PACKAGE": side.package}
    done = subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
    )
    if done.returncode != 0:
        raise click.ClickException(f"{side.name} failed:\n{done.stderr[-3000:]}")
    results: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return results


def first_result() -> float:
    """Seconds from the start of the interpreter to the result, in an empty folder."""
    with tempfile.TemporaryDirectory(prefix="hotmesh-bench-") as folder:
        environment: dict[str, Any] = {**os.environ, "BENCH_PACKAGE": "hotmesh_temporal", "PYTHONPATH": str(_ROOT)}
        environment.pop("HOTMESH_CONNECTION", None)
        command = [sys.executable, "-m", "benchmarks.first_result"]
        begin = time.perf_counter()
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            line = running.stdout.readline()
            spent = time.perf_counter() - begin
        if running.returncode != 0 or line != "hi World\n":
            raise click.ClickException(f"the embedded default failed: {line!r}")
    return spent


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each value that every run has."""
    names = set(runs[0]).intersection(*runs)
    return {name: statistics.median(run[name] for run in runs) for name in sorted(names)}
