"""Reading histories over several runs, and page tokens that are forged, foreign or old."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.api.common.v1 import RetryPolicy, WorkflowExecution
from temporalio.api.enums.v1 import HistoryEventFilterType
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
)

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, complete_workflow, fail_workflow, start_timer
from compat_tests.raw_commands import FAILURE, continue_as_new

CLOSE = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT


async def _get(env: Env, workflow_id: str, run_id: str = "", **fields: Any) -> GetWorkflowExecutionHistoryResponse:
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    defaults: dict[str, Any] = {"namespace": NAMESPACE, "execution": execution}
    request = GetWorkflowExecutionHistoryRequest(**{**defaults, **fields})
    return await env.rpc.get_workflow_execution_history(request, timeout=seconds(20))


async def _get_reverse(env: Env, workflow_id: str, run_id: str = "", **fields: Any) -> Any:
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    defaults: dict[str, Any] = {"namespace": NAMESPACE, "execution": execution}
    request = GetWorkflowExecutionHistoryReverseRequest(**{**defaults, **fields})
    return await env.rpc.get_workflow_execution_history_reverse(request, timeout=seconds(20))


def _seen(response: Any) -> list[Any]:
    """Which events, and whether there is more."""
    ids = [(event.event_id, event.event_type) for event in response.history.events]
    return [ids, bool(response.next_page_token)]


async def _chain(env: Env) -> tuple[str, str, str, RawWorker]:
    """A workflow that continued as new; its second run is open and idle."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = (await env.start_raw(workflow_id)).run_id
    await worker.run_task(continue_as_new())
    await worker.run_task()
    second = (await env.client.get_workflow_handle(workflow_id).describe()).run_id
    return workflow_id, first, second, worker


async def scenario_history_of_each_run(env: Env) -> None:
    """Without a run id the current run; by run id each; the close event of each."""
    workflow_id, first, second, worker = await _chain(env)
    for name, run_id in (("current", ""), ("first", first), ("second", second)):
        env.record(name, _seen(await _get(env, workflow_id, run_id)))
        env.record(f"{name}, close", _seen(await _get(env, workflow_id, run_id, history_event_filter_type=CLOSE)))
        env.record(f"{name}, reverse", _seen(await _get_reverse(env, workflow_id, run_id)))
    waiting = asyncio.create_task(_get(env, workflow_id, history_event_filter_type=CLOSE, wait_new_event=True))
    at_once = await _get(env, workflow_id, first, history_event_filter_type=CLOSE, wait_new_event=True)
    env.record("first, close, waiting", _seen(at_once))
    await env.client.get_workflow_handle(workflow_id).signal("go")
    await worker.run_task(complete_workflow())
    env.record("current, close, waited", _seen(await waiting))


async def scenario_history_long_poll_over_the_end_of_a_run(env: Env) -> None:
    """Waiting for news of the current run: it ends with continue-as-new; the token belongs to that run."""
    workflow_id, _, second, worker = await _chain(env)
    page = await _get(env, workflow_id, wait_new_event=True)
    env.record("at once", _seen(page))
    waiting = asyncio.create_task(_get(env, workflow_id, wait_new_event=True, next_page_token=page.next_page_token))
    await asyncio.sleep(0.2)
    await env.client.get_workflow_handle(workflow_id).terminate()
    env.record("news", _seen(await waiting))
    await env.start_raw(workflow_id)
    old = _get(env, workflow_id, wait_new_event=True, next_page_token=page.next_page_token)
    env.record("the old token goes on with the old run", _seen(await old))
    env.record("the new run", _seen(await _get(env, workflow_id)))
    env.record("the second run", _seen(await _get(env, workflow_id, second)))
    await worker.run_task(complete_workflow())


async def scenario_history_old_token_after_more_events(env: Env) -> None:
    """A page token of a run that has grown since: it ends with the first page beyond the old end."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(start_timer("a", 100))
    page = await _get(env, workflow_id, maximum_page_size=1)
    env.record("first page", _seen(page))
    await env.client.get_workflow_handle(workflow_id).signal("go")
    await worker.run_task(complete_workflow())
    token, seen = page.next_page_token, list[int]()
    while token:
        following = await _get(env, workflow_id, maximum_page_size=1, next_page_token=token)
        seen += [event.event_id for event in following.history.events]
        token = following.next_page_token
    env.record("the rest", seen)
    waiting = await _get(env, workflow_id, wait_new_event=True, next_page_token=page.next_page_token)
    env.record("the rest, waiting", _seen(waiting))


async def scenario_history_tokens_that_are_not_ours(env: Env) -> None:
    """Nonsense, a token of another workflow, of another run, of the other direction."""
    workflow_id, first, second, _ = await _chain(env)
    other = env.id("other")
    await env.start_raw(other)
    tokens = {
        "nonsense": b"nonsense",
        "empty object": b"{}",
        "another workflow": (await _get(env, other, wait_new_event=True)).next_page_token,
        "another run": (await _get(env, workflow_id, first, maximum_page_size=1)).next_page_token,
        "reverse": (await _get_reverse(env, workflow_id, second, maximum_page_size=1)).next_page_token,
    }
    for name, token in tokens.items():
        if name != "reverse":  # forward, the server reads it as some place or other
            await _outcome(env, f"{name}, by id", _get(env, workflow_id, next_page_token=token))
            await _outcome(env, f"{name}, by run", _get(env, workflow_id, second, next_page_token=token))
        await _outcome(env, f"{name}, reverse", _get_reverse(env, workflow_id, second, next_page_token=token))


async def _outcome(env: Env, label: str, work: Any) -> None:
    """Record an error as it is, and of an answer only which events it has."""
    try:
        env.record(label, _seen(await work))
    except Exception as error:
        env.record(label, error)


async def scenario_history_cut_tokens(env: Env) -> None:
    """A token that lost its end, or got one more byte: an error, never other events."""
    workflow_id, _, second, _ = await _chain(env)
    token = (await _get(env, workflow_id, second, maximum_page_size=1)).next_page_token
    for name, broken in (("cut", token[:-3]), ("longer", token + b"x")):
        try:
            await _get(env, workflow_id, second, next_page_token=broken)
            env.record(name, "accepted")
        except Exception as error:
            env.record(name, error)


async def scenario_history_of_a_retried_run(env: Env) -> None:
    """A client that does not say that it follows chains sees a failed run that is retried as continued."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = (await env.start_raw(workflow_id, retry_policy=RetryPolicy(maximum_attempts=2))).run_id
    await worker.run_task(fail_workflow(FAILURE))
    env.record("whole", _seen(await _get(env, workflow_id, first)))
    await _outcome(env, "close", _get(env, workflow_id, first, history_event_filter_type=CLOSE))
    await _outcome(env, "current", _get(env, workflow_id, history_event_filter_type=CLOSE))
    env.record("reverse", _seen(await _get_reverse(env, workflow_id, first)))


async def scenario_history_options(env: Env) -> None:
    """Skipping the archive, page sizes of reading close events, waiting on a closed run."""
    workflow_id, first, _, worker = await _chain(env)
    await env.client.get_workflow_handle(workflow_id).signal("go")
    await worker.run_task(complete_workflow())
    env.record("skip archival", _seen(await _get(env, workflow_id, skip_archival=True)))
    env.record("waiting, closed", _seen(await _get(env, workflow_id, wait_new_event=True)))
    env.record("waiting, closed, first", _seen(await _get(env, workflow_id, first, wait_new_event=True)))
    page = await _get(env, workflow_id, first, wait_new_event=True, maximum_page_size=2)
    env.record("waiting, by pages", _seen(page))
    token = page.next_page_token
    rest = await _get(env, workflow_id, first, wait_new_event=True, maximum_page_size=2, next_page_token=token)
    env.record("next page", _seen(rest))
    small = await _get(env, workflow_id, history_event_filter_type=CLOSE, maximum_page_size=1)
    env.record("close event, small page", _seen(small))


async def scenario_history_reverse_of_an_open_run(env: Env) -> None:
    """With a task in flight, and while it is transient."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    env.record("started", _seen(await _get_reverse(env, workflow_id)))
    await worker.fail(task)
    await worker.poll()
    env.record("transient", _seen(await _get_reverse(env, workflow_id)))
    env.record("transient, forward", _seen(await _get(env, workflow_id)))
    page = await _get_reverse(env, workflow_id, maximum_page_size=2)
    env.record("page", _seen(page))
    env.record("rest", _seen(await _get_reverse(env, workflow_id, next_page_token=page.next_page_token)))


async def scenario_history_many_readers(env: Env) -> None:
    """Several long polls on one run: each sees everything."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    token = (await _get(env, workflow_id, wait_new_event=True)).next_page_token
    readers = [
        asyncio.create_task(_get(env, workflow_id, wait_new_event=True, next_page_token=token)) for _ in range(10)
    ]
    await asyncio.sleep(0.3)
    await worker.complete(task, complete_workflow())
    env.record("seen", [_seen(each) for each in await asyncio.gather(*readers)])
