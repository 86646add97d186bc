"""A conversation that lives for long: its history is cut by continuing as new with a summary."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

LONG = 4
"""Lines after which a conversation goes on in a new run."""


@dataclass
class Talk:
    """What a run begins with."""

    summary: str = ""
    prompts: list[str] = field(default_factory=list[str])
    tired: bool = False


@activity.defn
async def model(prompt: str) -> str:
    """A model that only knows how to count words; at its first try it has too much to do."""
    if activity.info().attempt == 1 and prompt.startswith("Slowly"):
        raise RuntimeError("the model has too much to do")
    return f"{len(prompt.split())} words, the last is {prompt.split()[-1]}"


@workflow.defn
class Chat:
    """Answers prompts, in order, until told to end."""

    @workflow.init
    def __init__(self, talk: Talk) -> None:
        self.summary = talk.summary
        self.prompts = deque(talk.prompts)
        self.lines: list[str] = []
        self.ended = False

    @workflow.run
    async def run(self, talk: Talk) -> str:
        """The summary of all that was said."""
        while True:
            await workflow.wait_condition(lambda: bool(self.prompts) or self.ended)
            while self.prompts:
                prompt = self.prompts.popleft()
                self.lines += [f"user: {prompt}", f"model: {await self._ask(prompt)}"]
            if self.ended:
                return await self._summarize()
            if len(self.lines) >= LONG:
                summary = await self._summarize()
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(Talk(summary, list(self.prompts)))

    async def _ask(self, prompt: str) -> str:
        return await workflow.execute_activity(
            model,
            prompt,
            schedule_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=50), maximum_attempts=3),
        )

    async def _summarize(self) -> str:
        return await self._ask(" ".join(["Summarize:", self.summary, *self.lines]))

    @workflow.signal
    def prompt(self, text: str) -> None:
        """Something to answer."""
        self.prompts.append(text)

    @workflow.signal
    def end(self) -> None:
        """No more prompts."""
        self.ended = True

    @workflow.query
    def conversation(self) -> list[str]:
        """What was said in this run."""
        return self.lines

    @workflow.query
    def known(self) -> str:
        """What was said in earlier runs."""
        return self.summary
