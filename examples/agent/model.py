"""The model: an interface, and a stand-in that needs no network and always answers the same.

A real one is a class with the same method, which sends the messages and the list of tools to a provider.
"""

from __future__ import annotations

import re
from typing import Protocol

from conversation import Answer, Message, ToolCall


class Model(Protocol):
    """Decides what comes next in a conversation."""

    async def answer(self, messages: list[Message]) -> Answer:
        """What to say, or which tool to call before that."""
        ...


class TravelClerk:
    """Knows a few words about trains. It looks for a train first, and books the cheapest it has found when asked to."""

    async def answer(self, messages: list[Message]) -> Answer:
        last = messages[-1]
        if last.role == "tool":
            return Answer(f"Here you are: {last.text}")
        if wanted := re.search(r"train from (\w+) to (\w+)", last.text):
            return Answer(call=ToolCall("find_trains", {"source": wanted[1], "target": wanted[2]}))
        if "book" in last.text:
            return self._booking(messages)
        return Answer("I can look for a train from one city to another, and book it.")

    @staticmethod
    def _booking(messages: list[Message]) -> Answer:
        offers = [offer for each in messages for offer in re.findall(r"(T\d+) at [\d:]+ for (\d+) euros", each.text)]
        if not offers:
            return Answer("Which train? Ask me for one first.")
        train, price = min(offers, key=lambda offer: int(offer[1]))
        return Answer(call=ToolCall("book_train", {"train": train, "price": price}))
