"""Replay histories in this process."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from hotmesh_temporal.histories import Run

from .code import Code
from .compare import Difference, command_name, event_name, first_difference
from .recording import Recorder, Recording
from .verdict import Verdict

_MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)*)"')
_LONG_EVENT = re.compile(r"HistoryEvent \{ event_id: (\d+),.*?event_type: (\w+),.*$", re.DOTALL)
_EVENT = re.compile(r"HistoryEvent\(id: (\d+), (\w+)\)")
_PREFIX = re.compile(r"^\[TMPRL\d+\] (Nondeterminism error: )?")


@dataclass(frozen=True)
class Work:
    """A run and its history, as bytes: for another process."""

    run: Run
    history: bytes


class Replay:
    """Replays histories with one code. One at a time, and one such object in a process."""

    def __init__(self, code: Code) -> None:
        """Raises `CodeError`."""
        self._types = set(code.classes())
        replayer = code.replayer()
        config = replayer.config()
        config["runtime"] = _quiet_runtime()
        self._replayer = Replayer(**config)
        self._recorder = Recorder()

    def all(self, works: Sequence[Work]) -> list[Verdict]:
        """A verdict on each."""
        return asyncio.run(self._all(works))

    async def _all(self, works: Sequence[Work]) -> list[Verdict]:
        verdicts = [_unknown(work.run) for work in works if not self._knows(work.run)]
        known = [(work.run, list(History.FromString(work.history).events)) for work in works if self._knows(work.run)]
        if not known:
            return verdicts
        recording = Recording()

        async def histories() -> AsyncIterator[WorkflowHistory]:
            nonlocal recording
            for run, events in known:
                recording = self._recorder.begin()
                yield WorkflowHistory(run.workflow_id, events)

        with self._recorder.watching(), _silence():
            async with self._replayer.workflow_replay_iterator(histories()) as results:
                index = 0
                async for result in results:
                    run, events = known[index]
                    verdicts.append(_verdict(run, events, recording, result.replay_failure))
                    index += 1
        return verdicts

    def _knows(self, run: Run) -> bool:
        return run.workflow_type in self._types or None in self._types


def _unknown(run: Run) -> Verdict:
    return Verdict(run, "unknown type", message="no workflow class for it")


def _verdict(run: Run, events: Sequence[HistoryEvent], recording: Recording, failure: BaseException | None) -> Verdict:
    difference = first_difference(events, recording.commands)
    if failure is None:
        if run.closed is None and difference is not None and difference.is_more:
            return _different(run, difference, recording, "the history ends before; it breaks at the next event")
        return Verdict(run)
    message = _message(str(failure))
    if not isinstance(failure, NondeterminismError):
        return Verdict(run, "error", where=recording.error_where, message=recording.error or message)
    if difference is None:
        number, name = _event_in(message)
        return Verdict(run, "different", number, name, message=message)
    return _different(run, difference, recording, message)


def _different(run: Run, difference: Difference, recording: Recording, message: str) -> Verdict:
    event, command = difference.event, difference.command
    return Verdict(
        run,
        "different",
        event.event_id if event is not None else 0,
        event_name(event) if event is not None else "nothing more",
        command_name(command) if command is not None else "nothing more",
        command.where if command is not None else recording.waits_at,
        message,
    )


def _message(text: str) -> str:
    """What the SDK's core means."""
    found = _MESSAGE.search(text)
    if found is not None:
        text = found.group(1).replace('\\"', '"').replace("\\'", "'").replace("\\n", "\n")
    text = _LONG_EVENT.sub(r"HistoryEvent(id: \1, \2)", text)
    return _PREFIX.sub("", text)


def _event_in(message: str) -> tuple[int, str]:
    found = _EVENT.search(message)
    return (int(found.group(1)), found.group(2)) if found is not None else (0, "")


@contextmanager
def _silence() -> Generator[None]:
    """What is wrong is said in verdicts; the SDK would say it once more."""
    logger = logging.getLogger("temporalio")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _quiet_runtime() -> Runtime:
    """The SDK's core would write to the standard output, where the report goes."""
    quiet = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=quiet)))
