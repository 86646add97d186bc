"""What the commands of one answer share."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.api.protocol.v1 import Message

from ...errors import TaskFailed
from ..turn import Turn


@dataclass(slots=True)
class CommandScope:
    """``completed_id`` is the id of the WorkflowTaskCompleted event that every command's event names.

    ``wake``: a command had an outcome that the worker has to see.
    ``messages`` are those that no command has given its place yet.
    ``eager`` collects the scheduled ids of activities that the worker wants to run itself at once.
    """

    turn: Turn
    completed_id: int
    identity: str
    wake: bool = False
    eager: list[int] = field(default_factory=list[int])
    messages: dict[str, Message] = field(default_factory=dict[str, Message])


def require(condition: object, cause: int, message: str) -> None:
    """Fail the workflow task unless the condition holds."""
    if not condition:
        raise TaskFailed(cause, message)


def require_size(scope: CommandScope, size: int, cause: int, name: str) -> None:
    """A payload of ``size`` bytes is within the limit.

    A larger one ends the run, because its worker would send it again and again.
    """
    if size > scope.turn.ctx.limits.blob_size:
        raise TaskFailed(cause, f"{name} exceeds size limit.", terminates=True)
