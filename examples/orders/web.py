"""The shop on the web: a page, and the calls that it makes."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from examples.orders.activities import Steps
from examples.orders.database import Database, open_database
from examples.orders.model import PRICES, QUEUE, Order, workflow_id
from examples.orders.workflows import OrderWorkflow
from hotmesh_temporal.client import Client, WorkflowUpdateFailedError
from hotmesh_temporal.service import RPCError, RPCStatusCode
from hotmesh_temporal.worker import Worker

_PAGE = Path(__file__).with_name("page.html")


class NewOrder(BaseModel):
    """What a customer fills in."""

    item: str
    quantity: Annotated[int, Field(ge=1, le=100)] = 1
    address: Annotated[str, Field(min_length=1)]
    card: str = "visa"


class NewAddress(BaseModel):
    """Where to send it instead."""

    address: str


class Shop:
    """What the calls do."""

    def __init__(self, database: Database, client: Client, packing_seconds: float) -> None:
        self.database, self.client, self._packing_seconds = database, client, packing_seconds

    async def place(self, new: NewOrder) -> dict[str, Any]:
        """The row and the workflow, both or neither."""
        if new.item not in PRICES:
            raise HTTPException(404, f"there is no {new.item} to buy")
        order = Order(uuid.uuid4().hex[:8], new.item, new.quantity, new.address, new.card, self._packing_seconds)
        async with self.database.transaction() as unit:
            await unit.fetch(
                """INSERT INTO orders (id, item, quantity, address, amount, state)
                VALUES ($1, $2, $3, $4, $5, 'placed')""",
                order.id,
                order.item,
                order.quantity,
                order.address,
                order.amount,
            )
            tx = self.client.in_transaction(unit.connection)
            await tx.start_workflow(OrderWorkflow.run, order, id=workflow_id(order.id), task_queue=QUEUE)
        return {"id": order.id}

    async def cancel(self, order_id: str) -> dict[str, Any]:
        """Ask for it, and say so in the row."""
        async with self.database.transaction() as unit:
            # A workflow that is over has no row in these states any more: both are written together.
            open_now = await unit.fetch(
                """UPDATE orders SET state = 'cancelling' WHERE id = $1 AND state IN ('placed', 'reserved', 'paid')
                RETURNING id""",
                order_id,
            )
            if not open_now:
                raise HTTPException(409, "it is too late, or there is no such order")
            await self.client.in_transaction(unit.connection).get_workflow_handle(workflow_id(order_id)).cancel()
        return {"id": order_id}

    async def change_address(self, order_id: str, address: str) -> dict[str, Any]:
        """An update: the workflow itself says whether it still can."""
        handle = self.client.get_workflow_handle_for(OrderWorkflow.run, workflow_id(order_id))
        try:
            before: str = await handle.execute_update(OrderWorkflow.change_address, address)  # pyright: ignore[reportUnknownMemberType]  the SDK leaves a part of it open
        except WorkflowUpdateFailedError as error:
            raise HTTPException(409, str(error.cause)) from error
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            raise HTTPException(409, "it is too late, or there is no such order") from error
        async with self.database.transaction() as unit:
            await unit.fetch("UPDATE orders SET address = $1 WHERE id = $2", address, order_id)
        return {"before": before, "now": address}

    async def waits_for(self, order_id: str) -> dict[str, Any]:
        """A query: what the workflow is doing."""
        handle = self.client.get_workflow_handle_for(OrderWorkflow.run, workflow_id(order_id))
        try:
            return {"state": await handle.query(OrderWorkflow.state)}
        except RPCError as error:
            raise HTTPException(404, "there is no such order") from error

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a table says."""
        async with self.database.transaction() as unit:
            return await unit.fetch(sql)


def create_app(url: str, *, packing_seconds: float = 15.0) -> FastAPI:
    """The application. Its client and worker live as long as it runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        client = await Client.connect(connection=url)
        database = await open_database(url)
        app.state.shop = Shop(database, client, packing_seconds)
        async with Worker(
            client, task_queue=QUEUE, workflows=[OrderWorkflow], activities=Steps(database, client).all()
        ):
            yield
        await database.close()
        await client.close()

    app = FastAPI(title="Orders", lifespan=lifespan)
    _add_routes(app)
    return app


def _add_routes(app: FastAPI) -> None:
    def shop() -> Shop:
        return app.state.shop

    async def page() -> HTMLResponse:
        return HTMLResponse(_PAGE.read_text())

    async def place(new: NewOrder) -> dict[str, Any]:
        return await shop().place(new)

    async def orders() -> list[dict[str, Any]]:
        return await shop().rows("SELECT * FROM orders")

    async def stock() -> list[dict[str, Any]]:
        return await shop().rows("SELECT item, pieces FROM stock ORDER BY item")

    async def state(order_id: str) -> dict[str, Any]:
        return await shop().waits_for(order_id)

    async def cancel(order_id: str) -> dict[str, Any]:
        return await shop().cancel(order_id)

    async def change_address(order_id: str, new: NewAddress) -> dict[str, Any]:
        return await shop().change_address(order_id, new.address)

    app.get("/", response_class=HTMLResponse)(page)
    app.post("/api/orders", status_code=201)(place)
    app.get("/api/orders")(orders)
    app.get("/api/stock")(stock)
    app.get("/api/orders/{order_id}")(state)
    app.post("/api/orders/{order_id}/cancel")(cancel)
    app.post("/api/orders/{order_id}/address")(change_address)
