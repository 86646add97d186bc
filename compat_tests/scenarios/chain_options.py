"""Chains of runs: what each next run takes over, when it may not come, and who may name which run."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Header, RetryPolicy, SearchAttributes, WorkflowExecution
from temporalio.api.enums.v1 import ContinueAsNewInitiator as Initiator
from temporalio.api.enums.v1 import ContinueAsNewVersioningBehavior as Behavior
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure, TimeoutFailureInfo
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from compat_tests.env import NAMESPACE, Env
from compat_tests.raw import RawWorker, complete_workflow, fail_workflow, payloads, start_timer
from compat_tests.raw_commands import FAILURE, FINAL, cancel_workflow, continue_as_new, memo, payload, upsert_memo
from compat_tests.targets import IDENTITY

RETRY = RetryPolicy(maximum_attempts=3)


async def _begun(env: Env, **fields: Any) -> tuple[str, str, RawWorker]:
    workflow_id = env.id()
    response = await env.start_raw(workflow_id, **fields)
    return workflow_id, response.run_id, RawWorker(env)


async def scenario_continue_as_new_initiators(env: Env) -> None:
    """A worker may say that it continues for a retry or for cron, and give the failure and the last result."""
    for name in ("UNSPECIFIED", "WORKFLOW", "RETRY", "CRON_SCHEDULE"):
        workflow_id, worker = env.id(name), RawWorker(env)
        first = await env.start_raw(workflow_id)
        answer = continue_as_new(
            initiator=Initiator.Value(f"CONTINUE_AS_NEW_INITIATOR_{name}"),
            failure=FAILURE,
            last_completion_result=payloads('"last"'),
            input=payloads('"next"'),
            header=Header(fields={"h": payload("1")}),
        )
        await env.outcome(name, worker.complete(await worker.poll(), answer))
        await worker.run_task(complete_workflow())
        await env.chain(workflow_id, first.run_id)


async def scenario_continue_as_new_with_search_attributes(env: Env) -> None:
    """Given ones replace, none means that they are taken over."""
    attribute = payload('"one"')
    attribute.metadata["type"] = b"Keyword"
    attributes = SearchAttributes(indexed_fields={"BatcherUser": attribute})
    workflow_id, first, worker = await _begun(env, search_attributes=attributes)
    await worker.run_task(continue_as_new())
    env.record("second run", (await env.client.get_workflow_handle(workflow_id).describe()).raw_description)
    other = payload('"two"')
    other.metadata["type"] = b"Keyword"
    await worker.run_task(continue_as_new(search_attributes=SearchAttributes(indexed_fields={"BatcherUser": other})))
    await worker.run_task(complete_workflow())
    await env.chain(workflow_id, first)


async def scenario_continue_as_new_and_memo(env: Env) -> None:
    """A memo that was changed on the way, and one that the command gives."""
    workflow_id, first, worker = await _begun(env, memo=memo(a="1", b="2"))
    await worker.run_task(upsert_memo(b="3", c="4"), continue_as_new())
    await worker.run_task(continue_as_new(memo=memo(d="5")))
    env.record("third run", (await env.client.get_workflow_handle(workflow_id).describe()).raw_description)
    await worker.run_task(complete_workflow())
    await env.chain(workflow_id, first)


async def scenario_continue_as_new_then_retry(env: Env) -> None:
    """A retry policy given with continue-as-new; the attempts are counted from the new run on."""
    workflow_id, first, worker = await _begun(env, retry_policy=RETRY)
    await worker.run_task(fail_workflow(FAILURE))
    await worker.run_task(continue_as_new(retry_policy=RetryPolicy(maximum_attempts=2), input=payloads("2")))
    await worker.run_task(fail_workflow(FAILURE))
    await worker.run_task(fail_workflow(FAILURE))
    await env.chain(workflow_id, first)


async def scenario_continue_as_new_drops_the_retry_policy(env: Env) -> None:
    """A command without a policy."""
    workflow_id, first, worker = await _begun(env, retry_policy=RETRY)
    await worker.run_task(continue_as_new())
    await worker.run_task(fail_workflow(FAILURE))
    await env.chain(workflow_id, first)


async def scenario_continue_as_new_timeouts(env: Env) -> None:
    """A run timeout beyond the execution timeout, a task timeout beyond the run timeout."""
    workflow_id, first, worker = await _begun(env, workflow_execution_timeout=Duration(seconds=50))
    answer = continue_as_new(workflow_run_timeout=Duration(seconds=500), workflow_task_timeout=Duration(seconds=100))
    await worker.run_task(answer)
    await worker.run_task(continue_as_new(workflow_run_timeout=Duration(seconds=4)))
    await worker.run_task(complete_workflow())
    await env.chain(workflow_id, first)


async def scenario_continue_as_new_ends_with_the_execution(env: Env) -> None:
    """The execution timeout is counted from the first run; it ends a run that never got a task."""
    workflow_id, first, worker = await _begun(env, workflow_execution_timeout=Duration(seconds=2))
    await worker.run_task(continue_as_new(backoff_start_interval=Duration(seconds=30)))
    await env.wait_event(workflow_id, "WORKFLOW_EXECUTION_TIMED_OUT")
    await env.chain(workflow_id, first)


async def scenario_continue_as_new_versioning(env: Env) -> None:
    """Fields of worker versioning in a workflow that is not versioned."""
    workflow_id, first, worker = await _begun(env)
    await worker.run_task(continue_as_new(inherit_build_id=True))
    await worker.run_task(complete_workflow())
    await env.chain(workflow_id, first)


async def scenario_continue_as_new_becomes_cron(env: Env) -> None:
    """A schedule given with continue-as-new holds for all that follows."""
    workflow_id, first, worker = await _begun(env)
    await worker.run_task(continue_as_new(cron_schedule="@every 1s"))
    await worker.run_task(complete_workflow())
    await worker.run_task(cancel_workflow())
    await env.chain(workflow_id, first)


async def scenario_retry_of_timeouts_that_a_workflow_fails_with(env: Env) -> None:
    """Names of timeouts among the errors that are not retried."""
    kinds = {"TIMEOUT_TYPE_START_TO_CLOSE": "StartToClose", "TIMEOUT_TYPE_HEARTBEAT": "Heartbeat"}
    worker = RawWorker(env)
    for kind, name in kinds.items():
        for listed in (f"TemporalTimeout:{name}", "TemporalTimeout:ScheduleToClose"):
            workflow_id = env.id(f"{name}-{listed[16:]}")
            policy = RetryPolicy(initial_interval=Duration(seconds=60), non_retryable_error_types=[listed])
            first = await env.start_raw(workflow_id, retry_policy=policy)
            info = TimeoutFailureInfo(timeout_type=TimeoutType.Value(kind))
            await worker.run_task(fail_workflow(Failure(message="t", timeout_failure_info=info)))
            await env.chain(workflow_id, first.run_id)
            await env.outcome("end", env.client.get_workflow_handle(workflow_id).terminate())


async def scenario_retry_keeps_what_the_run_changed(env: Env) -> None:
    """Memo as changed; attempt, failure of the last run, input as given."""
    workflow_id, first, worker = await _begun(env, retry_policy=RETRY, memo=memo(a="1"), input=payloads("7"))
    await worker.run_task(upsert_memo(b="2"), fail_workflow(FAILURE))
    env.record("description", (await env.client.get_workflow_handle(workflow_id).describe()).raw_description)
    env.record("task", await worker.run_task(fail_workflow(FINAL)))
    await env.chain(workflow_id, first)


async def scenario_retry_next_delay_beyond_the_maximum(env: Env) -> None:
    """A delay that the failure asks for is taken even if it is longer than the policy's maximum."""
    policy = RetryPolicy(maximum_interval=Duration(seconds=2), initial_interval=Duration(seconds=1))
    workflow_id, first, worker = await _begun(env, retry_policy=policy)
    info = ApplicationFailureInfo(type="Later", next_retry_delay=Duration(seconds=60))
    await worker.run_task(fail_workflow(Failure(message="later", application_failure_info=info)))
    await env.chain(workflow_id, first)
    env.record("description", (await env.client.get_workflow_handle(workflow_id).describe()).raw_description)


async def scenario_retry_is_not_for_cancel_or_terminate(env: Env) -> None:
    workflow_id, first, worker = await _begun(env, retry_policy=RETRY)
    await worker.run_task(cancel_workflow())
    await env.chain(workflow_id, first)
    second = await env.start_raw(workflow_id, retry_policy=RETRY)
    await env.client.get_workflow_handle(workflow_id).terminate()
    await env.chain(workflow_id, second.run_id)


async def scenario_retry_with_start_delay(env: Env) -> None:
    """The delay of the start is not repeated."""
    policy = RetryPolicy(maximum_attempts=2)
    workflow_id, first, worker = await _begun(env, retry_policy=policy, workflow_start_delay=Duration(seconds=2))
    await worker.run_task(fail_workflow(FAILURE))
    await worker.run_task(fail_workflow(FAILURE))
    await env.chain(workflow_id, first)


async def scenario_retry_beyond_the_execution(env: Env) -> None:
    """A run that times out with the whole execution is not retried."""
    workflow_id, first, _ = await _begun(env, retry_policy=RETRY, workflow_execution_timeout=Duration(seconds=1))
    await env.wait_event(workflow_id, "WORKFLOW_EXECUTION_TIMED_OUT")
    await env.chain(workflow_id, first)


async def scenario_cron_with_retries(env: Env) -> None:
    """Retries of a run come first, the next tick after the last of them."""
    policy = RetryPolicy(maximum_attempts=2)
    workflow_id, first, worker = await _begun(env, retry_policy=policy, cron_schedule="@every 1s")
    await worker.run_task(fail_workflow(FAILURE))
    await worker.run_task(fail_workflow(FAILURE))
    await worker.run_task(cancel_workflow())
    await env.chain(workflow_id, first)


async def scenario_cron_keeps_the_last_result(env: Env) -> None:
    """The result of the last run that succeeded is given to those after a failure; an empty one replaces it."""
    workflow_id, first, worker = await _begun(env, cron_schedule="@every 1s", memo=memo(a="1"))
    await worker.run_task(upsert_memo(a="2"), complete_workflow('"one"'))
    await worker.run_task(fail_workflow(FAILURE))
    await worker.run_task(complete_workflow("null"))
    await worker.run_task(cancel_workflow())
    await env.chain(workflow_id, first)


async def scenario_cron_run_times_out(env: Env) -> None:
    """A run that times out is followed by the next tick."""
    workflow_id, first, worker = await _begun(env, cron_schedule="@every 1s", workflow_run_timeout=Duration(seconds=1))
    await env.wait_event(env.client.get_workflow_handle(workflow_id, run_id=first), "WORKFLOW_EXECUTION_TIMED_OUT")
    await worker.run_task(cancel_workflow())
    await env.chain(workflow_id, first)


async def scenario_cron_waits_longer_than_the_execution(env: Env) -> None:
    """Does the wait for the first tick count for the execution timeout?"""
    workflow_id, first, _ = await _begun(env, cron_schedule="0 0 1 1 *", workflow_execution_timeout=Duration(seconds=1))
    await asyncio.sleep(2.5)
    await env.outcome("terminate", env.client.get_workflow_handle(workflow_id).terminate())
    history = await env.fetch_history(workflow_id, first)
    env.record("kinds", [event.event_type for event in history.events])


async def scenario_cron_canceled_while_running(env: Env) -> None:
    workflow_id, first, worker = await _begun(env, cron_schedule="@every 1s")
    await worker.run_task(start_timer("t", 100))
    await env.client.get_workflow_handle(workflow_id).cancel()
    await worker.run_task(cancel_workflow())
    await env.chain(workflow_id, first)
    env.record("description", (await env.client.get_workflow_handle(workflow_id).describe()).raw_description)


async def scenario_first_run_id_checks(env: Env) -> None:
    """Cancel and terminate by the first run of a chain, alone, with a run id, and with one of another chain."""
    workflow_id, first, worker = await _begun(env)
    await worker.run_task(continue_as_new())
    await worker.run_task()
    current = (await env.client.get_workflow_handle(workflow_id).describe()).run_id
    stranger = str(uuid.uuid4())

    async def both(label: str, run_id: str, first_run_id: str) -> None:
        fields: dict[str, Any] = {
            "namespace": NAMESPACE,
            "workflow_execution": WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            "first_execution_run_id": first_run_id,
            "identity": IDENTITY,
        }
        cancel = RequestCancelWorkflowExecutionRequest(**fields)
        await env.outcome(f"cancel {label}", env.rpc.request_cancel_workflow_execution(cancel))
        end = TerminateWorkflowExecutionRequest(**fields)
        await env.outcome(f"terminate {label}", env.rpc.terminate_workflow_execution(end))

    await both("another chain", "", stranger)
    await both("another chain, current run", current, stranger)
    await both("the chain, its closed run", first, first)
    await both("not a run id", "", "x")
    await both("the current run as the first", "", current)
    await both("the chain", "", first)
    await env.chain(workflow_id, first)


async def scenario_continue_as_new_versioning_behavior(env: Env) -> None:
    """How a refusal looks, or that it is of no effect here."""
    workflow_id, first, worker = await _begun(env)
    value = Behavior.CONTINUE_AS_NEW_VERSIONING_BEHAVIOR_AUTO_UPGRADE
    await env.outcome(
        "answer", worker.complete(await worker.poll(), continue_as_new(initial_versioning_behavior=value))
    )
    await env.history(env.client.get_workflow_handle(workflow_id, run_id=first))
