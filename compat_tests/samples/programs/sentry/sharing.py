"""A workflow that fails, by itself or by its activity."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError


@activity.defn
async def divide(amount: int, parts: int) -> int:
    """Fails where there are no parts."""
    return amount // parts


@workflow.defn
class Share:
    """Shares an amount; an activity's failure is the workflow's."""

    @workflow.run
    async def run(self, amount: int) -> int:
        """What each gets."""
        if amount < 0:
            raise ApplicationError("debts are not shared")
        return await workflow.execute_activity(
            divide,
            args=[amount, 0],
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=100)),
        )
