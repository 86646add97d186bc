"""Two processes for workflows and one for activities, forked from this one."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
from multiprocessing.context import ForkProcess

from tasks import ACTIVITIES, WORKFLOWS, WhereAmI, process_of_activity
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker

# A runtime has threads, which a fork would not take along: each process makes its own.
Runtime.prevent_default()


async def work(kind: str) -> None:
    """Be one of the workers until interrupted."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    if kind == "workflows":
        worker = Worker(
            client,
            task_queue=WORKFLOWS,
            workflows=[WhereAmI],
            max_concurrent_workflow_tasks=2,
            workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
        )
    else:
        worker = Worker(client, task_queue=ACTIVITIES, activities=[process_of_activity])
    async with worker:
        print(f"{kind}: working", flush=True)
        await stop.wait()


def begin(kind: str) -> None:
    """The first function of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig()))
    asyncio.run(work(kind))


def main() -> None:
    """Start the processes, and stop them when interrupted."""
    fork = multiprocessing.get_context("fork")
    processes: list[ForkProcess] = [
        fork.Process(target=begin, args=("workflows",), name=f"workflows {number}") for number in (1, 2)
    ]
    processes.append(fork.Process(target=begin, args=("activities",), name="activities"))
    for process in processes:
        process.start()
    print("ready", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit(f"exit codes {[process.exitcode for process in processes]}")


if __name__ == "__main__":
    main()
