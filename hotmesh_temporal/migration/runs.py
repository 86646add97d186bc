"""Move families of open runs: look at them, take them away from the source, put them into the target.

Children are put there before their parents. So a parent finds its children there, and one that has ended meanwhile is
told to it (`runtime.imports`). Each step can be done again after a crash: what was taken away is found by the reason of
its end, and what is in the target is recognised by its run id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio.api.enums.v1 import EventType

from ..engine.adoption import ChildNews
from ..engine.model import Child, ExecutionState
from ..runtime.imports import IdInUse, ImportedRun, rebuilt
from ..runtime.keys import RunKey
from .checks import obstacle
from .families import Member, member_of
from .fence import Fence
from .report import Report
from .schedules import next_run_id, scheduled_by
from .signals import arrived_signals
from .source import RUNNING, Source
from .target import Target


class Mover:
    """Moves families, or with ``dry_run`` says what would be moved."""

    def __init__(self, source: Source, target: Target, report: Report, *, dry_run: bool = False) -> None:
        self._source = source
        self._target = target
        self._fence = Fence(source)
        self._report = report
        self._dry_run = dry_run
        self._left: set[tuple[str, str]] = set()
        """Workflow ids whose runs were looked at, and stay where they are."""

    def has_left(self, key: RunKey) -> bool:
        """It was looked at, or an earlier run of its chain, and stays where it is."""
        return (key.namespace, key.workflow_id) in self._left

    def _leave(self, member: Member) -> None:
        self._left.add((member.key.namespace, member.key.workflow_id))

    async def move(self, head: Member) -> None:
        """Move a family, or leave all of it where it is."""
        await self._look(head)
        members = list(head.everyone())
        reasons = [(each, await self._obstacle(each)) for each in members if not each.taken]
        if any(reason for _, reason in reasons):
            self._refuse(reasons)
        elif self._dry_run:
            self._report.moved.update((each.key.namespace, each.type) for each in members)
            for each in members:
                self._leave(each)
        else:
            await self._take(head)
            for each in reversed(list(head.everyone())):
                await self._put(each)
                each.events = []

    async def copy(self, members: Sequence[Member]) -> None:
        """Keep closed runs in the target as they are, unless they are there already or were moved."""
        for member in members:
            closing = await self._source.closing(member.key)
            if await self._target.imports.has(member.key) or closing is None:
                continue
            if await self._fence.is_taken(member.key, closing, member.parent):
                continue
            described = await self._source.describe(member.key)
            if described is None:
                continue
            events = await self._source.history(member.key)
            reason = obstacle(member.key, events, described)
            if reason:
                self._report.refuse(member.key, member.type, reason)
            elif await self._target.imports.adopt(ImportedRun(key=member.key, events=events, described=described)):
                self._report.closed[member.key.namespace, member.type] += 1

    # -- looking ------------------------------------------------------------------------------------------------

    async def _look(self, member: Member) -> None:
        """Read a member and all below it; children that a list did not show (yet) are found by their parents."""
        described = await self._source.describe(member.key)
        if described is None:
            return
        member.described = described
        member.events = await self._source.history(member.key)
        await self._find_children(member)
        await asyncio.gather(*(self._look(each) for each in member.children))

    async def _find_children(self, member: Member) -> list[Member]:
        """Children of a member that were not known to be its; they are among them from here on."""
        known, found = {each.key.workflow_id for each in member.children}, list[Member]()
        for each in member.described.pending_children:
            if each.workflow_id in known:
                continue
            child = await self._child(member, each.workflow_id, each.run_id)
            if child is not None:
                found.append(child)
        member.children += found
        return found

    async def _child(self, parent: Member, workflow_id: str, first_run_id: str) -> Member | None:
        """The newest run of a child, if it is open or was taken away and is not in the target yet."""
        described = await self._source.describe(parent.key._replace(workflow_id=workflow_id, run_id=""))
        if described is None:
            return None
        info, child = (
            described.workflow_execution_info,
            member_of(parent.key.namespace, described.workflow_execution_info),
        )
        if child.parent != parent.key or (first_run_id and info.first_run_id != first_run_id):
            return None
        if info.status == RUNNING:
            return child
        child.closing = await self._source.closing(child.key)
        child.taken = await self._fence.is_taken(child.key, child.closing, child.parent)
        return child if child.taken and not await self._target.imports.has(child.key) else None

    async def _obstacle(self, member: Member) -> str:
        reason = obstacle(member.key, member.events, member.described)
        if reason:
            return reason
        current = await self._target.imports.current(member.key.namespace, member.key.workflow_id)
        if current is not None and current.state.running and current.state.run_id != member.key.run_id:
            return f"its workflow id is that of an open run there ({current.state.run_id})"
        return ""

    def _refuse(self, reasons: list[tuple[Member, str]]) -> None:
        culprit = next(each for each, reason in reasons if reason)
        for member, reason in reasons:
            self._leave(member)
            why = reason or f"it belongs together with {culprit.key.workflow_id!r}, which cannot be moved"
            self._report.refuse(member.key, member.type, why)

    # -- moving -------------------------------------------------------------------------------------------------

    async def _take(self, head: Member) -> None:
        """End the family at the source; children that were started up to that moment are found and taken, too."""
        await self._fence.take(head)
        unsettled = list(head.everyone())
        while unsettled:
            await asyncio.gather(*(self._fence.settle(each) for each in unsettled))
            found = [child for each in unsettled if each.taken for child in await self._find_children(each)]
            await asyncio.gather(*(self._fence.take(each) for each in found))
            unsettled = [each for child in found for each in child.everyone()]

    async def _put(self, member: Member) -> None:
        """Put a member that was taken away into the target."""
        if not member.taken or member.closing is None:
            return
        member.events.pop()
        traces = await self._fence.traces(member)
        try:
            state = rebuilt(member.key, traces.events).state
            run = ImportedRun(
                key=member.key,
                events=traces.events,
                described=member.described,
                news=await self._news(member, state),
                arrived=await arrived_signals(self._source, traces.events, state),
                schedule=scheduled_by(self._source.reason, member.key.namespace, traces.events[0]),
            )
            adopted = await self._target.imports.adopt(run)
        except (IdInUse, KeyError, AssertionError, AttributeError) as error:
            self._report.problem(member.key, _STUCK.format(error=error, workflow_id=member.key.workflow_id))
            return
        if adopted:
            self._report.moved[member.key.namespace, member.type] += 1
        if traces.undone:
            names = sorted({EventType.Name(each.event_type).removeprefix("EVENT_TYPE_") for each in traces.undone})
            self._report.problem(member.key, _UNDONE.format(names=", ".join(names)))

    async def _news(self, member: Member, state: ExecutionState) -> dict[int, ChildNews]:
        """How the children that a member waits for stand at the source."""
        news: dict[int, ChildNews] = {}
        for child in state.children.values():
            found = await self._news_of(member, child)
            if found is not None:
                news[child.initiated_event_id] = found
        return news

    async def _news_of(self, member: Member, child: Child) -> ChildNews | None:
        newest = await self._source.describe(member.key._replace(workflow_id=child.workflow_id, run_id=""))
        if newest is None:
            return None
        info = newest.workflow_execution_info
        if not child.run_id:
            parent = info.parent_execution
            if (parent.workflow_id, parent.run_id) != (member.key.workflow_id, member.key.run_id):
                return None
        elif info.first_run_id != child.run_id:
            # Somebody else has the id by now: the child has ended.
            return await self._trace(member.key._replace(workflow_id=child.workflow_id, run_id=child.run_id))
        last = member.key._replace(workflow_id=child.workflow_id, run_id=info.execution.run_id)
        return await self._trace(last, info.first_run_id)

    async def _trace(self, key: RunKey, first_run_id: str = "") -> ChildNews:
        """Follow a chain of runs to its end."""
        first = first_run_id or key.run_id
        while True:
            closing = await self._source.closing(key)
            following = next_run_id(closing) if closing is not None else ""
            if not following:
                break
            key = key._replace(run_id=following)
        taken = closing is None or await self._fence.is_taken(key, closing)
        return ChildNews(first, key.run_id, None if taken else closing)


_STUCK = (
    "it was taken away from the source, but cannot be put into the target: {error}. To let it go on where it was: "
    "temporal workflow reset --workflow-id {workflow_id} --type LastWorkflowTask"
)
_UNDONE = (
    "a worker of the source took the move for the end of its parent or child, and did something about it ({names}). "
    "The run goes on as if that had never been; but what it did may have had effects"
)
