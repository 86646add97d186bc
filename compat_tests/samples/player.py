"""Runs the programs of one sample: the first ones in the background, the last one to its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

READY_SECONDS = 90.0
LAST_SECONDS = 120.0
END_SECONDS = 60.0
SHORT_SECONDS = 5.0
"""For programs on the real server: how long they take to end after Ctrl-C is not what is compared."""
READY = "ready"


class ProgramFailed(Exception):
    """A program did not do what it should; the text has what it wrote."""


class ProgramCrashed(ProgramFailed):
    """A program was killed by a signal, after it had done its work or before."""


class Program:
    """A process, with all that it has written so far."""

    def __init__(self, process: asyncio.subprocess.Process, words: Sequence[str]) -> None:
        self.process = process
        self._words = words
        self.lines: list[str] = []
        self.errors = ""
        self._ready = asyncio.Event()
        self._reading = asyncio.gather(self._read_lines(), self._read_errors())

    async def ready(self) -> None:
        """Wait until it has printed its line ``ready``."""
        waiting = asyncio.ensure_future(self._ready.wait())
        done, _ = await asyncio.wait(
            {waiting, self._reading}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if waiting not in done:
            waiting.cancel()
            raise ProgramFailed(self.report("is not ready"))

    async def end(self) -> list[str]:
        """Wait until it ends by itself, with exit code 0; the lines that it printed."""
        try:
            await asyncio.wait_for(asyncio.shield(self._reading), LAST_SECONDS)
            code = await self.process.wait()
        except asyncio.TimeoutError:
            raise ProgramFailed(self.report(f"did not end in {LAST_SECONDS:.0f} s")) from None
        if code < 0:
            raise ProgramCrashed(self.report(f"was killed by signal {-code}"))
        if code != 0:
            raise ProgramFailed(self.report(f"ended with code {code}"))
        return self.lines

    async def stop(self) -> None:
        """What Ctrl-C does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(self.process.wait(), END_SECONDS)
        except asyncio.TimeoutError:
            raise ProgramFailed(self.report("did not end after Ctrl-C")) from None
        await self._reading

    async def stop_or_kill(self) -> None:
        """What Ctrl-C does, else what ``kill -9`` does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.process.wait(), SHORT_SECONDS)
        await self.kill()

    async def kill(self) -> None:
        """If it is still there."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await self._reading

    def report(self, what: str) -> str:
        """A sentence and what the program wrote."""
        written = "\n".join(self.lines)
        return f"{' '.join(self._words)} {what}\n--- stdout\n{written}\n--- stderr\n{self.errors[-6000:]}"

    async def _read_lines(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))
            if self.lines[-1] == READY:
                self._ready.set()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.errors += line.decode(errors="replace")


async def play(
    commands: Sequence[Sequence[str]], folder: Path, environment: Mapping[str, str], *, must_end: bool = True
) -> list[str]:
    """Run the programs of a sample; the lines of the last one. Raises `ProgramFailed`.

    ``must_end``: the others must end after Ctrl-C; else they are killed if they do not within `SHORT_SECONDS`.
    """
    programs: list[Program] = []
    try:
        for command in commands:
            programs.append(await _start(command, folder, environment))
            if command is not commands[-1]:
                await programs[-1].ready()
        lines = await programs[-1].end()
        for program in programs[-2::-1]:
            await (program.stop() if must_end else program.stop_or_kill())
    except ProgramFailed as error:
        others = [program.report("was running") for program in programs if program.process.returncode is None]
        raise type(error)("\n".join([str(error), *others])) from None
    finally:
        for program in programs:
            await program.kill()
    return lines


async def _start(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Program:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment, stdout=pipe, stderr=pipe)
    return Program(process, command)
