"""A workflow whose activities sleep, one in Trio's loop and one in a thread."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import cast

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    import trio
    import trio_asyncio

QUEUE = "trio-async"


@activity.defn
async def in_the_loop(name: str) -> str:
    """An activity in Trio's loop: within asyncio's world it may call Trio's."""

    async def trio_part() -> str:
        await trio.sleep(0.01)
        return f"{name} slept in Trio"

    return await cast("Callable[[], Awaitable[str]]", trio_asyncio.trio_as_aio(trio_part))()


@activity.defn
def in_a_thread(name: str) -> str:
    """An activity in one of Trio's threads."""
    time.sleep(0.01)
    activity.heartbeat("slept")
    return f"{name} slept in a thread"


@workflow.defn
class SleepTwice:
    """Runs both activities."""

    @workflow.run
    async def run(self, name: str) -> list[str]:
        """What they said."""
        limit = timedelta(seconds=30)
        return [
            await workflow.execute_activity(in_the_loop, name, start_to_close_timeout=limit),
            await workflow.execute_activity(in_a_thread, name, start_to_close_timeout=limit),
        ]
