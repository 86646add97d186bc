"""A recipe is data; one workflow can cook all of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "dsl"


@dataclass
class Step:
    """One of: an activity with the names of its inputs and of its result, a sequence, steps at the same time."""

    do: str = ""
    takes: list[str] = field(default_factory=list[str])
    gives: str = ""
    sequence: list["Step"] = field(default_factory=list["Step"])
    parallel: list["Step"] = field(default_factory=list["Step"])


@dataclass
class Recipe:
    """What there is at first, and what is done with it."""

    pantry: dict[str, str]
    step: Step


@activity.defn(dynamic=True)
async def cook(things: Sequence[RawValue]) -> str:
    """Does whatever it is called."""
    converter = activity.payload_converter()
    names = [converter.from_payload(thing.payload, str) for thing in things]
    return f"{activity.info().activity_type}({', '.join(names)})"


@workflow.defn
class RecipeWorkflow:
    """The interpreter."""

    @workflow.run
    async def run(self, recipe: Recipe) -> dict[str, str]:
        self.pantry = recipe.pantry
        await self._do(recipe.step)
        return self.pantry

    async def _do(self, step: Step) -> None:
        if step.do:
            things = [self.pantry[name] for name in step.takes]
            result = await workflow.execute_activity(
                step.do, args=things, result_type=str, start_to_close_timeout=timedelta(seconds=60)
            )
            if step.gives:
                self.pantry[step.gives] = result
        for each in step.sequence:
            await self._do(each)
        await asyncio.gather(*(self._do(each) for each in step.parallel))


PANCAKES = Recipe(
    {"flour": "flour", "milk": "milk", "apple": "apple"},
    Step(
        sequence=[
            Step(parallel=[Step("mix", ["flour", "milk"], "dough"), Step("slice", ["apple"], "slices")]),
            Step("bake", ["dough", "slices"], "pancake"),
            Step("wash", ["dough"]),
        ]
    ),
)


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[RecipeWorkflow], activities=[cook]):
        done = await client.execute_workflow(RecipeWorkflow.run, PANCAKES, id="dsl", task_queue=QUEUE)
        for name in sorted(done):
            print(name, "=", done[name])


if __name__ == "__main__":
    asyncio.run(main())
