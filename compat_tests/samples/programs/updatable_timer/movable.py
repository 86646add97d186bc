"""A sleep whose end can be changed."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow


class MovableTimer:
    """Use it inside a workflow."""

    def __init__(self, end: datetime) -> None:
        self.end = end
        self._moved = False

    async def wait(self) -> None:
        """Until the end, whichever it is by then."""
        while True:
            self._moved = False
            left = (self.end - workflow.now()).total_seconds()
            if left <= 0:
                return
            try:
                await workflow.wait_condition(lambda: self._moved, timeout=left)
            except asyncio.TimeoutError:
                return

    def move(self, end: datetime) -> None:
        """Another end."""
        self.end = end
        self._moved = True


def after(seconds: float) -> datetime:
    """On the workflow's clock."""
    return workflow.now() + timedelta(seconds=seconds)
