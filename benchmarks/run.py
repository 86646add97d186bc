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
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import counting
from benchmarks.table import Measured, show
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
    """One of the two that are compared."""

    name: str
    package: str
    target: str
    server_pid: int | None = None
    count: str = ""


@click.command()
@click.option("--database", type=click.Choice(["postgres", "redis", "sqlite"]), default="postgres", show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=2, show_default=True, help="Turns of each side and mode.")
@click.option("--workflows", type=click.IntRange(10), default=400, show_default=True, help="For the throughput.")
@click.option("--quick", is_flag=True, help="One round of 100 workflows, nothing that has to be waited for.")
@click.option(
    "--json", "output", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Write the values to."
)
def main(database: str, rounds: int, workflows: int, quick: bool, output: Path | None) -> None:
    """Measure beside the real Temporal dev server, which runs with its in-memory database."""
    if quick:
        rounds, workflows = 1, 100
    with tempfile.TemporaryDirectory(prefix="hotmesh-bench-") as folder, servers(database, folder) as sides:
        runs = measure(sides, rounds, workflows)
        extra = {"first_result_s": statistics.median(first_result() for _ in range(3))}
        ours = next(side for side in sides if side.name == "ours")
        if ours.count and not quick:
            console.print("idling")
            extra |= process(ours, sandbox=False, arguments=["--idle", str(_IDLE_SECONDS)])
            console.print("a long history")
            extra |= process(ours, sandbox=False, arguments=["--long-history", str(_LONG_HISTORY)])
    measured = Measured(
        **{
            f"{side}{'_sandbox' if sandbox else ''}": medians(runs[side, sandbox])
            for side in ("ours", "theirs")
            for sandbox in (False, True)
        },
        extra=extra,
    )
    show(measured, f"{database}, {os.cpu_count()} cores, Python {platform.python_version()}")
    if output is not None:
        output.write_text(json.dumps(asdict(measured), indent=2) + "\n")


@contextmanager
def servers(database: str, folder: str) -> Generator[Sequence[Side], None, None]:
    """The real server and a database that survives a power cut."""
    temporal = TemporalServer()
    asyncio.run(temporal.start())
    theirs = Side("theirs", "temporalio", temporal.address, temporal.pid)
    try:
        if database == "sqlite":
            yield theirs, Side("ours", "hotmesh_temporal", f"sqlite:///{folder}/bench.sqlite3")
            return
        if database == "redis":
            with RedisServer() as server:
                yield theirs, Side("ours", "hotmesh_temporal", server.url, server.pid)
            return
        with PostgresServer(durable=True, settings=counting.SETTINGS) as server:
            dsn = server.new_database()
            asyncio.run(counting.prepare(dsn))
            yield theirs, Side("ours", "hotmesh_temporal", dsn, server.pid, dsn)
    finally:
        temporal.stop()


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


def process(side: Side, *, sandbox: bool, arguments: Sequence[str]) -> dict[str, float]:
    """Run one measured process to its end."""
    command = [sys.executable, "-m", "benchmarks.process", side.target, *arguments]
    command += ["--sandbox"] if sandbox else []
    command += ["--server-pid", str(side.server_pid)] if side.server_pid is not None else []
    command += ["--count", side.count] if side.count else []
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
