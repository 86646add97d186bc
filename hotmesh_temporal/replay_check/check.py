"""Check many runs, in several processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

from temporalio.api.history.v1 import History

from hotmesh_temporal.histories import Histories, Run, Selection, quoted

from .code import Code, CodeError
from .replay import Replay, Work
from .verdict import Verdict

_BATCH_RUNS, _BATCH_BYTES = 50, 4_000_000
# A process that imports the SDK and the code costs about as much as so many replays.
_WORTH_A_PROCESS = 200
_READS_AT_ONCE = 8


@dataclass
class Report:
    """What a check has found. ``gone``: runs that were removed between the list and the look at them."""

    checked: int = 0
    broken: list[Verdict] = field(default_factory=list[Verdict])
    gone: int = 0

    @property
    def groups(self) -> list[list[Verdict]]:
        """The broken ones, by how they break; the largest group first."""
        found: dict[object, list[Verdict]] = defaultdict(list)
        for verdict in self.broken:
            found[verdict.kind].append(verdict)
        return sorted(found.values(), key=len, reverse=True)


async def select(
    histories: Histories, namespaces: Sequence[str], types: Iterable[str | None], *, query: str = "", closed: int = 0
) -> list[Run]:
    """All open runs, and of the closed ones the newest: as many of each type.

    Args:
        histories: Where they are.
        namespaces: Of which namespaces.
        types: The types of which closed runs are wanted.
        query: A list filter.
        closed: How many closed runs in all, in each namespace.

    Raises:
        RPCError: As the service answered.
    """
    found: list[Run] = []
    for namespace in namespaces:
        found += [run async for run in histories.runs(namespace, Selection(query, open=True))]
        names = sorted(name for name in types if name is not None)
        filters = [f"WorkflowType = {quoted(name)}" for name in names] or [""]
        for index, each in enumerate(filters):
            limit = closed // len(filters) + (index < closed % len(filters))
            both = " AND ".join(f"({part})" for part in (query, each) if part)
            if limit:
                found += [run async for run in histories.runs(namespace, Selection(both, open=False), limit)]
    return found


def jobs_for(runs: int) -> int:
    """How many processes are worth their start."""
    return min(os.cpu_count() or 1, 1 + runs // _WORTH_A_PROCESS)


async def check(
    histories: Histories,
    runs: Sequence[Run],
    code: Code,
    *,
    jobs: int = 1,
    skip_unknown: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Replay the runs with the code.

    Args:
        histories: Where the histories are.
        runs: Which ones.
        code: What to replay them with.
        jobs: How many processes; 1: in this one.
        skip_unknown: Whether runs of types for which there is no code are left out; else they count as broken.
        tell: Is called with what has been done.

    Raises:
        CodeError: The code cannot be used.
        RPCError: As the service answered.
    """
    types = code.classes()
    if skip_unknown and None not in types:
        runs = [run for run in runs if run.workflow_type in types]
    report = Report()
    loop, slots = asyncio.get_running_loop(), asyncio.Semaphore(2 * jobs)

    async def replay(batch: list[Work]) -> None:
        try:
            verdicts = await loop.run_in_executor(pool, _replay_all, batch)
        except BrokenProcessPool as error:
            raise CodeError("a process died while it replayed; its workflow code may have ended it") from error
        finally:
            slots.release()
        report.checked += len(verdicts)
        report.broken += [verdict for verdict in verdicts if verdict.problem]
        tell(f"{report.checked:,} of {len(runs):,} runs, {len(report.broken):,} would break")

    with _pool(code, jobs) as pool:
        tasks: list[asyncio.Task[None]] = []
        async for batch in _batches(histories, runs, report):
            await slots.acquire()
            tasks.append(asyncio.create_task(replay(batch)))
        await asyncio.gather(*tasks)
    return report


async def _batches(histories: Histories, runs: Sequence[Run], report: Report) -> AsyncIterator[list[Work]]:
    """The runs with their histories, in groups that are worth a message to another process."""
    batch: list[Work] = []
    size = 0
    for begin in range(0, len(runs), _READS_AT_ONCE):
        some = runs[begin : begin + _READS_AT_ONCE]
        for run, history in zip(some, await asyncio.gather(*map(histories.read, some)), strict=True):
            if history is None:
                report.gone += 1
                continue
            data = History(events=history.events).SerializeToString()
            batch.append(Work(run, data))
            size += len(data)
        if len(batch) >= _BATCH_RUNS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _pool(code: Code, jobs: int) -> Executor:
    if jobs == 1:
        # A thread, because a replay has an event loop of its own.
        return ThreadPoolExecutor(1, initializer=_begin, initargs=(code,))
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_begin, initargs=(code,))


_replay: Replay | None = None


def _begin(code: Code) -> None:
    global _replay
    _replay = Replay(code)


def _replay_all(batch: list[Work]) -> list[Verdict]:
    if _replay is None:
        raise CodeError("the code was not loaded")
    return _replay.all(batch)
