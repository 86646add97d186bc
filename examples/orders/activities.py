"""The steps of an order. Each writes its rows and ends in one transaction, so that it has its effect exactly once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from examples.orders.database import Database, Unit
from examples.orders.model import Order
from hotmesh_temporal import activity
from hotmesh_temporal.client import Client
from hotmesh_temporal.exceptions import ApplicationError


class Steps:
    """The activities of the shop."""

    def __init__(self, database: Database, client: Client) -> None:
        self._database, self._client = database, client

    @asynccontextmanager
    async def _ending(self) -> AsyncGenerator[Unit, None]:
        """What is written inside is written if, and only if, the activity is completed by it."""
        async with self._database.transaction() as unit:
            yield unit
            token = activity.info().task_token
            await self._client.in_transaction(unit.connection).get_async_activity_handle(task_token=token).complete()
        activity.raise_complete_async()

    @activity.defn
    async def reserve(self, order: Order) -> None:
        """Take the pieces from the stock."""
        async with self._ending() as unit:
            taken = await unit.fetch(
                "UPDATE stock SET pieces = pieces - $1 WHERE item = $2 AND pieces >= $1 RETURNING pieces",
                order.quantity,
                order.item,
            )
            if not taken:
                raise ApplicationError(f"{order.item} is sold out", type="SoldOut", non_retryable=True)
            await _note(unit, order, "reserved")

    @activity.defn
    async def release(self, order: Order) -> None:
        """Put the pieces back."""
        async with self._ending() as unit:
            await unit.fetch("UPDATE stock SET pieces = pieces + $1 WHERE item = $2", order.quantity, order.item)

    @activity.defn
    async def charge(self, order: Order) -> None:
        """Take the money."""
        if order.card == "declined":
            raise ApplicationError("the card was declined", type="Declined", non_retryable=True)
        if order.card == "flaky" and activity.info().attempt == 1:
            raise ApplicationError("the bank does not answer", type="NoAnswer")
        async with self._ending() as unit:
            await unit.fetch("INSERT INTO charges (order_id, amount) VALUES ($1, $2)", order.id, order.amount)
            await _note(unit, order, "paid")

    @activity.defn
    async def refund(self, order: Order) -> None:
        """Give the money back."""
        async with self._ending() as unit:
            await unit.fetch("DELETE FROM charges WHERE order_id = $1", order.id)

    @activity.defn
    async def ship(self, order: Order) -> None:
        """Send the parcel."""
        async with self._ending() as unit:
            await unit.fetch("INSERT INTO parcels (order_id, address) VALUES ($1, $2)", order.id, order.address)
            await _note(unit, order, "shipped")

    @activity.defn
    async def close(self, order: Order, reason: str) -> None:
        """Nothing will be shipped."""
        async with self._ending() as unit:
            await _note(unit, order, reason)

    def all(self) -> list[Any]:
        """For the worker."""
        return [self.reserve, self.release, self.charge, self.refund, self.ship, self.close]


async def _note(unit: Unit, order: Order, state: str) -> None:
    sql = "UPDATE orders SET state = $1, address = $2 WHERE id = $3"
    await unit.fetch(sql, state, order.address, order.id)
