"""Four trips share two boats; the pool changes its run while two trips wait; one trip is cancelled on the water."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pool import POOL, QUEUE, BoatPool, PoolState, Trip
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.envconfig import ClientConfig


async def main() -> None:
    """One step at a time, so that the histories are always the same."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    pool = await client.start_workflow(BoatPool.run, PoolState(free=["red", "blue"]), id=POOL, task_queue=QUEUE)
    current = client.get_workflow_handle_for(BoatPool.run, POOL)
    trips = [await _begin(client, current, number) for number in range(1, 5)]
    print("lent:", await current.query(BoatPool.lent), "waiting:", await current.query(BoatPool.waits))

    await current.signal(BoatPool.go_on_as_new)
    await _until(lambda: _new_run(current, pool.first_execution_run_id))
    print("the next run knows the same:", await current.query(BoatPool.lent), await current.query(BoatPool.waits))

    await trips[0].signal(Trip.come_back)
    print("first:", await trips[0].result())
    await _until(lambda: _has(current, "trip-3"))
    await trips[1].cancel()
    try:
        await trips[1].result()
    except WorkflowFailureError as error:
        print("second:", error.cause)
    await _until(lambda: _has(current, "trip-4"))
    print("lent:", await current.query(BoatPool.lent))
    for trip in trips[2:]:
        await _until(lambda trip=trip: _rowed(trip))
        await trip.signal(Trip.come_back)
        print(trip.id, await trip.result())
    await _until(lambda: _all_back(current))
    await current.signal(BoatPool.close)
    print(await current.result())


async def _begin(client: Client, pool: WorkflowHandle[BoatPool, str], number: int) -> WorkflowHandle[Trip, list[str]]:
    trip = await client.start_workflow(Trip.run, id=f"trip-{number}", task_queue=QUEUE)
    if number <= 2:
        await _until(lambda: _rowed(trip))
    else:
        await _until(lambda: _waits(pool, trip.id))
    return trip


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await holds():
            return
        await asyncio.sleep(0.2)


async def _has(pool: WorkflowHandle[BoatPool, str], trip: str) -> bool:
    return trip in await pool.query(BoatPool.lent)


async def _waits(pool: WorkflowHandle[BoatPool, str], trip: str) -> bool:
    return trip in await pool.query(BoatPool.waits)


async def _all_back(pool: WorkflowHandle[BoatPool, str]) -> bool:
    return not await pool.query(BoatPool.lent)


async def _new_run(pool: WorkflowHandle[BoatPool, str], first: str | None) -> bool:
    return (await pool.describe()).run_id != first


async def _rowed(trip: WorkflowHandle[Trip, list[str]]) -> bool:
    """Whether the trip has rowed its laps and has nothing to do."""
    events = [event async for event in trip.fetch_history_events()]
    laps = sum(event.HasField("activity_task_completed_event_attributes") for event in events)
    return laps == 2 and events[-1].HasField("workflow_task_completed_event_attributes")


if __name__ == "__main__":
    asyncio.run(main())
