"""The workflow that is running, as it was deployed."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow


@activity.defn
async def reserve(item: str) -> str:
    return f"{item} is reserved"


@activity.defn
async def charge(item: str) -> str:
    return f"{item} is paid"


@workflow.defn
class Order:
    def __init__(self) -> None:
        self.is_paid = False

    @workflow.run
    async def run(self, item: str) -> str:
        await workflow.execute_activity(reserve, item, start_to_close_timeout=timedelta(minutes=1))
        await workflow.wait_condition(lambda: self.is_paid)
        return await workflow.execute_activity(charge, item, start_to_close_timeout=timedelta(minutes=1))

    @workflow.signal
    def pay(self) -> None:
        self.is_paid = True
