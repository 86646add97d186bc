"""What workflow code did while it was replayed: its commands, and the lines that gave them.

The SDK says that a replay failed and at which event, but not which line of the workflow did what in its place. So two
methods of its workflow instances are watched while a check is going on; they are private, and if an SDK has others,
only the lines are missing from a verdict.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import temporalio
import temporalio.worker._workflow_instance as _instances

_LIBRARIES = tuple(str(Path(module.__file__ or "").parent) for module in (temporalio, asyncio))
_OWN = str(Path(__file__).parent)
_CANCELLED_BY = {
    "cancel_timer": "start_timer",
    "request_cancel_activity": "schedule_activity",
    "cancel_signal_workflow": "signal_external_workflow_execution",
}
_STACK_LINE = re.compile(r'File "([^"]+)", line (\d+)')


@dataclass(frozen=True)
class Command:
    """One command of the code: its kind, as the SDK's core names it, what it is about, and the line."""

    kind: str
    about: str
    where: str
    seq: int


@dataclass
class Recording:
    """What one replay did. ``waits_at``: the line at which the workflow waits in the end."""

    commands: list[Command] = field(default_factory=list[Command])
    waits_at: str = ""
    error: str = ""
    error_where: str = ""
    _lines: list[str] = field(default_factory=list[str])
    _task: tuple[int, int] = (0, 0)

    def begin(self) -> None:
        """An activation begins."""
        self._lines = []

    def line(self) -> None:
        """A command is given, by the code that is running now."""
        self._lines.append(_current_line())

    def end(self, activation: Any, completion: Any, instance: Any) -> None:
        """An activation has ended."""
        if completion.HasField("failed"):
            self._failed(completion.failed.failure)
        if not activation.is_replaying:
            return
        made = list(completion.successful.commands)
        lines = self._lines if len(self._lines) == len(made) else [""] * len(made)
        begin = self._task[1] if self._task[0] == activation.history_length else len(self.commands)
        self._task = (activation.history_length, begin)
        for command, where in zip(made, lines, strict=True):
            self._add(command, where, begin)
        self.waits_at = _waiting_line(instance) or self.waits_at

    def _add(self, command: Any, where: str, begin: int) -> None:
        kind: str = command.WhichOneof("variant")
        body = getattr(command, kind)
        seq = getattr(body, "seq", 0)
        begun = _CANCELLED_BY.get(kind)
        for known in self.commands[begin:]:
            # Begun and cancelled in one task: nothing of it comes to the server.
            if known.kind == begun and known.seq == seq:
                self.commands.remove(known)
                return
        self.commands.append(Command(kind, _about(body), where, seq))

    def _failed(self, failure: Any) -> None:
        name = failure.application_failure_info.type
        self.error = f"{name}: {failure.message}" if name else failure.message
        places = [(file, int(line)) for file, line in _STACK_LINE.findall(failure.stack_trace)]
        own = [place for place in places if _is_users(place[0])]
        self.error_where = _place(*own[-1]) if own else ""


class Recorder:
    """Records the replays of this process, one after the other."""

    def __init__(self) -> None:
        self.current = Recording()

    def begin(self) -> Recording:
        """A new replay begins."""
        self.current = Recording()
        return self.current

    @contextmanager
    def watching(self) -> Generator[None]:
        """Watch the SDK's workflow instances."""
        kind: Any = getattr(_instances, "_WorkflowInstanceImpl", None)
        activate, add = getattr(kind, "activate", None), getattr(kind, "_add_command", None)
        if activate is None or add is None:
            yield  # another SDK: verdicts have no lines
            return
        kind.activate, kind._add_command = self._activating(activate), self._adding(add)
        try:
            yield
        finally:
            kind.activate, kind._add_command = activate, add

    def _activating(self, activate: Any) -> Any:
        @functools.wraps(activate)
        def wrapper(instance: Any, activation: Any) -> Any:
            recording = self.current
            recording.begin()
            completion = activate(instance, activation)
            recording.end(activation, completion, instance)
            return completion

        return wrapper

    def _adding(self, add: Any) -> Any:
        @functools.wraps(add)
        def wrapper(instance: Any) -> Any:
            command = add(instance)
            self.current.line()
            return command

        return wrapper


def _about(body: Any) -> str:
    """What a command is about: a type, a name."""
    for name in ("activity_type", "workflow_type", "signal_name", "operation", "patch_id"):
        if value := getattr(body, name, ""):
            return str(value)
    return ""


def _current_line() -> str:
    """The innermost line of the user's that is being executed, or from which an error came."""
    frame = inspect.currentframe()
    return _line_of_frame(frame) or _line_of_traceback(sys.exc_info()[2])


def _line_of_frame(frame: FrameType | None) -> str:
    while frame is not None:
        if _is_users(frame.f_code.co_filename):
            return _place(frame.f_code.co_filename, frame.f_lineno)
        if frame.f_code.co_name == "activate":
            return ""  # what is further out is not workflow code
        frame = frame.f_back
    return ""


def _line_of_traceback(traceback: TracebackType | None) -> str:
    found = ""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if _is_users(file):
            found = _place(file, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def _waiting_line(instance: Any) -> str:
    """Where the main coroutine of a workflow waits."""
    task = getattr(instance, "_primary_task", None)
    waiting = task.get_coro() if task is not None and not task.done() else None
    found = ""
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None)
        if frame is not None and _is_users(frame.f_code.co_filename):
            found = _place(frame.f_code.co_filename, frame.f_lineno)
        waiting = getattr(waiting, "cr_await", None)
    return found


def _is_users(file: str) -> bool:
    return not file.startswith((*_LIBRARIES, _OWN, "<"))


def _place(file: str, line: int) -> str:
    path = Path(file)
    here = Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{line}"
