"""The commands of a worker, one file per family; ``HANDLERS`` says which function takes which command."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType, WorkflowTaskFailedCause

from ...errors import TaskFailed, invalid_argument
from . import activities, children, closes, externals, markers, messages, properties, timers
from .scope import CommandScope

Handler = Callable[[CommandScope, Command], None]

HANDLERS: dict[int, Handler] = {
    **activities.HANDLERS,
    **timers.HANDLERS,
    **closes.HANDLERS,
    **markers.HANDLERS,
    **properties.HANDLERS,
    **messages.HANDLERS,
    **children.HANDLERS,
    **externals.HANDLERS,
}


def check_sequence(commands: Sequence[Command]) -> None:
    """Commands are of a known kind, and one that closes the run is the last. INVALID_ARGUMENT; the task stays open."""
    for command in commands[:-1]:
        if command.command_type in closes.HANDLERS:
            names = ", ".join(_name(each) for each in commands)
            raise invalid_argument(
                f"invalid command sequence: [{names}], command {_name(command)} must be the last command."
            )
    for command in commands:
        kind = command.command_type
        if kind == CommandType.COMMAND_TYPE_UNSPECIFIED or kind not in CommandType.values():
            raise invalid_argument(f"unknown command type: {_name(command)}")


def apply(scope: CommandScope, command: Command) -> None:
    """Carry out one command. Raises `TaskFailed` if it is invalid or not built."""
    handler = HANDLERS.get(command.command_type)
    if handler is None:
        raise TaskFailed(
            WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FEATURE_DISABLED,
            f"{CommandType.Name(command.command_type)} is not supported",
        )
    if command.WhichOneof("attributes") != _attributes_field(command):
        name = _name(command)
        raise TaskFailed(_bad_attributes(command), f"{name}CommandAttributes is not set on {name}Command.")
    scope.turn.user_metadata = command.user_metadata if command.HasField("user_metadata") else None
    scope.turn.event_group_markers = command.event_group_markers
    handler(scope, command)
    scope.turn.user_metadata, scope.turn.event_group_markers = None, ()


def _name(command: Command) -> str:
    """The command as the server spells it: ``CompleteWorkflowExecution``; of a kind that nobody knows the number."""
    if command.command_type not in CommandType.values():
        return str(int(command.command_type))
    words = CommandType.Name(command.command_type).removeprefix("COMMAND_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)


def _attributes_field(command: Command) -> str:
    return f"{CommandType.Name(command.command_type).removeprefix('COMMAND_TYPE_').lower()}_command_attributes"


def _bad_attributes(command: Command) -> int:
    """The cause of a failed task for this kind of command."""
    kind = CommandType.Name(command.command_type).removeprefix("COMMAND_TYPE_")
    cause = _CAUSES.get(kind, f"BAD_{kind}_ATTRIBUTES")
    return WorkflowTaskFailedCause.Value(f"WORKFLOW_TASK_FAILED_CAUSE_{cause}")


_CAUSES = {
    "SCHEDULE_ACTIVITY_TASK": "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
    "REQUEST_CANCEL_ACTIVITY_TASK": "BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES",
    "CONTINUE_AS_NEW_WORKFLOW_EXECUTION": "BAD_CONTINUE_AS_NEW_ATTRIBUTES",
    "PROTOCOL_MESSAGE": "BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE",
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": "BAD_SEARCH_ATTRIBUTES",
    "START_CHILD_WORKFLOW_EXECUTION": "BAD_START_CHILD_EXECUTION_ATTRIBUTES",
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION": "BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES",
}
