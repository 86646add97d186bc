"""A question goes from the desk to the guide, who asks the thermometer."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from agents import set_tracing_disabled  # pyright: ignore[reportMissingImports]  # extra "agents"
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin  # pyright: ignore[reportMissingImports]  # extra "agents"
from temporalio.openai_agents.testing import ResponseBuilders, TestModel, TestModelProvider  # pyright: ignore[reportMissingImports]  # extra "agents"
from temporalio.worker import Worker
from travel import Travel, temperature

QUEUE = "openai-agents"


async def main() -> None:
    """The model's three answers are made up."""
    set_tracing_disabled(True)
    model = TestModel.returning_responses(
        [
            ResponseBuilders.tool_call("{}", "transfer_to_guide", call_id="call-1"),
            ResponseBuilders.tool_call('{"city": "Lisbon"}', "temperature", call_id="call-2"),
            ResponseBuilders.output_message("Take a light jacket."),
        ]
    )
    plugin = OpenAIAgentsPlugin(
        model_params=ModelActivityParameters(start_to_close_timeout=timedelta(seconds=30)),
        model_provider=TestModelProvider(model),
    )
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, plugins=[plugin])
    async with Worker(client, task_queue=QUEUE, workflows=[Travel], activities=[temperature]):
        question = "What shall I wear in Lisbon?"
        travel = await client.start_workflow(Travel.run, question, id="travel", task_queue=QUEUE)
        print(await travel.result())
        async for event in travel.fetch_history_events():
            if event.HasField("activity_task_scheduled_event_attributes"):
                print("activity:", event.activity_task_scheduled_event_attributes.activity_type.name)


if __name__ == "__main__":
    asyncio.run(main())
