"""A workflow that hosts a stream of what happens in a kitchen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.contrib.workflow_streams import WorkflowStream, WorkflowStreamClient, WorkflowStreamState

QUEUE = "workflow-streams"


@dataclass
class Shift:
    """What a run begins with."""

    number: int = 1
    stream: WorkflowStreamState | None = None


@activity.defn
async def cook(dish: str) -> str:
    """Tells the stream how far it is, batched into one signal."""
    client = WorkflowStreamClient.from_within_activity()
    async with client:
        steps = client.topic("steps", type=str)
        for step in ("cut", "fried"):
            steps.publish(f"{dish}: {step}")
    return f"{dish} with salt"


@workflow.defn
class Kitchen:
    """Cooks a dish in its first run, hands its stream on to the second, and cuts it short there."""

    @workflow.init
    def __init__(self, shift: Shift) -> None:
        self.stream = WorkflowStream(prior_state=shift.stream)
        self.orders = self.stream.topic("orders", type=str)
        self.asked = ""

    @workflow.run
    async def run(self, shift: Shift) -> str:
        """A shift; it ends when it is told to."""
        if shift.number == 1:
            self.orders.publish("soup: ordered")
            dish = await workflow.execute_activity(cook, "soup", start_to_close_timeout=timedelta(seconds=30))
            self.orders.publish(f"served: {dish}")
        while True:
            await workflow.wait_condition(lambda: self.asked != "")
            match self.asked:
                case "next shift":
                    await self.stream.continue_as_new(lambda state: [Shift(shift.number + 1, state)])
                case "tidy up":
                    self.stream.truncate(4)
                    self.orders.publish("kitchen: tidy")
                case _:
                    return f"closed in shift {shift.number}"
            self.asked = ""

    @workflow.signal
    def ask(self, what: str) -> None:
        """Something to do."""
        self.asked = what
