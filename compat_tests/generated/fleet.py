"""Runs programs on targets: many at once, with one worker for each target."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from datetime import timedelta
from functools import partial

from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from compat_tests.env import Env
from compat_tests.generated.activities import hold, step
from compat_tests.generated.board import BOARD
from compat_tests.generated.driver import play
from compat_tests.generated.interpreter import Program
from compat_tests.generated.program import Node
from compat_tests.runner import Run, Runner, TargetPool, difference
from compat_tests.targets import Target

CONCURRENCY = 24
"""Programs at a time, over all targets. They wait more than they work."""

SECOND_LOOKS = 8
"""Runs beside those, of programs that differed: they do not wait behind the seeds that are still to come."""

HEARTBEATS = timedelta(seconds=0.1)
"""How soon a held activity may learn of its cancellation."""


class Fleet(Runner):
    """A `Runner` whose runs share the worker of their target."""

    def __init__(self, pool: TargetPool) -> None:
        super().__init__(pool, concurrency=CONCURRENCY)
        # Programs fail on purpose; writing down each traceback takes longer than running them.
        self._logged = logging.getLogger("temporalio").level
        logging.getLogger("temporalio").setLevel(logging.CRITICAL)
        self._queue = f"queue-{uuid.uuid4().hex[:12]}"
        self._stack = contextlib.AsyncExitStack()
        self._second_slots = asyncio.Semaphore(SECOND_LOOKS)
        self._second_looks: set[str] = set()
        self.failed: list[str] = []
        """Names of programs that differed, for the tests."""
        self._workers: dict[str, asyncio.Task[Worker]] = {}

    def play(self, target: str, program: Node, name: str, repeat: int = 0) -> asyncio.Task[Run]:
        """The run of a program on a target, started now if it was not before."""
        return self.start(target, name, partial(play, program=program), repeat)

    def begin(self, target: str, program: Node, name: str) -> tuple[asyncio.Task[Run], asyncio.Task[Run]]:
        """The runs of a program on the real server and on a target, which may be the real server again."""
        return self.play("temporal", program, name), self.play(target, program, name, int(target == "temporal"))

    async def compare_again(self, target: str, program: Node, name: str) -> str:
        """Like `compare`, at once."""
        self._second_looks.add(name)
        return await self.compare(target, program, name)

    def slots(self, name: str, repeat: int) -> asyncio.Semaphore:
        """Second looks have slots of their own."""
        return self._second_slots if name in self._second_looks else super().slots(name, repeat)

    async def compare(self, target: str, program: Node, name: str) -> str:
        """What differs between the real server and a target; empty if nothing does. Errors count as differences."""
        expected, actual = await asyncio.gather(*self.begin(target, program, name))
        return verdict(expected, actual, target)

    async def close(self) -> None:
        """Stop what runs, and the workers; the targets stay."""
        await super().close()
        BOARD.let_go()
        await self._stack.aclose()
        logging.getLogger("temporalio").setLevel(self._logged)

    async def environment(self, name: str, target: Target) -> Env:
        """An environment on the shared queue."""
        url = target.connection.url
        if url not in self._workers:
            self._workers[url] = asyncio.create_task(self._work(target))
        await asyncio.shield(self._workers[url])
        env = await super().environment(name, target)
        env.share_queue(self._queue, Program)
        return env

    async def _work(self, target: Target) -> Worker:
        worker = Worker(
            target.client,
            task_queue=self._queue,
            workflows=[Program],
            activities=[step, hold],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_activities=1000,
            max_concurrent_local_activities=1000,
            max_heartbeat_throttle_interval=HEARTBEATS,
            default_heartbeat_throttle_interval=HEARTBEATS,
            graceful_shutdown_timeout=timedelta(0),
        )
        return await self._stack.enter_async_context(worker)

    async def proves(self, target: str, program: Node, name: str) -> str:
        """Like `compare`, but only what differs twice in the same way counts, and not what fails on the real server."""
        found = ""
        for number in range(2):
            trial = f"{name} try {number + 1}"
            self._second_looks.add(trial)
            expected, _ = runs = await asyncio.gather(*self.begin(target, program, trial))
            again = "" if expected.error else verdict(*runs, target)
            if not again or (found and again != found):
                return ""
            found = again
        return found


def verdict(expected: Run, actual: Run, target: str) -> str:
    """What is wrong with two runs of a program; empty if nothing is."""
    parts = [
        f"on the real server:\n{expected.error}" if expected.error else "",
        f"on {target}:\n{actual.error}" if actual.error else "",
        difference(expected, actual, ("temporal", target)),
        *(f"does not replay: {error}" for error in [*expected.replay_errors, *actual.replay_errors]),
    ]
    return "\n".join(part for part in parts if part)
