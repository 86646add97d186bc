"""A worker in a program that gevent has patched."""

# ruff: noqa: E402  gevent must patch before anything else is imported
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import asyncio
import signal
from collections.abc import Callable

import gevent
from greetings import QUEUE, Greetings, greet, greet_slowly
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker
from threads import RealThreads


async def work(stop: asyncio.Event) -> None:
    """Work until told to stop."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    with RealThreads(20) as threads:
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[Greetings],
            activities=[greet, greet_slowly],
            activity_executor=threads,
            workflow_task_executor=threads,
            max_concurrent_activities=10,
            max_concurrent_workflow_tasks=10,
        ):
            print("ready", flush=True)
            await stop.wait()


async def work_until_interrupted(stop_soon: list[Callable[[], object]]) -> None:
    """Work in this thread's loop; the main greenlet can end it by what it finds in the list."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    stop_soon.append(lambda: loop.call_soon_threadsafe(stop.set))
    await work(stop)


def main() -> None:
    """The main greenlet waits for a real thread that runs asyncio."""
    stop_soon: list[Callable[[], object]] = []
    gevent.signal_handler(signal.SIGINT, lambda: [stop() for stop in stop_soon])
    with RealThreads(1) as thread:
        done = thread.submit(asyncio.run, work_until_interrupted(stop_soon))
        while not done.done():
            gevent.sleep(0.05)
        done.result()


if __name__ == "__main__":
    main()
