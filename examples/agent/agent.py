"""An agent that lives for months: it answers, uses tools, and waits for a human being where money is spent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from hotmesh_temporal import workflow
from hotmesh_temporal.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from conversation import Answer, Message, ToolCall
    from tools import NEED_APPROVAL, Thinking, remind, use_tool

MINUTE = timedelta(minutes=1)
REMIND_AFTER = timedelta(days=1)
GIVE_UP_AFTER = timedelta(days=3)
LONG = 40
"""Messages after which a new run goes on with the conversation, so that no history grows for ever."""
KEPT = 20
"""So many of the last messages go on with it."""


@dataclass
class Conversation:
    """What a run hands over to the next one."""

    messages: list[Message] = field(default_factory=list[Message])
    runs: int = 1


@workflow.defn
class Agent:
    """Messages come as updates, which return the answer; a decision about money, too."""

    @workflow.init
    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._messages = conversation.messages
        self._turn = asyncio.Lock()
        self._pending: ToolCall | None = None
        self._approved: bool | None = None
        self._closed = False

    @workflow.run
    async def run(self, conversation: Conversation) -> int:
        """Until it is closed. Returns how many runs it took."""
        await workflow.wait_condition(lambda: self._closed or self._is_long())
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._closed:
            workflow.continue_as_new(Conversation(self._messages[-KEPT:], conversation.runs + 1))
        return conversation.runs

    # -- what can be asked of it --------------------------------------------------------------------------------

    @workflow.update
    async def say(self, text: str) -> str:
        """Say something; returns the answer, also if that takes a decision of days."""
        async with self._turn:
            self._messages.append(Message("user", text))
            answer = await self._think()
            while answer.call is not None:
                self._messages.append(Message("tool", await self._use(answer.call)))
                answer = await self._think()
            self._messages.append(Message("assistant", answer.text))
            return answer.text

    @say.validator
    def _check_say(self, text: str) -> None:
        if self._closed:
            raise ValueError("the conversation is closed")
        if not text.strip():
            raise ValueError("say something")

    @workflow.update
    def decide(self, approved: bool) -> str:
        """Allow or forbid what the agent wants to do; returns what that is."""
        self._approved = approved
        return str(self._pending)

    @decide.validator
    def _check_decide(self, approved: bool) -> None:
        if self._pending is None or self._approved is not None:
            raise ValueError("there is nothing to decide")

    @workflow.signal
    def close(self) -> None:
        self._closed = True

    @workflow.query
    def conversation(self) -> list[str]:
        return [f"{each.role}: {each.text}" for each in self._messages]

    @workflow.query
    def pending(self) -> str | None:
        """What waits for a decision."""
        return str(self._pending) if self._pending and self._approved is None else None

    # -- how it does it -----------------------------------------------------------------------------------------

    def _is_long(self) -> bool:
        return len(self._messages) >= LONG or workflow.info().is_continue_as_new_suggested()

    async def _think(self) -> Answer:
        return await workflow.execute_activity_method(
            Thinking.think, self._messages[-KEPT:], start_to_close_timeout=2 * MINUTE
        )

    async def _use(self, call: ToolCall) -> str:
        if call.tool in NEED_APPROVAL and not await self._is_allowed(call):
            return f"{call} was not allowed"
        try:
            return await workflow.execute_activity(use_tool, call, start_to_close_timeout=MINUTE)
        except ActivityError as error:
            return f"{call} failed: {error.cause}"  # the model is told, and may try something else

    async def _is_allowed(self, call: ToolCall) -> bool:
        """Ask, remind every day, and take silence for a no after three."""
        self._pending, self._approved = call, None
        end = workflow.now() + GIVE_UP_AFTER
        try:
            while self._approved is None and workflow.now() < end:
                try:
                    await workflow.wait_condition(lambda: self._approved is not None, timeout=REMIND_AFTER)
                except asyncio.TimeoutError:
                    await workflow.execute_activity(
                        remind, f"{call} waits for a decision", start_to_close_timeout=MINUTE
                    )
            return bool(self._approved)
        finally:
            self._pending = None
