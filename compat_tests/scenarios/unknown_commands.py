"""Commands that cannot be carried out, whatever is in them."""

from __future__ import annotations

from typing import Any

from temporalio.api.command.v1 import Command, StartTimerCommandAttributes
from temporalio.api.enums.v1 import CommandType

from compat_tests.env import Env
from compat_tests.raw import RawWorker, complete_workflow, start_timer


async def scenario_unknown_commands(env: Env) -> None:
    """A type that nobody knows, none at all, and attributes that belong to another type."""
    worker = RawWorker(env)
    given: dict[str, Any] = {
        "unset": Command(),
        "unknown": Command(command_type=999),  # pyright: ignore[reportArgumentType]
        "no attributes": Command(command_type=CommandType.COMMAND_TYPE_START_TIMER),
        "others' attributes": Command(
            command_type=CommandType.COMMAND_TYPE_RECORD_MARKER,
            start_timer_command_attributes=StartTimerCommandAttributes(timer_id="t"),
        ),
    }
    for number, (name, each) in enumerate(given.items()):
        workflow_id = env.id(f"w{number}")
        await env.start_raw(workflow_id)
        await env.outcome(name, worker.complete(await worker.poll(), start_timer("before", 60), each))
        await env.client.get_workflow_handle(workflow_id).terminate()
        await env.history(workflow_id, f"history, {name}")


async def scenario_unknown_command_after_the_end(env: Env) -> None:
    """It is not the last command that closes a workflow."""
    worker, workflow_id = RawWorker(env), env.id()
    await env.start_raw(workflow_id)
    unknown = Command(command_type=999)  # pyright: ignore[reportArgumentType]
    await env.outcome("after", worker.complete(await worker.poll(), complete_workflow(), unknown))
    await env.client.get_workflow_handle(workflow_id).terminate()
    await env.history(workflow_id)
