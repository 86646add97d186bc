"""Which activities run is decided by the input, item by item."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-activity-choice"


class Craft(IntEnum):
    """Who can do it."""

    TAILOR = 1
    SMITH = 2


@dataclass
class Task:
    """Something to be done."""

    craft: Craft
    pieces: int


@activity.defn
async def sew(pieces: int) -> str:
    """Work of the tailor."""
    return f"{pieces} shirts"


@activity.defn
async def forge(pieces: int) -> str:
    """Work of the smith."""
    return f"{pieces} nails"


@workflow.defn
class WorkshopWorkflow:
    """Does one task after the other."""

    @workflow.run
    async def run(self, tasks: list[Task]) -> list[str]:
        done: list[str] = []
        for task in tasks:
            chosen = sew if task.craft is Craft.TAILOR else forge
            done.append(
                await workflow.execute_activity(chosen, task.pieces, start_to_close_timeout=timedelta(seconds=30))
            )
        return done


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    tasks = [Task(Craft.SMITH, 100), Task(Craft.TAILOR, 2), Task(Craft.SMITH, 7)]
    async with Worker(client, task_queue=QUEUE, workflows=[WorkshopWorkflow], activities=[sew, forge]):
        print(await client.execute_workflow(WorkshopWorkflow.run, tasks, id="hello-choice", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
