"""A workflow with an async activity and one that blocks."""

from __future__ import annotations

import time
from datetime import timedelta

from temporalio import activity, workflow

QUEUE = "gevent-async"


@activity.defn
async def greet(name: str) -> str:
    """In the event loop."""
    return f"Hello, {name}"


@activity.defn
def greet_slowly(name: str) -> str:
    """In a thread."""
    time.sleep(0.01)
    return f"Good evening, {name}"


@workflow.defn
class Greetings:
    """Greets twice."""

    @workflow.run
    async def run(self, name: str) -> list[str]:
        """Both greetings."""
        limit = timedelta(seconds=30)
        return [
            await workflow.execute_activity(greet, name, start_to_close_timeout=limit),
            await workflow.execute_activity(greet_slowly, name, start_to_close_timeout=limit),
        ]
