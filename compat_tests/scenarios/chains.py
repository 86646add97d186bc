"""Chains of runs: continue-as-new, workflow retries, cron."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.command.v1 import Command, ContinueAsNewWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import Memo, WorkflowType
from temporalio.api.common.v1 import RetryPolicy as ProtoRetryPolicy
from temporalio.api.enums.v1 import ContinueAsNewInitiator
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure, TimeoutFailureInfo
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from compat_tests.env import Env, seconds
from compat_tests.raw import RawWorker, command, complete_workflow, fail_workflow, payloads


@workflow.defn
class ContinuesWithAll:
    @workflow.run
    async def run(self, again: bool, queue: str) -> Any:
        if again:
            workflow.continue_as_new(
                args=[False, queue],
                task_queue=queue,
                run_timeout=timedelta(seconds=50),
                task_timeout=timedelta(seconds=5),
                memo={"new": True},
                retry_policy=RetryPolicy(maximum_attempts=2),
            )
        info = workflow.info()
        return [info.continued_run_id, info.attempt, workflow.memo(), str(info.run_timeout), str(info.task_timeout)]


@workflow.defn(name="Other")
class Other:
    @workflow.run
    async def run(self, text: str) -> str:
        return f"other {text}"


@workflow.defn
class BecomesOther:
    @workflow.run
    async def run(self) -> None:
        workflow.continue_as_new("x", workflow=Other.run)


@workflow.defn
class CarriesSignals:
    """Signals that come with the last task are handed on."""

    def __init__(self) -> None:
        self._signals: list[str] = []

    @workflow.run
    async def run(self, carried: list[str]) -> list[str]:
        if carried:
            return carried
        await workflow.wait_condition(lambda: bool(self._signals))
        workflow.continue_as_new(self._signals)

    @workflow.signal
    def add(self, text: str) -> None:
        self._signals.append(text)


@workflow.defn
class FailsUntil:
    @workflow.run
    async def run(self, attempt: int, kind: str) -> Any:
        info = workflow.info()
        if info.attempt < attempt:
            if kind == "delay":
                raise ApplicationError("later", next_retry_delay=timedelta(seconds=1))
            raise ApplicationError(f"attempt {info.attempt}", type=kind, non_retryable=kind == "final")
        return [info.attempt, workflow.get_last_completion_result(), str(workflow.get_last_failure())]

    @workflow.query
    def nothing(self) -> None:
        return None


@workflow.defn
class Cron:
    @workflow.run
    async def run(self, fail_on: int) -> int:
        last = workflow.get_last_completion_result(int) if workflow.has_last_completion_result() else 0
        number = (last or 0) + 1
        if number == fail_on and workflow.get_last_failure() is None:
            raise ApplicationError(f"run {number} fails")
        return number


async def scenario_continue_as_new_with_all(env: Env) -> None:
    other = env.unique("other")
    async with env.worker(ContinuesWithAll), env.worker(ContinuesWithAll, queue=other):
        handle = await env.client.start_workflow(
            ContinuesWithAll.run,
            args=[True, other],
            id=env.id(),
            task_queue=env.queue,
            memo={"old": 1},
            execution_timeout=seconds(90),
            static_summary="kept?",
        )
        await env.outcome("result", handle.result())
        await env.chain(handle.id, handle.first_execution_run_id or "")
        env.record("description", (await env.client.get_workflow_handle(handle.id).describe()).raw_description)


async def scenario_continue_as_new_other_type(env: Env) -> None:
    async with env.worker(BecomesOther, Other):
        handle = await env.client.start_workflow(BecomesOther.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.chain(handle.id, handle.first_execution_run_id or "")


async def scenario_continue_as_new_carries_signals(env: Env) -> None:
    async with env.worker(CarriesSignals):
        handle = await env.client.start_workflow(CarriesSignals.run, list[str](), id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.signal(CarriesSignals.add, "x")
        await env.outcome("result", handle.result())
        await env.chain(handle.id, handle.first_execution_run_id or "")


def _continue(**fields: Any) -> Command:
    attributes = ContinueAsNewWorkflowExecutionCommandAttributes(**fields)
    return command(
        "CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=attributes
    )


async def scenario_continue_as_new_defaults(env: Env) -> None:
    """An empty command: what is taken over from the old run."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = await env.start_raw(
        workflow_id,
        input=payloads('"old"'),
        memo=Memo(fields={"m": payloads("1").payloads[0]}),
        workflow_execution_timeout=Duration(seconds=80),
        workflow_run_timeout=Duration(seconds=70),
        workflow_task_timeout=Duration(seconds=9),
        retry_policy=ProtoRetryPolicy(maximum_attempts=2),
    )
    await worker.run_task(_continue())
    await worker.run_task(complete_workflow())
    await env.chain(workflow_id, first.run_id)


async def scenario_continue_as_new_of_an_old_run(env: Env) -> None:
    """A run that took more than a second is followed at once."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = await env.start_raw(workflow_id)
    task = await worker.poll()
    await asyncio.sleep(1.5)
    await worker.complete(task, _continue())
    await worker.run_task(complete_workflow())
    await env.chain(workflow_id, first.run_id)


async def scenario_continue_as_new_explicit(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    first = await env.start_raw(workflow_id)
    other = env.unique("other")
    answer = _continue(
        workflow_type=WorkflowType(name="Next"),
        task_queue=TaskQueue(name=other),
        input=payloads("2"),
        memo=Memo(fields={"m": payloads("2").payloads[0]}),
        workflow_run_timeout=Duration(seconds=60),
        workflow_task_timeout=Duration(seconds=3),
        retry_policy=ProtoRetryPolicy(maximum_attempts=7),
        backoff_start_interval=Duration(seconds=2),
        initiator=ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW,
    )
    await worker.run_task(answer)
    await RawWorker(env, other).run_task(complete_workflow())
    await env.chain(workflow_id, first.run_id)


async def scenario_continue_as_new_buffered_signal(env: Env) -> None:
    """A run may not continue as new over a signal that it has not seen."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = await env.start_raw(workflow_id)
    task = await worker.poll()
    await env.client.get_workflow_handle(workflow_id).signal("s")
    await env.outcome("answer", worker.complete(task, _continue()))
    await worker.run_task(_continue())
    await worker.run_task(complete_workflow())
    await env.chain(workflow_id, first.run_id)


async def scenario_terminate_by_first_run_id(env: Env) -> None:
    """The handle of a chain's first run reaches the current run."""
    workflow_id, worker = env.id(), RawWorker(env)
    handle = await env.client.start_workflow("Raw", id=workflow_id, task_queue=env.queue)
    await worker.run_task(_continue())
    await worker.poll()
    await env.outcome(
        "signal the first run", env.client.get_workflow_handle(workflow_id, run_id=handle.result_run_id).signal("s")
    )
    await env.outcome("terminate", handle.terminate())
    await env.outcome("result", handle.result())
    await env.outcome("result without following", handle.result(follow_runs=False))
    await env.chain(workflow_id, handle.first_execution_run_id or "")


async def _retry(env: Env, attempt: int, kind: str, policy: RetryPolicy, **options: Any) -> None:
    async with env.worker(FailsUntil):
        handle = await env.client.start_workflow(
            FailsUntil.run, args=[attempt, kind], id=env.id(), task_queue=env.queue, retry_policy=policy, **options
        )
        await env.outcome("result", handle.result())
        await env.outcome("result of the first run", handle.result(follow_runs=False))
        await env.chain(handle.id, handle.first_execution_run_id or "")


FAST = RetryPolicy(initial_interval=seconds(1), backoff_coefficient=2, maximum_attempts=3)


async def scenario_workflow_retry_success(env: Env) -> None:
    await _retry(env, 2, "Again", FAST)


async def scenario_workflow_retry_exhausted(env: Env) -> None:
    await _retry(env, 9, "Again", RetryPolicy(initial_interval=seconds(1), maximum_attempts=2))


async def scenario_workflow_retry_non_retryable(env: Env) -> None:
    await _retry(env, 2, "final", FAST)


async def scenario_workflow_retry_listed_type(env: Env) -> None:
    await _retry(env, 2, "Listed", RetryPolicy(maximum_attempts=3, non_retryable_error_types=["Listed"]))


async def scenario_workflow_retry_next_delay(env: Env) -> None:
    await _retry(env, 2, "delay", RetryPolicy(initial_interval=seconds(50), maximum_attempts=3))


async def scenario_workflow_retry_after_run_timeout(env: Env) -> None:
    """A run that timed out is retried without a worker."""
    policy = RetryPolicy(initial_interval=seconds(1), maximum_attempts=2)
    handle = await env.client.start_workflow(
        "Raw", id=env.id(), task_queue=env.queue, run_timeout=seconds(1), retry_policy=policy
    )
    await env.outcome("result", handle.result())
    await env.chain(handle.id, handle.first_execution_run_id or "")


async def scenario_workflow_retry_past_execution_timeout(env: Env) -> None:
    """No retry that could only start after the execution timeout."""
    await _retry(env, 2, "Again", RetryPolicy(initial_interval=seconds(100)), execution_timeout=seconds(20))


async def scenario_workflow_retry_of_failures(env: Env) -> None:
    """Which failures a workflow's retry policy retries."""
    failures = {
        "empty": Failure(message="e"),
        "application": Failure(message="a", application_failure_info=ApplicationFailureInfo(type="T")),
        "timeout": Failure(message="t", timeout_failure_info=TimeoutFailureInfo()),
    }
    worker = RawWorker(env)
    for name, failure in failures.items():
        workflow_id = env.id(name)
        policy = ProtoRetryPolicy(initial_interval=Duration(seconds=30), maximum_attempts=2)
        first = await env.start_raw(workflow_id, retry_policy=policy)
        await worker.run_task(fail_workflow(failure))
        await env.chain(workflow_id, first.run_id)
        await env.outcome("terminate", env.client.get_workflow_handle(workflow_id).terminate())


async def _cron(env: Env, fail_on: int, runs: int) -> None:
    async with env.worker(Cron):
        handle = await env.client.start_workflow(
            Cron.run, fail_on, id=env.id(), task_queue=env.queue, cron_schedule="@every 1s", memo={"m": 1}
        )
        run_id = handle.first_execution_run_id or ""
        for number in range(1, runs + 1):
            run = env.client.get_workflow_handle(handle.id, run_id=run_id)
            await env.outcome(f"result of run {number}", run.result(follow_runs=False))
            await env.history(run, f"history of run {number}")
            last = (await env.fetch_history(handle.id, run_id)).events[-1]
            run_id = getattr(last, str(last.WhichOneof("attributes"))).new_execution_run_id
    await env.client.get_workflow_handle(handle.id).terminate()


async def scenario_cron(env: Env) -> None:
    await _cron(env, 0, 2)


async def scenario_cron_after_failure(env: Env) -> None:
    """A failed run is followed by the next one, which sees the failure and the last result."""
    await _cron(env, 2, 3)


@workflow.defn
class ChangesMemoOnce:
    """Fails or completes in its first run, after it has changed its memo."""

    @workflow.run
    async def run(self, fail: bool) -> str:
        before = str(sorted(workflow.memo().items()))
        if workflow.info().continued_run_id is None:
            workflow.patched("patch")
            workflow.upsert_memo({"changed": "new", "removed": None})
            await workflow.sleep(0.01)
            if fail:
                raise ApplicationError("first")
        return before


async def scenario_workflow_retry_forgets_changed_memo(env: Env) -> None:
    """A retried run has the memo that the first was started with, and none of its search attributes."""
    policy = RetryPolicy(initial_interval=seconds(1), maximum_attempts=2)
    async with env.worker(ChangesMemoOnce):
        handle = await env.client.start_workflow(
            ChangesMemoOnce.run,
            True,
            id=env.id(),
            task_queue=env.queue,
            memo={"changed": "old", "removed": 1},
            retry_policy=policy,
        )
        await env.outcome("result", handle.result())
        await env.chain(handle.id, handle.first_execution_run_id or "")


async def scenario_cron_forgets_changed_memo(env: Env) -> None:
    """So has the run of the next tick."""
    async with env.worker(ChangesMemoOnce):
        handle = await env.client.start_workflow(
            ChangesMemoOnce.run,
            False,
            id=env.id(),
            task_queue=env.queue,
            memo={"changed": "old", "removed": 1},
            cron_schedule="@every 1s",
        )
        run_id = handle.first_execution_run_id or ""
        first = env.client.get_workflow_handle(handle.id, run_id=run_id)
        await env.wait_event(first, "WORKFLOW_EXECUTION_COMPLETED")
        closed = (await env.fetch_history(handle.id, run_id)).events[-1].workflow_execution_completed_event_attributes
        second = env.client.get_workflow_handle(handle.id, run_id=closed.new_execution_run_id)
        await env.wait_event(second, "WORKFLOW_EXECUTION_COMPLETED")
        await env.client.get_workflow_handle(handle.id).terminate()
        await env.history(second)


async def scenario_cron_cancel_between_runs(env: Env) -> None:
    """Waiting for a far run: cancel ends the wait, terminate ends the chain."""
    handle = await env.client.start_workflow(Cron.run, 0, id=env.id(), task_queue=env.queue, cron_schedule="0 0 1 1 *")
    env.record("status", (await handle.describe()).status)
    await handle.cancel()
    async with env.worker(Cron):
        await env.outcome("result", handle.result(follow_runs=False))
    await env.history(handle)
    current = env.client.get_workflow_handle(handle.id)
    await env.outcome("terminate", current.terminate())


async def scenario_cron_continue_as_new(env: Env) -> None:
    """A cron workflow that continues as new keeps its schedule only if the command names it."""
    for name, schedule in (("dropped", ""), ("kept", "@every 1s")):
        workflow_id, worker = env.id(name), RawWorker(env)
        first = await env.start_raw(workflow_id, cron_schedule="@every 1s")
        await worker.run_task(_continue(cron_schedule=schedule))
        await worker.run_task(complete_workflow())
        await env.outcome("terminate", env.client.get_workflow_handle(workflow_id).terminate())
        await env.chain(workflow_id, first.run_id)
