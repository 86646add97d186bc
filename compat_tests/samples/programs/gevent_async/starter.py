"""A client in a program that gevent has patched."""

# ruff: noqa: E402  gevent must patch before anything else is imported
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import asyncio

import gevent
from greetings import QUEUE, Greetings
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from threads import RealThreads


async def start() -> list[str]:
    """Run a workflow."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    return await client.execute_workflow(Greetings.run, "Ada", id="greetings", task_queue=QUEUE)


def main() -> None:
    """The main greenlet waits for a real thread that runs asyncio."""
    with RealThreads(1) as thread:
        done = thread.submit(asyncio.run, start())
        while not done.done():
            gevent.sleep(0.05)
        print("\n".join(done.result()))


if __name__ == "__main__":
    main()
