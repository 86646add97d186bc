"""An oven whose bread is saved, whatever happens to the oven."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError, FailureError

QUEUE = "waiting-for-handlers"
PATIENCE = timedelta(seconds=30)
ENDS = ("good", "failure", "new run", "cancellation")


@activity.defn
async def bake(bread: str) -> str:
    """Takes a while."""
    await asyncio.sleep(0.3)
    return f"baked {bread}"


@activity.defn
async def rescue(bread: str) -> str:
    """What is done with bread that was in a broken oven."""
    return f"rescued {bread}"


@workflow.defn
class OvenWorkflow:
    """Ends in the way that it is told to, as soon as there is bread in it."""

    def __init__(self) -> None:
        self.in_it = 0
        self.rescued: list[str] = []
        self.broken: asyncio.Future[None] = asyncio.Future()

    @workflow.run
    async def run(self, end: str) -> str:
        try:
            result = await self._use(end)
        except (asyncio.CancelledError, workflow.ContinueAsNewError, FailureError) as error:
            self.broken.set_exception(error)
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    async def _use(self, end: str) -> str:
        await workflow.wait_condition(lambda: self.in_it > 0)
        if end == "failure":
            raise ApplicationError("the oven broke")
        if end == "new run":
            workflow.continue_as_new("good")
        if end == "cancellation":
            await workflow.wait_condition(lambda: False)
        return "clean"

    @workflow.update
    async def put_in(self, bread: str) -> str:
        """Bake it; if the oven breaks, rescue it and say so."""
        self.in_it += 1
        baking = asyncio.create_task(
            workflow.execute_activity(bake, bread, start_to_close_timeout=PATIENCE)  # pyright: ignore[reportArgumentType]  (it is a coroutine)
        )
        await workflow.wait([baking, self.broken], return_when=asyncio.FIRST_COMPLETED)
        if baking.done():
            return await baking
        self.rescued.append(await workflow.execute_activity(rescue, bread, start_to_close_timeout=PATIENCE))
        raise ApplicationError(f"not baked, but {self.rescued[-1]}")
