"""Some workflows, and then their histories with the same code and with another."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.envconfig import ClientConfig
from temporalio.worker import Replayer, Worker

QUEUE = "replay"


@activity.defn
async def taste(dish: str) -> str:
    """An opinion."""
    return f"good {dish}"


@workflow.defn(name="Meal")
class MealWorkflow:
    """One activity."""

    @workflow.run
    async def run(self, dish: str) -> str:
        return await workflow.execute_activity(taste, dish, start_to_close_timeout=timedelta(seconds=30))


@workflow.defn(name="Meal")
class HastyMealWorkflow:
    """Somebody forgot the runs that had begun."""

    @workflow.run
    async def run(self, dish: str) -> str:
        await workflow.sleep(timedelta(seconds=1))
        return dish


async def main() -> None:
    """Run, then replay."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[MealWorkflow], activities=[taste]):
        for number, dish in enumerate(("soup", "fish", "cake")):
            handle = client.execute_workflow(MealWorkflow.run, dish, id=f"meal-{number}", task_queue=QUEUE)
            print(await handle)
    while len([each async for each in client.list_workflows("WorkflowType = 'Meal'")]) < 3:
        await asyncio.sleep(0.1)

    histories = client.list_workflows("WorkflowType = 'Meal'").map_histories()
    results = await Replayer(workflows=[MealWorkflow]).replay_workflows(histories)
    print("replayed without an error:", not results.replay_failures)

    exported = (await client.get_workflow_handle("meal-1").fetch_history()).to_json()
    again = WorkflowHistory.from_json("meal-1", exported)
    result = await Replayer(workflows=[HastyMealWorkflow]).replay_workflow(again, raise_on_replay_failure=False)
    print("with other code:", type(result.replay_failure).__name__)


if __name__ == "__main__":
    asyncio.run(main())
