"""A graph that writes a letter, lets somebody read it, and sends it or writes it anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from typing_extensions import TypedDict

with workflow.unsafe.imports_passed_through():
    from langgraph.checkpoint.memory import InMemorySaver  # pyright: ignore[reportMissingImports]  # extra "agents"
    from langgraph.graph import END, START, StateGraph  # pyright: ignore[reportMissingImports]  # extra "agents"
    from langgraph.types import Command, interrupt  # pyright: ignore[reportMissingImports]  # extra "agents"
    from temporalio.langgraph import graph  # pyright: ignore[reportMissingImports]  # extra "agents"

GRAPH = "letters"


class Letter(TypedDict, total=False):
    """What the nodes hand on."""

    about: str
    text: str
    answer: str
    sent: bool


async def write(letter: Letter) -> Letter:
    """As an activity: where a model would be asked."""
    again = f" again, as you said: {letter.get('answer')}" if letter.get("answer") else ""
    return {"text": f"About {letter.get('about')}{again}."}


async def read(letter: Letter) -> Letter:
    """In the workflow: stops until there is an answer."""
    return {"answer": interrupt(letter.get("text"))}


async def send(letter: Letter) -> Letter:
    """As an activity."""
    return {"sent": True}


async def next_after_read(letter: Letter) -> str:
    """Where to go with the answer."""
    return "send" if letter.get("answer") == "fine" else "write"


def letters() -> Any:
    """The graph."""
    found: Any = StateGraph(Letter)
    outside = {
        "execute_in": "activity",
        "start_to_close_timeout": timedelta(seconds=30),
        "retry_policy": RetryPolicy(maximum_attempts=3),
    }
    found.add_node("write", write, metadata=outside)
    found.add_node("read", read, metadata={"execute_in": "workflow"})
    found.add_node("send", send, metadata=outside)
    found.add_edge(START, "write")
    found.add_edge("write", "read")
    found.add_conditional_edges("read", next_after_read, ["write", "send"])
    found.add_edge("send", END)
    return found


@workflow.defn
class WriteLetter:
    """Runs the graph; answers come as signals."""

    def __init__(self) -> None:
        self.asked = ""
        self.answers: list[str] = []

    @workflow.run
    async def run(self, about: str) -> str:
        """The letter that was sent."""
        app = graph(GRAPH).compile(checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": workflow.info().workflow_id}}
        result: Any = await app.ainvoke({"about": about}, config)
        while "__interrupt__" in result:
            self.asked = result["__interrupt__"][0].value
            await workflow.wait_condition(lambda: bool(self.answers))
            result = await app.ainvoke(Command(resume=self.answers.pop(0)), config)
        return f"{result['text']} sent: {result['sent']}"

    @workflow.signal
    def answer(self, text: str) -> None:
        """What the reader says."""
        self.answers.append(text)

    @workflow.query
    def waiting_for(self) -> str:
        """The text that waits for a reader."""
        return self.asked
