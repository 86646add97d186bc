"""Search attributes at the start, changed by the workflow, in a description and in a list."""

import asyncio

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-search-attributes"
COLOR = SearchAttributeKey.for_keyword("CustomKeywordField")
SIZE = SearchAttributeKey.for_int("CustomIntField")


@workflow.defn
class ShirtWorkflow:
    """Is dyed when it is told to."""

    def __init__(self) -> None:
        self.color = ""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.color != "")
        workflow.upsert_search_attributes([COLOR.value_set(self.color), SIZE.value_unset()])

    @workflow.signal
    def dye(self, color: str) -> None:
        """Give it another color."""
        self.color = color

    @workflow.query
    def dry(self) -> bool:
        """Whether it can be worn."""
        return True


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[ShirtWorkflow]):
        first = TypedSearchAttributes([SearchAttributePair(COLOR, "white"), SearchAttributePair(SIZE, 42)])
        shirt = await client.start_workflow(
            ShirtWorkflow.run, id="hello-search-attributes", task_queue=QUEUE, search_attributes=first
        )
        await shirt.query(ShirtWorkflow.dry)
        attributes = (await shirt.describe()).typed_search_attributes
        print(attributes.get(COLOR), attributes.get(SIZE))
        await shirt.signal(ShirtWorkflow.dye, "indigo")
        await shirt.result()
        attributes = (await shirt.describe()).typed_search_attributes
        print(attributes.get(COLOR), attributes.get(SIZE))
        while not (found := [each.id async for each in client.list_workflows("CustomKeywordField = 'indigo'")]):
            await asyncio.sleep(0.1)
        print(found)


if __name__ == "__main__":
    asyncio.run(main())
