"""One measured process: client and worker in one, on one side and in one mode. Prints one JSON object.

BENCH_PACKAGE=hotmesh_temporal python -m benchmarks.process '{"store": URL}' --server-pid PID
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from benchmarks.counting import Counts, Meter, SqliteMeter, counting
from benchmarks.measuring import quantile, timed, tree_cpu
from benchmarks.workloads import ACTIVITIES, PACKAGE, WORKFLOWS, Counter, FanOut, Hello, InSequence

Results = dict[str, float]


class Bench:
    """The measurements on one client."""

    def __init__(self, client: Client, queue: str, options: argparse.Namespace) -> None:
        self._client = client
        self._queue = queue
        self._options = options
        self.results: Results = {}

    def execute(self, method: Callable[..., Any], argument: object) -> Callable[[], Awaitable[object]]:
        """A call that runs one workflow to its end."""
        options: dict[str, Any] = {"task_queue": self._queue}
        return lambda: self._client.execute_workflow(method, argument, id=uuid.uuid4().hex, **options)

    async def measure(self) -> Results:
        """Everything that needs the worker."""
        await self._latency()
        await self._throughput()
        self.results["sequence_10_ms"] = statistics.median(await timed(3, self.execute(InSequence.run, 10)))
        self.results["fan_out_50_ms"] = statistics.median(await timed(3, self.execute(FanOut.run, 50)))
        await self._messages()
        if self._options.count:
            async with counting(self._options.count) as meters:
                await self._costs(meters)
        return self.results

    async def _latency(self) -> None:
        await timed(5, self.execute(Hello.run, "warm"))
        spent = await timed(40, self.execute(Hello.run, "a"))
        self.results["hello_ms_p50"], self.results["hello_ms_p95"] = quantile(spent, 0.5), quantile(spent, 0.95)

    async def _throughput(self) -> None:
        options, gate = self._options, asyncio.Semaphore(self._options.concurrency)

        async def one() -> None:
            async with gate:
                await self.execute(Hello.run, "a")()

        number: int = options.workflows
        app, server, begin = time.process_time(), tree_cpu(options.server_pid), time.perf_counter()
        await asyncio.gather(*(one() for _ in range(number)))
        self.results["hello_per_s"] = number / (time.perf_counter() - begin)
        self.results["app_cpu_ms"] = (time.process_time() - app) / number * 1000
        self.results["server_cpu_ms"] = (tree_cpu(options.server_pid) - server) / number * 1000

    async def _costs(self, meters: Mapping[str, Meter]) -> None:
        """What a workflow with one activity asks of database and broker, and each further activity; one at a time."""
        hello = await _spent(meters, 40, self.execute(Hello.run, "a"))
        sequence = await _spent(meters, 4, self.execute(InSequence.run, 11))
        for (name, one), eleven in zip(hello.items(), sequence.values(), strict=True):
            if name.startswith("http"):
                self.results["messages_per_hello"] = one.requests / 40
            else:
                self.results["round_trips_per_hello"] = one.requests / 40
                self.results["commits_per_hello"] = one.commits / 40
                self.results["commits_per_activity"] = (eleven.commits / 4 - one.commits / 40) / 10

    async def _messages(self) -> None:
        handle = await self._client.start_workflow(Counter.run, 10**9, id=uuid.uuid4().hex, task_queue=self._queue)
        await handle.query(Counter.get)
        self.results["query_ms_p50"] = quantile(await timed(30, partial(handle.query, Counter.get)), 0.5)
        self.results["signal_ms_p50"] = quantile(await timed(100, partial(handle.signal, Counter.add, 1)), 0.5)
        await self._update(handle)
        await handle.terminate()

    async def _update(self, handle: Any) -> None:
        """Left out where the service has no updates yet."""
        try:
            spent = await timed(30, partial(handle.execute_update, Counter.add_and_get, 1))
        except RPCError as error:
            if error.status != RPCStatusCode.UNIMPLEMENTED:
                raise
        else:
            self.results["update_ms_p50"] = quantile(spent, 0.5)

    async def floor(self, runner: WorkflowRunner) -> None:
        """CPU that the SDK alone takes for one hello workflow: replaying its history."""
        handle = await self._client.start_workflow(Hello.run, "a", id=uuid.uuid4().hex, task_queue=self._queue)
        await handle.result()
        history, replayer, times = await handle.fetch_history(), Replayer(workflows=[Hello], workflow_runner=runner), 40
        await replayer.replay_workflow(history)
        begin = time.process_time()
        for _ in range(times):
            await replayer.replay_workflow(history)
        self.results["sdk_cpu_ms"] = (time.process_time() - begin) / times * 1000

    async def idle(self, seconds: float) -> None:
        """What a client with an idle worker asks per minute, once its pauses have grown."""
        await asyncio.sleep(40)
        async with counting(self._options.count) as meters:
            for name, spent in (await _spent(meters, 1, partial(asyncio.sleep, seconds))).items():
                kind = "messages" if name.startswith("http") else "statements"
                self.results[f"idle_{kind}_per_minute"] = spent.requests / seconds * 60

    async def long_history(self, events: int) -> None:
        """Milliseconds of a step (a signal, and a query that sees it) at the beginning of a history and after many."""
        handle = await self._client.start_workflow(Counter.run, 10**9, id=uuid.uuid4().hex, task_queue=self._queue)

        async def step() -> None:
            await handle.signal(Counter.add, 1)
            await handle.query(Counter.get)

        await timed(10, step)
        short = statistics.median(await timed(30, step))
        while (length := (await handle.describe()).history_length) < events:
            await asyncio.gather(*(handle.signal(Counter.add, 1) for _ in range(min(500, events - length))))
        self.results["long_history_factor"] = statistics.median(await timed(30, step)) / short
        await handle.terminate()


async def _spent(meters: Mapping[str, Meter], times: int, call: Callable[[], Awaitable[object]]) -> dict[str, Counts]:
    """What some calls, one after the other, asked of each server."""
    before = {name: await meter.count() for name, meter in meters.items()}
    await timed(times, call)
    return {name: (await meter.count()).since(before[name]) for name, meter in meters.items()}


async def connect(target: str) -> Client:
    """A client of the package that is measured."""
    client_type: Any = importlib.import_module(PACKAGE + ".client").Client
    if PACKAGE == "temporalio":
        return await client_type.connect(target)
    return await client_type.connect(connections=json.loads(target))


async def run(options: argparse.Namespace) -> Results:
    """All measurements of this process."""
    queue = "bench-" + uuid.uuid4().hex[:8]
    runner = SandboxedWorkflowRunner() if options.sandbox else UnsandboxedWorkflowRunner()
    if any(url.startswith("sqlite") for url in options.count):
        SqliteMeter.install()
    client = await connect(options.target)
    bench = Bench(client, queue, options)
    worker = Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        max_concurrent_activities=100,
        workflow_runner=runner,
    )
    async with worker:
        if options.idle:
            await bench.idle(options.idle)
        elif options.long_history:
            await bench.long_history(options.long_history)
        else:
            await bench.measure()
            await bench.floor(runner)
    return bench.results


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", help="an address, or databases by service as JSON")
    parser.add_argument("--workflows", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=40)
    parser.add_argument("--sandbox", action="store_true")
    parser.add_argument("--server-pid", type=int, action="append", default=[])
    parser.add_argument(
        "--count", metavar="URL", action="append", default=[], help="count what is asked of this server"
    )
    parser.add_argument("--idle", type=float, default=0.0, metavar="SECONDS", help="measure only idling")
    parser.add_argument("--long-history", type=int, default=0, metavar="EVENTS", help="measure only a long history")
    results = asyncio.run(run(parser.parse_args()))
    print(json.dumps({name: round(value, 3) for name, value in results.items()}))
    sys.stdout.flush()
    # The rest of the shutdown is not measured and need not be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
