"""The life of an order: reserve, charge, pack, ship; and all of it undone if it is cancelled or something fails."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from hotmesh_temporal import workflow
from hotmesh_temporal.common import RetryPolicy
from hotmesh_temporal.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from examples.orders.model import Order

_LIMIT = timedelta(seconds=30)
_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200))


@workflow.defn
class OrderWorkflow:
    """Ends with the order's last state: "shipped", "cancelled", or why it could not be."""

    @workflow.init
    def __init__(self, order: Order) -> None:
        self._order = order
        self._state = "placed"
        self._undo: list[str] = []

    @workflow.run
    async def run(self, order: Order) -> str:
        """See above."""
        del order  # it may be changed: what counts is self._order
        try:
            await self._do("reserve", undone_by="release", state="reserved")
            await self._do("charge", undone_by="refund", state="paid")
            await asyncio.sleep(self._order.packing_seconds)
            await self._ship()
        except (ActivityError, asyncio.CancelledError) as error:
            await self._undo_all(error)
        # A change of the address that came in the last moment is answered first.
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    async def _ship(self) -> None:
        self._state = "shipping"
        with contextlib.suppress(asyncio.CancelledError):  # too late: the parcel is gone
            await self._do("ship", state="shipped")

    async def _do(self, name: str, *, state: str, undone_by: str = "") -> None:
        step = workflow.start_activity(name, self._order, schedule_to_close_timeout=_LIMIT, retry_policy=_RETRY)
        try:
            await asyncio.shield(step)
        finally:
            # Cancelled in the middle: what has begun is finished first, so that it is known what there is to undo.
            await step
            self._undo += [undone_by] if undone_by else []
            self._state = state

    async def _undo_all(self, error: BaseException) -> None:
        reason = "cancelled" if is_cancelled_exception(error) else _reason(error)
        self._state = "undoing"
        for step in reversed(self._undo):
            await workflow.execute_activity(step, self._order, start_to_close_timeout=_LIMIT, retry_policy=_RETRY)
        await workflow.execute_activity(
            "close", args=[self._order, reason], start_to_close_timeout=_LIMIT, retry_policy=_RETRY
        )
        self._state = reason

    @workflow.query
    def state(self) -> str:
        """What it is waiting for."""
        return self._state

    @workflow.update
    def change_address(self, address: str) -> str:
        """Send it elsewhere; the old address."""
        before, self._order.address = self._order.address, address
        return before

    @change_address.validator
    def _can_change_address(self, address: str) -> None:
        if not address.strip():
            raise ApplicationError("an address cannot be empty")
        if self._state not in ("placed", "reserved", "paid"):
            raise ApplicationError(f"too late: the order is {self._state}")


def _reason(error: BaseException) -> str:
    cause = error.__cause__
    return cause.message if isinstance(cause, ApplicationError) else "given up"
