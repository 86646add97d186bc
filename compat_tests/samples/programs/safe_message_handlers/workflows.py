"""The seats of a theatre, sold by updates that run at the same time."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

QUEUE = "safe-message-handlers"


@dataclass
class House:
    """Who has which seat; it survives from run to run."""

    seats: dict[int, str] = field(default_factory=dict[int, str])
    open: bool = False
    runs: int = 1


@activity.defn
async def print_tickets(names: list[str]) -> int:
    """Takes a moment."""
    await asyncio.sleep(0.05)
    return len(names)


@workflow.defn
class TheatreWorkflow:
    """Sells seats until the show is over."""

    @workflow.init
    def __init__(self, house: House, seats: int) -> None:
        self.house = house
        self.count = seats
        self.lock = asyncio.Lock()
        self.new_house = False
        self.over = False

    @workflow.run
    async def run(self, house: House, seats: int) -> dict[int, str]:
        await workflow.wait_condition(lambda: self.over or self.new_house)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self.over:
            return self.house.seats
        self.house.runs += 1
        workflow.continue_as_new(args=[self.house, seats])

    @workflow.signal
    def open_doors(self) -> None:
        """From here on seats are sold."""
        self.house.open = True

    @workflow.signal
    def start_new_run(self) -> None:
        """Continue as new."""
        self.new_house = True

    @workflow.signal
    def end(self) -> None:
        """The show is over."""
        self.over = True

    @workflow.update
    async def buy(self, name: str, wanted: int) -> list[int]:
        """So many seats for somebody; never one that another has."""
        await workflow.wait_condition(lambda: self.house.open)
        async with self.lock:
            free = [seat for seat in range(1, self.count + 1) if seat not in self.house.seats]
            if len(free) < wanted:
                raise ApplicationError(f"only {len(free)} seats are left", type="SoldOut")
            # While it waits here, only the lock keeps others from the same seats.
            names = [name] * wanted
            await workflow.execute_activity(print_tickets, names, start_to_close_timeout=timedelta(seconds=30))
            self.house.seats |= dict.fromkeys(free[:wanted], name)
            return free[:wanted]

    @workflow.query
    def state(self) -> House:
        """Who has what."""
        return self.house
