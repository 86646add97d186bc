"""What the agent can do in the world, as an activity; and its model as another one, for that may fail, too."""

from __future__ import annotations

from collections.abc import Callable

from conversation import Answer, Message, ToolCall
from model import Model

from hotmesh_temporal import activity
from hotmesh_temporal.exceptions import ApplicationError

NEED_APPROVAL = {"book_train"}
"""Tools that cost money: a human being decides."""

TRAINS = {("Bonn", "Paris"): ["T7 at 8:15 for 90 euros", "T9 at 12:40 for 60 euros"]}


def find_trains(source: str, target: str) -> str:
    return "; ".join(TRAINS.get((source, target), [])) or f"no train from {source} to {target}"


def book_train(train: str, price: str) -> str:
    return f"{train} is booked for {price} euros"


TOOLS: dict[str, Callable[..., str]] = {"find_trains": find_trains, "book_train": book_train}


@activity.defn
async def use_tool(call: ToolCall) -> str:
    if call.tool not in TOOLS:
        raise ApplicationError(f"there is no tool {call.tool}", type="UnknownTool", non_retryable=True)
    return TOOLS[call.tool](**call.arguments)


@activity.defn
async def remind(text: str) -> None:
    """Stands for an e-mail or a message to whoever has to decide."""
    print(f"   [reminder] {text}")


class Thinking:
    """The activity that asks a model."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @activity.defn
    async def think(self, messages: list[Message]) -> Answer:
        return await self._model.answer(messages)
