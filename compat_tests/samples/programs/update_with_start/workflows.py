"""A shopping cart that is there as soon as something is put into it."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

QUEUE = "update-with-start"


@activity.defn
async def price_of(item: str) -> int:
    """In cents."""
    prices = {"apple": 30, "melon": 250}
    if item not in prices:
        raise ApplicationError(f"there are no {item}s", type="NotSold", non_retryable=True)
    return prices[item]


@workflow.defn
class CartWorkflow:
    """Collects things until it is paid."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.total = 0
        self.paid = False

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self.paid and workflow.all_handlers_finished())
        return self.items

    @workflow.update
    async def add(self, item: str, pieces: int) -> int:
        """The total after that."""
        price = await workflow.execute_activity(price_of, item, start_to_close_timeout=timedelta(seconds=30))
        self.items += [item] * pieces
        self.total += price * pieces
        return self.total

    @workflow.signal
    def pay(self) -> None:
        """That is all."""
        self.paid = True
