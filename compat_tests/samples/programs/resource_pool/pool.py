"""A pool of boats as a workflow, and the trips that borrow them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity, workflow

QUEUE = "resource-pool"
POOL = "boats"


@dataclass
class Wish:
    """Who wants a boat."""

    trip: str


@dataclass
class Loan:
    """Which boat a trip was given."""

    boat: str


@dataclass
class PoolState:
    """What a pool hands on to its next run."""

    free: list[str]
    waiting: list[Wish] = field(default_factory=list[Wish])
    lent: dict[str, str] = field(default_factory=dict[str, str])
    most_waiting: int = 0


@workflow.defn
class BoatPool:
    """Lends boats in the order of the wishes; goes on as new when the server suggests it or someone asks."""

    @workflow.init
    def __init__(self, state: PoolState) -> None:
        self.state = state
        self.waiting = deque(state.waiting)
        self.renew = False
        self.closed = False

    @workflow.run
    async def run(self, state: PoolState) -> str:
        """Lend until closed; how long the queue was at most."""
        while not self.closed or self.state.lent:
            await workflow.wait_condition(lambda: self._can_lend() or self.renew or self.closed)
            while self._can_lend():
                await self._lend(self.waiting.popleft())
            if self.renew or workflow.info().is_continue_as_new_suggested():
                self.state.waiting = list(self.waiting)
                workflow.continue_as_new(self.state)
            await workflow.wait_condition(lambda: self._can_lend() or self.renew or not self.state.lent)
        return f"at most {self.state.most_waiting} trips waited"

    def _can_lend(self) -> bool:
        return bool(self.waiting and self.state.free)

    async def _lend(self, wish: Wish) -> None:
        boat = self.state.free.pop(0)
        self.state.lent[wish.trip] = boat
        trip = workflow.get_external_workflow_handle_for(Trip.run, wish.trip)
        await trip.signal(Trip.take, Loan(boat))

    @workflow.signal
    def want(self, wish: Wish) -> None:
        """A trip wants a boat."""
        self.waiting.append(wish)
        self.state.most_waiting = max(self.state.most_waiting, len(self.waiting) - len(self.state.free))

    @workflow.signal
    def give_back(self, trip: str) -> None:
        """A trip is over."""
        self.state.free.append(self.state.lent.pop(trip))

    @workflow.signal
    def go_on_as_new(self) -> None:
        """Begin a new run with the same state."""
        self.renew = True

    @workflow.signal
    def close(self) -> None:
        """End when all boats are back."""
        self.closed = True

    @workflow.query
    def lent(self) -> dict[str, str]:
        """The boat of each trip that has one."""
        return self.state.lent

    @workflow.query
    def waits(self) -> list[str]:
        """The trips that wait, in order."""
        return [wish.trip for wish in self.waiting]


@activity.defn
async def row(boat: str, lap: int) -> str:
    """One lap in a boat."""
    return f"lap {lap} in {boat}"


@workflow.defn
class Trip:
    """Borrows a boat, rows two laps, waits on the water until told to return, and gives the boat back."""

    def __init__(self) -> None:
        self.loan: Loan | None = None
        self.over = False

    @workflow.run
    async def run(self) -> list[str]:
        """What was done."""
        pool = workflow.get_external_workflow_handle_for(BoatPool.run, POOL)
        me = workflow.info().workflow_id
        await pool.signal(BoatPool.want, Wish(me))
        await workflow.wait_condition(lambda: self.loan is not None)
        assert self.loan is not None
        try:
            return await self._row(self.loan.boat)
        finally:
            await pool.signal(BoatPool.give_back, me)

    async def _row(self, boat: str) -> list[str]:
        laps = [
            await workflow.execute_activity(row, args=[boat, lap], start_to_close_timeout=timedelta(seconds=30))
            for lap in (1, 2)
        ]
        await workflow.wait_condition(lambda: self.over)
        return laps

    @workflow.signal
    def take(self, loan: Loan) -> None:
        """A boat from the pool."""
        self.loan = loan

    @workflow.signal
    def come_back(self) -> None:
        """The end of the trip."""
        self.over = True
