"""Timers and waiting."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.api.command.v1 import CancelTimerCommandAttributes, Command

from compat_tests.env import Env, seconds
from compat_tests.raw import RawWorker, command, complete_workflow, start_timer
from compat_tests.scenarios.core import Signals, Sleeper


@workflow.defn
class TimerCancelled:
    @workflow.run
    async def run(self) -> str:
        timer = asyncio.create_task(workflow.sleep(100, summary="long"))
        await workflow.sleep(0.1)
        timer.cancel()
        try:
            await timer
        except asyncio.CancelledError:
            return "cancelled"
        return "fired"


@workflow.defn
class TimerCancelledAtOnce:
    """Started and cancelled in one task: nothing reaches the server."""

    @workflow.run
    async def run(self) -> str:
        timer = asyncio.create_task(workflow.sleep(100))
        await asyncio.sleep(0)
        timer.cancel()
        return "ok"


@workflow.defn
class WaitsWithTimeout:
    def __init__(self) -> None:
        self.ready = False

    @workflow.run
    async def run(self, timeout: float) -> str:
        try:
            await workflow.wait_condition(lambda: self.ready, timeout=timeout, timeout_summary="patience")
        except asyncio.TimeoutError:
            return "timed out"
        return "ready"

    @workflow.signal
    def go(self) -> None:
        self.ready = True


@workflow.defn
class ManyTimers:
    @workflow.run
    async def run(self) -> list[int]:
        order: list[int] = []

        async def wait(number: int, delay: float) -> None:
            await workflow.sleep(delay)
            order.append(number)

        await asyncio.gather(wait(1, 3), wait(2, 1))
        return order


def _cancel(timer_id: str) -> Command:
    return command("CANCEL_TIMER", cancel_timer_command_attributes=CancelTimerCommandAttributes(timer_id=timer_id))


async def scenario_timer_cancel(env: Env) -> None:
    async with env.worker(TimerCancelled):
        handle = await env.client.start_workflow(TimerCancelled.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_timer_cancel_at_once(env: Env) -> None:
    async with env.worker(TimerCancelledAtOnce):
        handle = await env.client.start_workflow(TimerCancelledAtOnce.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_timer_zero(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow(Sleeper.run, 0.0, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_timers_fire_in_order(env: Env) -> None:
    async with env.worker(ManyTimers):
        handle = await env.client.start_workflow(ManyTimers.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_wait_condition_timeout(env: Env) -> None:
    async with env.worker(WaitsWithTimeout):
        handle = await env.client.start_workflow(WaitsWithTimeout.run, 0.5, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_wait_condition_met(env: Env) -> None:
    async with env.worker(WaitsWithTimeout):
        handle = await env.client.start_workflow(WaitsWithTimeout.run, 50.0, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.signal(WaitsWithTimeout.go)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_timer_fires_while_task_started(env: Env) -> None:
    """The event is buffered until the task is answered."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(start_timer("t", 1))
    await env.client.get_workflow_handle(workflow_id).signal("go")
    task = await worker.poll()
    await asyncio.sleep(3)
    await worker.complete(task)
    env.record("task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_timer_cancel_of_fired_buffered(env: Env) -> None:
    """The timer fired while the task was started, and the task cancels it: it counts as cancelled."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(start_timer("t", 1))
    await env.client.get_workflow_handle(workflow_id).signal("go")
    task = await worker.poll()
    await asyncio.sleep(3)
    await env.outcome("answer", worker.complete(task, _cancel("t"), complete_workflow()))
    await env.history(workflow_id)


async def scenario_timer_start_and_cancel_in_one_answer(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    await env.outcome("answer", worker.complete(task, start_timer("t", 50), _cancel("t"), start_timer("t", 50)))
    await env.client.get_workflow_handle(workflow_id).signal("go")
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_signal_wakes_before_timer(env: Env) -> None:
    async with env.worker(Signals):
        handle = await env.client.start_workflow(
            Signals.run, 1, id=env.id(), task_queue=env.queue, run_timeout=seconds(60)
        )
        await env.settled(handle)
        await handle.signal(Signals.add, "x")
        await env.outcome("result", handle.result())
        await env.history(handle)
