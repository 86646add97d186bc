"""What the commands of one answer share."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.api.common.v1 import SearchAttributes
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.protocol.v1 import Message

from ...errors import TaskFailed
from .. import search_attributes
from ..context import Namespace
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

    @property
    def namespace(self) -> Namespace:
        """The namespace of the run."""
        return self.turn.ctx.namespace(self.turn.state.namespace)


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


def require_own_namespace(scope: CommandScope, name: str, cause: int) -> None:
    """Commands reach other workflows of the own namespace only. NOT_FOUND if there is no such namespace at all."""
    if name not in ("", scope.turn.state.namespace):
        scope.turn.ctx.namespace(name)
        raise TaskFailed(cause, "cross namespace commands are not allowed")


def require_attributes(scope: CommandScope, given: SearchAttributes, where: str, who: str, cause: int) -> None:
    """Search attributes for another run: of the namespace, valid, and not too large; those without a type get theirs.

    Larger ones end the run under ``cause``, as `require_size` does.
    """
    bad = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
    namespace, limits = scope.namespace, scope.turn.ctx.limits
    wrong = search_attributes.unmapped(given, namespace)
    require(wrong is None, bad, wrong or "")
    wrong = search_attributes.invalid(given, namespace)
    require(wrong is None, bad, f"invalid SearchAttributes on {where}: {wrong}. {who}")
    wrong = search_attributes.too_large(given, namespace, limits)
    if wrong is not None:
        raise TaskFailed(cause, wrong, terminates=True)
    search_attributes.declare(given, namespace)
