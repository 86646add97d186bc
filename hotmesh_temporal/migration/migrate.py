"""The order of things: namespaces, schedules, open runs in passes until none is left, closed runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from temporalio.api.workflowservice.v1 import DescribeNamespaceResponse
from temporalio.client import Client

from ..runtime.keys import RunKey
from .families import Member, families, member_of
from .fence import Fence
from .namespaces import is_user_namespace, move_namespace
from .reasons import reason_for
from .report import Report
from .runs import Mover
from .schedules import ScheduleMover
from .source import RUNNING, Source
from .target import Target

_PARALLEL = 8
_BEAT_SECONDS = 60.0
_SKEW = timedelta(hours=1)
"""How far the clocks of this machine and of the source may be apart."""
_QUIET_SECONDS = 1.0
"""Lists of the source may be so late: a pass that finds nothing is made again after this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be moved. No ``namespaces``: all. ``rate``: families a second at most (0: as fast as it goes)."""

    namespaces: Sequence[str] = ()
    query: str = ""
    schedules: bool = True
    closed: bool = False
    rate: float = 0.0
    dry_run: bool = False


class Migration:
    """One migration, or the rest of one that was cut off. ``tell`` is called with what is being done."""

    def __init__(
        self, client: Client, address: str, target: Target, plan: Plan, tell: Callable[[str], None] = lambda text: None
    ) -> None:
        self._plan = plan
        self._target = target
        self._tell = tell
        self.report = Report(address, target.place, plan.dry_run)
        self._source = Source(client, reason_for(target.place))
        self._mover = Mover(self._source, target, self.report, dry_run=plan.dry_run)
        self._pace = _Pace(plan.rate)

    async def run(self) -> Report:
        """Do it. What cannot be moved is in the report. Raises ``RPCError`` if the source cannot be asked."""
        began = time.monotonic()
        try:
            for described in await self._namespaces():
                await self._move_namespace(described)
        finally:
            self.report.seconds = time.monotonic() - began
        return self.report

    async def _namespaces(self) -> list[DescribeNamespaceResponse]:
        return [each for each in await self._source.namespaces(self._plan.namespaces) if is_user_namespace(each)]

    async def _move_namespace(self, described: DescribeNamespaceResponse) -> None:
        name, dry_run = described.namespace_info.name, self._plan.dry_run
        await move_namespace(self._source, self._target, described, self.report, dry_run=dry_run)
        schedules = ScheduleMover(self._source, self._target, self.report, name)
        if dry_run:
            if self._plan.schedules:
                await schedules.move_all(dry_run=True)
            await self._pass(name, [])
            return
        moving, address = self._target.runtime.moving, self.report.source
        before = await moving.find(name)
        if before is not None and before.seen_ms and before.source != address:
            raise ValueError(f"a move of {name} from {before.source} is not done: finish it first")
        move = await moving.begin(name, address)
        beat = asyncio.create_task(self._beat(name))
        try:
            left_behind = await self._left_behind(name, move.began_ms) if before is not None and before.seen_ms else []
            if self._plan.schedules:
                self._tell(f"{name}: schedules")
                await schedules.move_all(dry_run=False)
            await self._passes(name, left_behind, schedules)
            await self._check_failed(name, move.began_ms)
            if self._plan.closed:
                await self._closed(name)
        finally:
            beat.cancel()
        await moving.end(name, address)

    async def _beat(self, namespace: str) -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            with contextlib.suppress(Exception):  # the next one will do
                await self._target.runtime.moving.begin(namespace, self.report.source)

    # -- open runs ----------------------------------------------------------------------------------------------

    async def _passes(self, namespace: str, left_behind: list[Member], schedules: ScheduleMover) -> None:
        """Until a pass finds nothing, and another one a little later neither."""
        quiet = False
        while True:
            found = await self._pass(namespace, left_behind)
            await schedules.look_after_runs()
            if found:
                quiet = False
            elif quiet:
                return
            else:
                quiet = True
                await asyncio.sleep(_QUIET_SECONDS)
            left_behind = []

    async def _pass(self, namespace: str, left_behind: list[Member]) -> int:
        """Move what a list of the source shows, and what was taken away before. How many runs there were."""
        members = {each.key: each for each in left_behind}
        async for info in self._source.list(namespace, self._query()):
            member = member_of(namespace, info)
            if not self._mover.has_left(member.key):
                members.setdefault(member.key, member)
        for each in list(members.values()):
            await self._climb(members, each)
        heads = families(members.values())
        done, limit = 0, asyncio.Semaphore(_PARALLEL)

        async def move(head: Member) -> None:
            nonlocal done
            async with limit:
                await self._pace.wait()
                await self._mover.move(head)
            done += sum(1 for _ in head.everyone())
            self._tell(f"{namespace}: {done:,} of {len(members):,} open workflows")

        await _all([move(head) for head in heads])
        return len(members)

    async def _climb(self, members: dict[RunKey, Member], member: Member) -> None:
        """A family moves as a whole: open parents of what was found are found, too."""
        while (parent := await self._source.parent(member)) is not None and parent not in members:
            described = await self._source.describe(parent)
            if described is None or described.workflow_execution_info.status != RUNNING:
                return
            member = members[parent] = member_of(parent.namespace, described.workflow_execution_info)

    def _query(self, condition: str = "ExecutionStatus = 'Running'") -> str:
        return f"{condition} AND ({self._plan.query})" if self._plan.query else condition

    async def _check_failed(self, namespace: str, began_ms: int) -> None:
        """Say which workflows have failed meanwhile because another one had left."""
        fence = Fence(self._source)
        async for info in self._source.list(namespace, _since("Failed", began_ms)):
            member = member_of(namespace, info)
            member.events = await self._source.history(member.key)
            if await fence.missed_others(member) and not await self._target.imports.has(member.key):
                self.report.problem(member.key, _FAILED.format(workflow_id=member.key.workflow_id))

    # -- closed runs --------------------------------------------------------------------------------------------

    async def _closed(self, namespace: str) -> None:
        """Copy them, the newest first, so that the newest of a workflow id is its current one."""
        waiting, done = list[Member](), 0
        async for info in self._source.list(namespace, self._query("ExecutionStatus != 'Running'")):
            waiting.append(member_of(namespace, info))
            if len(waiting) == _PARALLEL:
                await _all([self._mover.copy(each) for each in _apart(waiting)])
                done, waiting = done + len(waiting), []
                self._tell(f"{namespace}: {done:,} closed workflows")
        await _all([self._mover.copy(each) for each in _apart(waiting)])

    async def _left_behind(self, namespace: str, began_ms: int) -> list[Member]:
        """Runs that were taken away by a migration that did not live to put them into the target."""
        fence, found = Fence(self._source), list[Member]()
        async for info in self._source.list(namespace, _since("Terminated", began_ms)):
            member = member_of(namespace, info)
            if await self._target.imports.has(member.key):
                continue
            closing = await self._source.closing(member.key)
            if await fence.is_taken(member.key, closing, member.parent):
                member.closing, member.taken = closing, True
                found.append(member)
        return found


def _since(status: str, began_ms: int) -> str:
    """The list filter for runs that have ended so since about then."""
    since = datetime.fromtimestamp(began_ms / 1000, timezone.utc) - _SKEW
    return f"ExecutionStatus = '{status}' AND CloseTime >= '{since.isoformat()}'"


def _apart(members: Sequence[Member]) -> list[list[Member]]:
    """Those of one workflow id together, in their order."""
    groups: dict[str, list[Member]] = {}
    for each in members:
        groups.setdefault(each.key.workflow_id, []).append(each)
    return list(groups.values())


async def _all(works: Sequence[Coroutine[None, None, None]]) -> None:
    """All at once, each to its end; then the first problem is raised."""
    for each in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(each, BaseException):
            raise each


_FAILED = (
    "it has failed on the source because a workflow that it signalled or cancelled had left. To let it go on there: "
    "temporal workflow reset --workflow-id {workflow_id} --type LastWorkflowTask; then migrate again"
)


class _Pace:
    """So many a second at most."""

    def __init__(self, rate: float) -> None:
        self._spacing = 1 / rate if rate else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        now = time.monotonic()
        self._next = max(self._next + self._spacing, now)
        if self._next > now:
            await asyncio.sleep(self._next - now)
