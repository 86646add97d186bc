"""Which runs belong together: a parent and its children move at once, so that no end of one is lost to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import ParentClosePolicy
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from ..runtime.keys import RunKey

CANCELS = ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL


@dataclass(slots=True, eq=False)
class Member:
    """A run of the source that is to be moved. ``described`` and ``events`` are as it was when last looked at.

    ``closing`` is its end there, once it has one; ``taken`` says that this is the work of the migration.
    """

    key: RunKey
    type: str
    parent: RunKey | None = None
    is_sure: bool = True
    """Whether the parent, or that there is none, is known: lists of old servers do not show it."""
    children: list[Member] = field(default_factory=list["Member"])
    described: DescribeWorkflowExecutionResponse = field(default_factory=DescribeWorkflowExecutionResponse)
    events: list[HistoryEvent] = field(default_factory=list[HistoryEvent])
    closing: HistoryEvent | None = None
    taken: bool = False

    def everyone(self) -> Iterator[Member]:
        """It and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.everyone()

    def policy_of(self, child: Member) -> int:
        """What is to become of a child when this one is closed."""
        for each in self.described.pending_children:
            if each.workflow_id == child.key.workflow_id:
                return each.parent_close_policy
        return 0


def member_of(namespace: str, info: WorkflowExecutionInfo) -> Member:
    """The member that a list or a description speaks of."""
    key = RunKey(namespace, info.execution.workflow_id, info.execution.run_id)
    parent = info.parent_execution
    above = RunKey(namespace, parent.workflow_id, parent.run_id) if parent.run_id else None
    return Member(key, info.type.name, above, is_sure=above is not None or bool(info.root_execution.run_id))


def families(members: Iterable[Member]) -> list[Member]:
    """The heads of families, each with its members below it. A run whose parent is not among them is a head."""
    known = {member.key: member for member in members}
    heads: list[Member] = []
    for member in known.values():
        parent = known.get(member.parent) if member.parent is not None else None
        if parent is None:
            heads.append(member)
        else:
            parent.children.append(member)
    return heads
