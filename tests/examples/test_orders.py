"""The order system: what its customers see, in SQLite and Postgres, and its one command."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.orders.web import create_app
from tests.support.ports import free_port
from tests.support.postgres_server import PostgresServer

ROOT = Path(__file__).parents[2]


class Customer:
    """Somebody at the page."""

    def __init__(self, http: httpx.AsyncClient, shop: Any) -> None:
        self.http, self._shop = http, shop

    async def order(self, item: str, quantity: int = 1, card: str = "visa", status: int = 201) -> str:
        """Place an order; its id."""
        new = {"item": item, "quantity": quantity, "address": "Main Street 1", "card": card}
        reply = await self.http.post("/api/orders", json=new)
        assert reply.status_code == status, reply.text
        return reply.json().get("id", "")

    async def state(self, order: str, *wanted: str) -> str:
        """The state of an order, when it is one of these."""
        async with asyncio.timeout(60) if sys.version_info >= (3, 11) else _Patience():
            while True:
                rows = (await self.http.get("/api/orders")).json()
                (state,) = (each["state"] for each in rows if each["id"] == order)
                if state in wanted:
                    return state
                await asyncio.sleep(0.02)

    async def stock(self) -> dict[str, int]:
        """What is left."""
        return {each["item"]: each["pieces"] for each in (await self.http.get("/api/stock")).json()}

    async def count(self, table: str) -> int:
        """Rows of a table."""
        return len(await self._shop.rows(f"SELECT * FROM {table}"))


class _Patience:
    async def __aenter__(self) -> None:
        """The limit of the test holds."""

    async def __aexit__(self, *_: object) -> None:
        """Nothing to end."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'orders.sqlite3'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
async def customer(url: str) -> AsyncGenerator[Customer, None]:
    app = create_app(url, packing_seconds=1.0)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as http,
    ):
        yield Customer(http, app.state.shop)


async def test_an_order_is_shipped(customer: Customer) -> None:
    assert "Orders" in (await customer.http.get("/")).text
    plain, flaky = await customer.order("book", 2), await customer.order("lamp", card="flaky")
    for order in (plain, flaky):
        await customer.state(order, "shipped")
    assert await customer.stock() == {"book": 8, "chair": 1, "lamp": 2}
    assert (await customer.count("charges"), await customer.count("parcels")) == (2, 2)
    assert (await customer.http.get(f"/api/orders/{plain}")).json() == {"state": "shipped"}
    assert (await customer.http.post(f"/api/orders/{plain}/cancel")).status_code == 409


async def test_what_fails_is_undone(customer: Customer) -> None:
    assert await customer.state(await customer.order("chair", card="declined"), "the card was declined")
    assert await customer.state(await customer.order("chair", 2), "chair is sold out")
    assert await customer.stock() == {"book": 10, "chair": 1, "lamp": 3}
    assert (await customer.count("charges"), await customer.count("parcels")) == (0, 0)
    await customer.order("yacht", status=404)


async def test_an_order_is_changed_and_cancelled(customer: Customer) -> None:
    moved, unwanted = await customer.order("book"), await customer.order("book", 3)
    reply = await customer.http.post(f"/api/orders/{moved}/address", json={"address": "Side Street 2"})
    assert reply.json() == {"before": "Main Street 1", "now": "Side Street 2"}
    refused = await customer.http.post(f"/api/orders/{moved}/address", json={"address": " "})
    assert (refused.status_code, refused.json()["detail"]) == (409, "an address cannot be empty")
    assert (await customer.http.post(f"/api/orders/{unwanted}/cancel")).status_code == 200
    await customer.state(unwanted, "cancelled")
    await customer.state(moved, "shipped")
    assert await customer.stock() == {"book": 9, "chair": 1, "lamp": 3}
    (parcel,) = await customer._shop.rows("SELECT * FROM parcels")  # pyright: ignore[reportPrivateUsage]  its own table
    assert parcel["address"] == "Side Street 2"


async def test_the_last_one_is_sold_once(customer: Customer) -> None:
    orders = await asyncio.gather(*(customer.order("chair") for _ in range(5)))
    states = [await customer.state(each, "shipped", "chair is sold out") for each in orders]
    assert sorted(states) == ["chair is sold out"] * 4 + ["shipped"]
    assert (await customer.count("charges"), await customer.count("parcels")) == (1, 1)


@contextmanager
def running(folder: Path) -> Generator[tuple[subprocess.Popen[str], httpx.Client], None, None]:
    """The shop as its own process, and a customer of it."""
    port = free_port()
    command = [sys.executable, "-m", "examples.orders", "--port", str(port), "--packing", "1"]
    command += ["--database", f"sqlite:///{folder / 'orders.sqlite3'}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "the shop is open at" in process.stdout.readline()
            transport = httpx.HTTPTransport(retries=20)
            with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
                yield process, http
        finally:
            process.terminate()
            process.wait(60)


def test_one_command_and_a_crash(tmp_path: Path) -> None:
    with running(tmp_path) as (process, http):
        new = {"item": "book", "quantity": 1, "address": "Main Street 1"}
        assert http.post("/api/orders", json=new).status_code == 201
        process.kill()
    with running(tmp_path) as (_, http):
        while http.get("/api/orders").json()[0]["state"] != "shipped":
            time.sleep(0.05)
        stock = http.get("/api/stock").json()
    assert stock[0] == {"item": "book", "pieces": 9}
