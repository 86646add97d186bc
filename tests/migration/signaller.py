"""Sends numbers to workflows while they are moved: where they were, and once they are not there, where they go."""

from __future__ import annotations

import asyncio
import time

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

PATIENCE_SECONDS = 90.0


class Signaller:
    """Each number is acknowledged by one side, or the test fails."""

    def __init__(self, source: Client, target: Client) -> None:
        self._source = source
        self._target = target
        self.on_target = 0

    async def send(self, workflow_id: str, number: int, name: str = "number") -> None:
        """Send one, and wait until a side has it."""
        try:
            await self._source.get_workflow_handle(workflow_id).signal(name, number)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            await self.send_to_target(workflow_id, number, name)

    async def send_to_target(self, workflow_id: str, number: int, name: str) -> None:
        """It is not on the source any more; it may be on its way."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                await self._target.get_workflow_handle(workflow_id).signal(name, number)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
            else:
                self.on_target += 1
                return

    async def count(
        self, workflow_id: str, count: int, pause: float, *, last_after: asyncio.Event | None = None
    ) -> None:
        """Send the numbers from 0 on, one after the other; the last one not before ``last_after`` is set."""
        for number in range(count):
            if number == count - 1 and last_after is not None:
                await last_after.wait()
            await self.send(workflow_id, number)
            await asyncio.sleep(pause)
