"""A travel agent in a workflow; its tool is an activity."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from agents import Agent, Runner  # pyright: ignore[reportMissingImports]  # extra "agents"
from temporalio import activity, workflow
from temporalio.openai_agents.workflow import activity_as_tool  # pyright: ignore[reportMissingImports]  # extra "agents"


@activity.defn
async def temperature(city: str) -> str:
    """The temperature in a city."""
    if activity.info().attempt == 1:
        raise RuntimeError("the thermometer does not answer")
    return f"21 degrees in {city}"


@workflow.defn
class Travel:
    """Answers one question."""

    @workflow.run
    async def run(self, question: str) -> str:
        """The answer of the last agent."""
        tool: Any = activity_as_tool(temperature, start_to_close_timeout=timedelta(seconds=30))
        guide: Any = Agent(name="Guide", instructions="You know the weather.", tools=[tool])
        desk: Any = Agent(name="Desk", instructions="Hand over to the guide.", handoffs=[guide])
        result: Any = await Runner.run(desk, question)
        return f"{result.last_agent.name}: {result.final_output}"
