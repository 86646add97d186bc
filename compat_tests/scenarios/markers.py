"""Versioning, side effects, memo and search attributes of a running workflow, determinism helpers."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.api.command.v1 import (
    ModifyWorkflowPropertiesCommandAttributes,
    RecordMarkerCommandAttributes,
    UpsertWorkflowSearchAttributesCommandAttributes,
)
from temporalio.api.common.v1 import Header, Memo, Payload, SearchAttributes
from temporalio.api.failure.v1 import Failure
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.worker import UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from compat_tests.env import Env
from compat_tests.raw import RawWorker, command, complete_workflow, payloads, start_timer


@workflow.defn
class Patched:
    @workflow.run
    async def run(self) -> list[bool]:
        first = workflow.patched("new-code")
        again = workflow.patched("new-code")
        workflow.deprecate_patch("old-code")
        await workflow.sleep(0.1)
        return [first, again]


@workflow.defn
class Deterministic:
    """What looks random is the same when the history is replayed."""

    @workflow.run
    async def run(self) -> list[bool]:
        before = [workflow.random().random(), str(workflow.uuid4()), workflow.now(), workflow.time()]
        await workflow.sleep(0.1)
        after = [workflow.random().random(), str(workflow.uuid4()), workflow.now(), workflow.time()]
        return [a != b for a, b in zip(before, after, strict=True)]


@workflow.defn
class ChangesMemo:
    @workflow.run
    async def run(self) -> Any:
        workflow.upsert_memo({"added": [1], "changed": "new", "removed": None})
        await workflow.sleep(0.1)
        return workflow.memo()


@workflow.defn
class SetsDetails:
    @workflow.run
    async def run(self) -> str:
        workflow.set_current_details("details now")
        await workflow.wait_condition(lambda: False)
        return ""


async def scenario_patched(env: Env) -> None:
    async with env.worker(Patched):
        handle = await env.client.start_workflow(Patched.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)
        env.record("description", (await handle.describe()).raw_description)


async def scenario_determinism_in_sandbox(env: Env) -> None:
    """In the SDK's sandbox, without the cache: every task replays the whole history."""
    async with env.worker(Deterministic, workflow_runner=SandboxedWorkflowRunner(), max_cached_workflows=0):
        handle = await env.client.start_workflow(Deterministic.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_upsert_memo(env: Env) -> None:
    async with env.worker(ChangesMemo, workflow_runner=UnsandboxedWorkflowRunner()):
        memo = {"changed": "old", "removed": 1, "kept": 2}
        handle = await env.client.start_workflow(ChangesMemo.run, id=env.id(), task_queue=env.queue, memo=memo)
        await env.outcome("result", handle.result())
        env.record("memo", await (await handle.describe()).memo())
        await env.history(handle)


async def scenario_current_details(env: Env) -> None:
    async with env.worker(SetsDetails):
        handle = await env.client.start_workflow(SetsDetails.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("metadata", handle.query("__temporal_workflow_metadata"))


async def scenario_raw_marker(env: Env) -> None:
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    attributes = RecordMarkerCommandAttributes(
        marker_name="SideEffect",
        details={"data": payloads("1"), "more": payloads('"x"')},
        header=Header(fields={"h": payloads('"v"').payloads[0]}),
        failure=Failure(message="in a marker"),
    )
    await RawWorker(env).run_task(
        command("RECORD_MARKER", record_marker_command_attributes=attributes), complete_workflow()
    )
    await env.history(workflow_id)


async def scenario_raw_memo(env: Env) -> None:
    """A null payload removes a field."""
    workflow_id = env.id()
    await env.start_raw(workflow_id, memo=Memo(fields={"a": payloads("1").payloads[0], "b": payloads("2").payloads[0]}))
    null = Payload(metadata={"encoding": b"binary/null"})
    fields = {"a": null, "c": payloads("3").payloads[0]}
    attributes = ModifyWorkflowPropertiesCommandAttributes(upserted_memo=Memo(fields=fields))
    await RawWorker(env).run_task(
        command("MODIFY_WORKFLOW_PROPERTIES", modify_workflow_properties_command_attributes=attributes),
        start_timer("t", 60),
    )
    description = await env.client.get_workflow_handle(workflow_id).describe()
    env.record("memo", description.raw_description.workflow_execution_info.memo)
    await env.history(workflow_id)


def _keyword(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain", "type": b"Keyword"}, data=f'"{text}"'.encode())


async def scenario_raw_search_attributes(env: Env) -> None:
    """One attribute that the dev server knows, and one that it does not."""
    for name in ("CustomKeywordField", "NoSuchAttribute"):
        workflow_id = env.id(name.lower())
        await env.start_raw(workflow_id)
        attributes = UpsertWorkflowSearchAttributesCommandAttributes(
            search_attributes=SearchAttributes(indexed_fields={name: _keyword("value")})
        )
        worker = RawWorker(env)
        upsert = command(
            "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", upsert_workflow_search_attributes_command_attributes=attributes
        )
        await env.outcome(name, worker.complete(await worker.poll(), upsert, complete_workflow()))
        await env.history(workflow_id)
        await env.outcome("terminate", env.client.get_workflow_handle(workflow_id).terminate())


async def scenario_start_with_unknown_search_attribute(env: Env) -> None:
    search = SearchAttributes(indexed_fields={"NoSuchAttribute": _keyword("x")})
    await env.outcome("start", env.start_raw(env.id(), search_attributes=search))


async def scenario_user_metadata_of_commands(env: Env) -> None:
    """Summaries and details of commands are kept in their events."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    timer = start_timer("t", 60)
    timer.user_metadata.CopyFrom(UserMetadata(summary=payloads('"s"').payloads[0], details=payloads('"d"').payloads[0]))
    done = complete_workflow()
    done.user_metadata.CopyFrom(UserMetadata(summary=payloads('"end"').payloads[0]))
    await RawWorker(env).run_task(timer, done)
    await env.history(workflow_id)
