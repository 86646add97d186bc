"""Nothing here passes the tenant on, and yet everybody knows it."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from tenant import Tenants, tenant

QUEUE = "context-propagation"


@activity.defn
async def serve() -> str:
    """For whom?"""
    return f"served {tenant.get()}"


@workflow.defn
class TableWorkflow:
    """A table in a restaurant."""

    def __init__(self) -> None:
        self.asked_by: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: bool(self.asked_by))
        served = await workflow.execute_activity(serve, start_to_close_timeout=timedelta(seconds=30))
        return [f"opened by {tenant.get()}", f"asked for by {self.asked_by}", served]

    @workflow.signal
    def ask(self) -> None:
        """Somebody wants the menu."""
        self.asked_by.append(tenant.get())

    @workflow.query
    def is_set(self) -> bool:
        """Whether the table is ready."""
        return True


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    config = client.config()
    config["interceptors"] = [Tenants()]
    client = Client(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[TableWorkflow], activities=[serve]):
        tenant.set("Ada")
        table = await client.start_workflow(TableWorkflow.run, id="table", task_queue=QUEUE)
        await table.query(TableWorkflow.is_set)
        tenant.set("Bo")
        await table.signal(TableWorkflow.ask)
        for line in await table.result():
            print(line)


if __name__ == "__main__":
    asyncio.run(main())
