"""Serves activities only."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker


@activity.defn(name="say-hello")
def greet(name: str) -> str:
    """A greeting."""
    return f"Good evening, {name}."


@activity.defn(dynamic=True)
async def anything_else(args: Sequence[RawValue]) -> str:
    """Whatever has no activity of its own."""
    del args
    return f"nobody knows how to {activity.info().activity_type}"


async def main() -> None:
    """Serve them until Ctrl-C."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(
        client,
        task_queue="activities-of-another-team",
        activities=[greet, anything_else],
        activity_executor=ThreadPoolExecutor(2),
    ):
        print("ready")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
