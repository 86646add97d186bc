"""Workflows and activities that tell in which process they ran."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta

from temporalio import activity, workflow

WORKFLOWS = "workflow-processes"
ACTIVITIES = "activity-processes"


@activity.defn
async def process_of_activity() -> str:
    """The name of the process of the activity worker."""
    return multiprocessing.current_process().name


@workflow.defn(sandboxed=False)
class WhereAmI:
    """Returns whether its two activities ran in another process than the workflow."""

    @workflow.run
    async def run(self) -> bool:
        """Whether workflow and activities are apart, and the activities together."""
        limit = timedelta(seconds=30)
        names = [
            await workflow.execute_activity(process_of_activity, task_queue=ACTIVITIES, start_to_close_timeout=limit)
            for _ in range(2)
        ]
        return names[0] == names[1] != multiprocessing.current_process().name
