"""A schedule: a workflow every second, each run with the result of the one before; paused, triggered, deleted.

python examples/schedule.py
HOTMESH_CONNECTION=postgresql://localhost/mydatabase python examples/schedule.py
"""

import asyncio
import uuid
from datetime import timedelta

from hotmesh_temporal import workflow
from hotmesh_temporal.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from hotmesh_temporal.worker import Worker


@workflow.defn
class Count:
    @workflow.run
    async def run(self) -> int:
        return (workflow.get_last_completion_result(int) or 0) + 1


async def results(client: Client, schedule: ScheduleHandle, count: int) -> list[int]:
    """The results of the first runs, as soon as there are so many."""
    actions = (await schedule.describe()).info.recent_actions
    while len(actions) < count:
        await asyncio.sleep(0.1)
        actions = (await schedule.describe()).info.recent_actions
    started = [each.action for each in actions[:count]]
    ids = [each.workflow_id for each in started if isinstance(each, ScheduleActionExecutionStartWorkflow)]
    return [await client.get_workflow_handle(each, result_type=int).result() for each in ids]


async def main() -> None:
    client = await Client.connect()
    async with Worker(client, task_queue="counting", workflows=[Count]):
        schedule = await client.create_schedule(
            f"every-second-{uuid.uuid4()}",
            Schedule(
                action=ScheduleActionStartWorkflow(Count.run, id="count", task_queue="counting"),
                spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=1))]),
                policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ALL),
            ),
        )
        print("results:", await results(client, schedule, 3))
        await schedule.pause(note="that is enough")
        description = await schedule.describe()
        print("paused:", description.schedule.state.paused, "-", description.schedule.state.note)
        await schedule.trigger()
        print("one more:", (await results(client, schedule, 4))[-1])
        await schedule.delete()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
