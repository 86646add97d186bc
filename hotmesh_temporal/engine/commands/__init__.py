"""The commands of a worker, one file per family; ``HANDLERS`` says which function takes which command."""

from __future__ import annotations

from collections.abc import Callable

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType, WorkflowTaskFailedCause

from ...errors import TaskFailed
from . import activities, closes, markers, properties, timers
from .scope import CommandScope

Handler = Callable[[CommandScope, Command], None]

HANDLERS: dict[int, Handler] = {
    **activities.HANDLERS,
    **timers.HANDLERS,
    **closes.HANDLERS,
    **markers.HANDLERS,
    **properties.HANDLERS,
}


def apply(scope: CommandScope, command: Command) -> None:
    """Carry out one command. Raises `TaskFailed` if it is invalid or not built."""
    handler = HANDLERS.get(command.command_type)
    if handler is None:
        raise TaskFailed(
            WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FEATURE_DISABLED,
            f"{CommandType.Name(command.command_type)} is not supported",
        )
    handler(scope, command)
