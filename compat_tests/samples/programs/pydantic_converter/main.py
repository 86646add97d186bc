"""Pydantic models as arguments and results: what JSON alone would lose comes back with its type."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, Field

QUEUE = "pydantic-converter"


class Train(BaseModel):
    """A leg by train."""

    kind: Literal["train"] = "train"
    number: Annotated[str, Field(pattern=r"^[A-Z]+ \d+$")]
    seats: set[int]


class Stay(BaseModel):
    """Nights in a hotel."""

    kind: Literal["stay"] = "stay"
    hotel: UUID
    nights: int = Field(gt=0)


Part = Annotated[Train | Stay, Field(discriminator="kind")]


class Trip(BaseModel):
    """What a customer books."""

    begins: date
    budget: Decimal
    parts: list[Part]


class Quote(BaseModel):
    """What it costs."""

    price: Decimal
    ends: date


@activity.defn
async def price_of(part: Part) -> Decimal:
    """The price of one part."""
    match part:
        case Train():
            return Decimal("39.90") * len(part.seats)
        case Stay():
            return Decimal("120.05") * part.nights


@activity.defn
async def broken_train() -> Train:
    """A train with a number that no train has."""
    return Train.model_construct(number="no number", seats=set())


@workflow.defn
class QuoteTrip:
    """Adds up the prices of all parts."""

    @workflow.run
    async def run(self, trip: Trip) -> Quote:
        """The price and the day of return."""
        limit = timedelta(seconds=30)
        prices = [await workflow.execute_activity(price_of, part, start_to_close_timeout=limit) for part in trip.parts]
        nights = sum(part.nights for part in trip.parts if isinstance(part, Stay))
        return Quote(price=sum(prices, Decimal(0)), ends=trip.begins + timedelta(days=nights))


@workflow.defn(failure_exception_types=[ValueError])
class ReadBrokenTrain:
    """Reads a model that breaks its own rules."""

    @workflow.run
    async def run(self) -> str:
        """The number of the train, if it had one."""
        train = await workflow.execute_activity(broken_train, start_to_close_timeout=timedelta(seconds=30))
        return train.number


async def main() -> None:
    """Quote a trip, then read a model that is not valid."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, data_converter=pydantic_data_converter)
    trip = Trip(
        begins=date(2027, 2, 26),
        budget=Decimal("500.00"),
        parts=[
            Train(number="ICE 599", seats={61, 62}),
            Stay(hotel=UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), nights=3),
        ],
    )
    async with Worker(
        client, task_queue=QUEUE, workflows=[QuoteTrip, ReadBrokenTrain], activities=[price_of, broken_train]
    ):
        quote = await client.execute_workflow(QuoteTrip.run, trip, id="trip", task_queue=QUEUE)
        print(repr(quote), "within the budget:", quote.price <= trip.budget)
        try:
            await client.execute_workflow(ReadBrokenTrain.run, id="broken-train", task_queue=QUEUE)
        except WorkflowFailureError as error:
            print("not valid:", type(error.cause).__name__, "number" in str(error.cause))


if __name__ == "__main__":
    asyncio.run(main())
