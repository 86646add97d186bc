"""Is everything in order? What an operator would look at, check by check, in plain words.

A doctor connects as any tool of operators does, so it brings the schema up to date. It writes one record and removes
it, to see how long a commit takes.
"""

from __future__ import annotations

import asyncio
import platform
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence

import temporalio

from . import __version__
from .connection import Connections, InvalidConnection
from .contracts.commit import Commit, RunWrite
from .contracts.errors import ContractError
from .contracts.examination import Finding, Level
from .contracts.types import KeyType
from .engine.model import ExecutionState
from .registry import Registry, Waiting
from .runtime.keys import APP_ID
from .runtime.namespaces import REGISTERED, Namespaces
from .runtime.quorum import EngineProfile, Ping
from .runtime.upkeep import ROLE
from .runtime.waiting import open_runs

__all__ = ["Doctor", "Finding", "Level", "examine"]

_COMMITS = 7
_SLOW_COMMIT_MS = 50.0
_NOTICE_SECONDS = 3.0
_OVERDUE_MS = 30_000
_LEFT_SECONDS = 3.0
FAILING_ATTEMPTS = 3
"""A workflow task at this attempt has failed again and again; the server waits some ten seconds before it."""
_SHOWN = 3
_PAGE = 1000

Tell = Callable[[str], None]
"""Told what is looked at now."""


async def examine(
    connections: Connections, *, limit: int = 1000, wait: float = 1.0, tell: Tell = lambda what: None
) -> list[Finding]:
    """All checks on a database. One that cannot be used is a finding too.

    Args:
        connections: The database.
        limit: How many open workflows of each namespace to look at, the oldest first; each is one read.
        wait: Seconds to wait for the answers of the engines.
        tell: Is told what is looked at, for those who wait.
    """
    python = f"Python {platform.python_version()}"
    versions = f"hotmesh-temporal {__version__}, temporalio {temporalio.__version__}, {python}"
    findings = [Finding("versions", "ok", versions)]
    tell("connecting")
    try:
        doctor = await Doctor.connect(connections)
    except (InvalidConnection, ContractError, OSError) as error:
        return [*findings, Finding("connection", "wrong", str(error), "correct that, then look again")]
    async with doctor:
        async for finding in doctor.examine(limit, wait, tell):
            findings.append(finding)
    return findings


class Doctor(Registry):
    """Looks at a database. Use `examine`, or this in ``async with await Doctor.connect(…)``."""

    async def examine(self, limit: int, wait: float, tell: Tell) -> AsyncIterator[Finding]:
        """See the function of this name."""
        yield Finding("connection", "ok", self._backend.identity)
        tell("the database")
        for finding in await self._backend.examine():
            yield finding
        tell("a commit")
        yield await self._commit_latency()
        tell("notices")
        yield await self._notices()
        tell("engines")
        engines = await self._caller.call(Ping(self._id), wait)
        yield _engines(engines)
        yield await self._role(engines)
        tell("timers")
        yield await self._timers(engines)
        tell("the outbox")
        yield await self._outbox()
        tell("queues")
        yield await self._queues(engines)
        async for name in self._namespaces():
            tell(f"workflows of {name}")
            for finding in await self._workflows(name, limit, wait):
                yield finding

    async def _commit_latency(self) -> Finding:
        job_id, times = f"i/doctor-{uuid.uuid4().hex}", list[float]()
        try:
            for revision in range(_COMMITS):
                run = RunWrite(
                    job_id=job_id,
                    expected_revision=revision,
                    status=0,
                    state=b"-",
                    origin=None if revision else b"-",
                )
                begin = time.perf_counter()
                await self._store.commit(Commit(runs=(run,)))
                times.append((time.perf_counter() - begin) * 1000)
        except ContractError as error:
            return Finding("commit", "wrong", f"nothing can be committed: {error}", "see the database's own log")
        finally:
            if times:
                await self._store.scrub(job_id)
        middle = statistics.median(times)
        text = f"a commit takes {middle:.1f} ms (the slowest of {_COMMITS}: {max(times):.1f} ms)"
        if middle < _SLOW_COMMIT_MS:
            return Finding("commit", "ok", text)
        advice = "each step of a workflow waits for one: come nearer to the database, or look at its disk"
        return Finding("commit", "warning", text, advice)

    async def _notices(self) -> Finding:
        sub, channel, heard = self._sub, f"doctor-{uuid.uuid4().hex}", asyncio.Event()
        begin = time.perf_counter()
        try:
            await sub.subscribe(KeyType.QUORUM, lambda topic, message: heard.set(), APP_ID, channel)
            try:
                await sub.publish(KeyType.QUORUM, {"from": self._id}, APP_ID, channel)
                await asyncio.wait_for(heard.wait(), _NOTICE_SECONDS)
            finally:
                await sub.unsubscribe(KeyType.QUORUM, APP_ID, channel)
        except (asyncio.TimeoutError, ContractError) as error:
            advice = "processes still find their work, up to 20 s later: is a pooler, a proxy or a firewall in between?"
            return Finding("notices", "warning", f"a notice did not come back ({error or 'not in time'})", advice)
        return Finding("notices", "ok", f"a notice came back after {(time.perf_counter() - begin) * 1000:.0f} ms")

    async def _role(self, engines: Sequence[EngineProfile]) -> Finding:
        """Whoever holds the role looks after retention and schedules; one that died keeps it until it lapses."""
        free = await self._store.reserve_scout_role(ROLE, 2, self._id)
        if free:
            await self._store.release_scout_role(ROLE, self._id)
        if free or engines:
            text = "is free" if free else "is held by an engine"
            return Finding("upkeep", "ok", f"the role of looking after what is due {text}")
        text = "the role of looking after what is due is held by a process that is gone, or does not answer"
        return Finding("upkeep", "warning", text, "it lapses within a minute; nothing is to be done")

    async def _timers(self, engines: Sequence[EngineProfile]) -> Finding:
        now, after, armed, overdue, oldest = time.time_ns() // 1_000_000, "", 0, 0, 0
        while page := await self._store.list_timers(after, _PAGE):
            after = page[-1].timer_id
            armed += len(page)
            lateness = [now - each.fire_at_ms for each in page]
            overdue += sum(late > _OVERDUE_MS for late in lateness)
            oldest = max(oldest, *lateness)
        if not overdue:
            return Finding("timers", "ok", f"{armed:,} armed, none is overdue")
        text = f"{overdue:,} of {armed:,} are overdue, the oldest by {_span(oldest / 1000)}"
        if engines:
            return Finding("timers", "wrong", text, "engines run and do not fire them: see their logs")
        return Finding("timers", "wrong", text, "no engine runs: start a worker or hotmesh-temporal server")

    async def _outbox(self) -> Finding:
        before = {each.outbox_id for each in await self._store.list_outbox("", _PAGE)}
        if not before:
            return Finding("outbox", "ok", "empty")
        await asyncio.sleep(_LEFT_SECONDS)
        left = before & {each.outbox_id for each in await self._store.list_outbox("", _PAGE)}
        more = "at least " if len(before) == _PAGE else ""
        if not left:
            return Finding("outbox", "ok", f"{more}{len(before):,} messages were on their way")
        advice = "is an engine running, and does the broker answer? They are published as soon as both do"
        return Finding("outbox", "wrong", f"{more}{len(left):,} messages wait to be published", advice)

    async def _queues(self, engines: Sequence[EngineProfile]) -> Finding:
        count = len(await self._stream.list_messages("", _PAGE))
        more = "at least " if count == _PAGE else ""
        text = f"{more}{count:,} messages are in queues or in the hands of engines"
        if count and not engines:
            return Finding("queues", "wrong", text, "no engine runs: start a worker or hotmesh-temporal server")
        return Finding("queues", "ok", text)

    async def _namespaces(self) -> AsyncIterator[str]:
        async for record in Namespaces(self._store, self._search).all():
            if record.state == REGISTERED:
                yield record.name

    async def _workflows(self, namespace: str, limit: int, wait: float) -> list[Finding]:
        found = await self.waiting(namespace, limit=limit, wait=wait)
        check = f"workflows of {namespace}"
        findings = [_waiting(check, each) for each in found.waiting]
        failing = [state async for state in open_runs(self._store, self._search, namespace, limit) if _fails(state)]
        if failing:
            findings.append(_failing(check, failing))
        if not findings:
            findings.append(Finding(check, "ok", "none is stuck"))
        if not found.complete:
            findings.append(Finding(check, "ok", f"only the {limit:,} oldest open workflows were looked at (--limit)"))
        return findings


def _engines(engines: Sequence[EngineProfile]) -> Finding:
    if not engines:
        advice = "start a worker, or hotmesh-temporal server; or wait longer for answers (--wait)"
        return Finding("engines", "warning", "no engine answers: nothing is being worked on", advice)
    processes = ", ".join(f"process {each.pid} on {each.host}" for each in engines[:_SHOWN])
    more = f" and {len(engines) - _SHOWN:,} more" if len(engines) > _SHOWN else ""
    versions = sorted({each.version for each in engines})
    text = f"{len(engines):,} take part: {processes}{more}"
    if len(versions) > 1:
        text = f"{text}; versions {', '.join(versions)}"
        return Finding("engines", "warning", text, "finish the update of all processes")
    return Finding("engines", "ok", f"{text}; version {versions[0]}")


def _waiting(check: str, waiting: Waiting) -> Finding:
    what = "workflow tasks" if waiting.kind == "workflow" else "activities"
    age = _span(time.time() - waiting.since.timestamp())
    examples = ", ".join(waiting.workflow_ids[:_SHOWN])
    text = f"{waiting.count:,} {what} of type {waiting.name!r} wait on {waiting.queue!r}, the oldest for {age}"
    return Finding(check, "wrong", f"{text} ({examples})", waiting.advice)


def _fails(state: ExecutionState) -> bool:
    return state.running and _attempt(state) >= FAILING_ATTEMPTS


def _failing(check: str, failing: Sequence[ExecutionState]) -> Finding:
    worst = max(failing, key=_attempt)
    examples = ", ".join(state.workflow_id for state in failing[:_SHOWN])
    text = f"{len(failing):,} fail their workflow task again and again, up to attempt {_attempt(worst)} ({examples})"
    advice = f"see why: temporal workflow show --workflow-id {worst.workflow_id}; then correct the code, or reset them"
    return Finding(check, "wrong", text, advice)


def _attempt(state: ExecutionState) -> int:
    return state.task.attempt if state.task is not None else 0


def _span(seconds: float) -> str:
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
