"""What is tested in test_orders.py: an order in a shop, with time limits of seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from temporalio import workflow
from temporalio.exceptions import ApplicationError


@dataclass
class Cart:
    items: list[str] = field(default_factory=list[str])
    paid: bool = False


@workflow.defn
class Order:
    """Open until it is paid; a reminder after a second; given up after three."""

    def __init__(self) -> None:
        self._cart = Cart()
        self._reminders = 0
        self._closed = False

    @workflow.run
    async def run(self) -> str:
        while not self._cart.paid and not self._closed:
            try:
                await workflow.wait_condition(lambda: self._cart.paid or self._closed, timeout=1)
            except asyncio.TimeoutError:
                self._reminders += 1
                if self._reminders == 3:
                    return "given up"
        await workflow.wait_condition(workflow.all_handlers_finished)
        return f"{'paid' if self._cart.paid else 'closed'}: {', '.join(self._cart.items)}"

    @workflow.signal
    def add(self, item: str) -> None:
        self._cart.items.append(item)

    @workflow.signal
    async def close_in(self, seconds: float) -> None:
        await workflow.sleep(seconds)
        self._closed = True

    @workflow.signal
    def break_down(self) -> None:
        raise ApplicationError("broken")

    @workflow.query
    def cart(self) -> Cart:
        return self._cart

    @workflow.query
    def reminders(self) -> int:
        return self._reminders

    @workflow.query
    def impossible(self) -> int:
        raise ValueError("nobody knows")

    @workflow.update
    async def remove(self, item: str) -> int:
        self._cart.items.remove(item)
        return len(self._cart.items)

    @remove.validator
    def _check_remove(self, item: str) -> None:
        if item not in self._cart.items:
            raise ValueError(f"there is no {item}")

    @workflow.update
    async def pay(self, seconds: float) -> str:
        await workflow.sleep(seconds)
        self._cart.paid = True
        return "thank you"


@workflow.defn
class Shipment:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.sleep(60)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.sleep(1))
            raise
        return "shipped"
