"""What the commands of one answer share."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.api.command.v1 import Command
from temporalio.api.sdk.v1 import UserMetadata

from ...errors import TaskFailed
from ..turn import Turn


@dataclass(slots=True)
class CommandScope:
    """``completed_id`` is the id of the WorkflowTaskCompleted event that every command's event names.

    ``had_buffered``: events came in while the worker was busy, so it must not close the run without having seen them.
    ``eager`` collects the scheduled ids of activities that the worker wants to run itself at once.
    """

    turn: Turn
    completed_id: int
    identity: str
    had_buffered: bool
    eager: list[int] = field(default_factory=list[int])


def metadata_of(command: Command) -> UserMetadata | None:
    """Summary and details that the user gave to the command."""
    return command.user_metadata if command.HasField("user_metadata") else None


def require(condition: object, cause: int, message: str) -> None:
    """Fail the workflow task unless the condition holds."""
    if not condition:
        raise TaskFailed(cause, message)
