"""A transfer between two accounts: either both are booked, or the first one gets its money back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.common import RetryPolicy
from hotmesh_temporal.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from bank import Bank


@dataclass
class Order:
    source: str
    target: str
    amount: int


@dataclass
class Booking:
    """One movement. The reference makes it safe to ask twice: the bank books it once."""

    reference: str
    account: str
    amount: int


class BankActivities:
    """What the workflow asks of the bank; plain functions, which the worker runs in threads."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    @activity.defn
    def book(self, booking: Booking) -> None:
        self._bank.move(booking.reference, booking.account, booking.amount)

    @activity.defn
    def take_back(self, reference: str) -> None:
        self._bank.take_back(reference)


TRY_AGAIN = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(hours=1),
    non_retryable_error_types=["UnknownAccount", "NotEnoughMoney"],
)
UNTIL_IT_IS_DONE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(hours=1))


@workflow.defn
class Transfer:
    """Take, then give. If a step cannot be done, or the transfer is cancelled, all is undone, last first."""

    def __init__(self) -> None:
        self._state = "taking the money"
        self._references: list[str] = []

    @workflow.run
    async def run(self, order: Order) -> str:
        id = workflow.info().workflow_id
        try:
            await self._book(Booking(f"{id}-take", order.source, -order.amount))
            self._state = "giving the money"
            await self._book(Booking(f"{id}-give", order.target, order.amount))
        except (ActivityError, asyncio.CancelledError) as error:
            # What follows must not be cancelled a second time.
            await asyncio.shield(self._undo_all())
            if is_cancelled_exception(error):
                raise
            self._state = f"undone: {error.__cause__}"
        else:
            self._state = "done"
        return self._state

    @workflow.query
    def state(self) -> str:
        return self._state

    async def _book(self, booking: Booking) -> None:
        # Noted before it is asked for: when the answer is lost, nobody knows whether the bank has booked it.
        self._references.append(booking.reference)
        await workflow.execute_activity_method(
            BankActivities.book,
            booking,
            start_to_close_timeout=timedelta(seconds=30),
            schedule_to_close_timeout=timedelta(days=2),
            retry_policy=TRY_AGAIN,
        )

    async def _undo_all(self) -> None:
        self._state = "undoing it"
        for reference in reversed(self._references):
            await workflow.execute_activity_method(
                BankActivities.take_back,
                reference,
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=UNTIL_IT_IS_DONE,
            )
