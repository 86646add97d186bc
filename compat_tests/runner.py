"""Runs scenarios on targets, several at a time, each once per session."""

from __future__ import annotations

import asyncio
import difflib
import gc
import importlib
import inspect
import json
import pkgutil
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

import compat_tests.scenarios
from compat_tests.env import Env
from compat_tests.targets import SMALL, Target, new_target

CONCURRENCY = 8
"""Scenarios at a time, over all targets. Most of them wait for something."""

URGENT = 2
"""Runs beside those, of scenarios that differed: they do not wait behind all that are still to come."""

PLANNED = 2
"""Runs of a scenario on the real server that every session makes; another one is urgent."""

SCENARIO_TIMEOUT = 150.0
"""Seconds."""

Scenario = Callable[[Env], Awaitable[None]]


@dataclass
class Run:
    """What one scenario did on one target: its normalized records, or why it broke."""

    records: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    error: str = ""
    replay_errors: list[str] = field(default_factory=list[str])


def discover() -> dict[str, Scenario]:
    """Every scenario by its name, without the prefix ``scenario_``."""
    found: dict[str, Scenario] = {}
    for module_info in pkgutil.iter_modules(compat_tests.scenarios.__path__):
        module = importlib.import_module(f"compat_tests.scenarios.{module_info.name}")
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction):
            if name.startswith("scenario_") and function.__module__ == module.__name__:
                short = name.removeprefix("scenario_")
                assert short not in found, f"two scenarios are named {short}"
                found[short] = function
    return found


class TargetPool:
    """The targets of a session, started when they are first needed."""

    def __init__(self) -> None:
        self._targets: dict[str, asyncio.Task[Target]] = {}

    async def get(self, name: str, *, small: bool = False) -> Target:
        """A target that has started, with small limits if asked for. Raises what its start raised."""
        key = f"{name} with small limits" if small else name
        if key not in self._targets:
            self._targets[key] = asyncio.create_task(_start(name, small=small))
        return await asyncio.shield(self._targets[key])

    async def close(self) -> None:
        """Stop all of them.

        What is left of failed workflows is collected here, and not while pytest or an import parses a source file: the
        tracebacks that asyncio then writes are parsed too, and Python 3.11 cannot do the one within the other.
        """
        gc.collect()
        for starting in self._targets.values():
            if not isinstance(target := (await asyncio.gather(starting, return_exceptions=True))[0], BaseException):
                await target.stop()


class Runner:
    """Runs each scenario on each target at most once per `repeat`."""

    def __init__(self, pool: TargetPool, save_to: str | None = None, *, concurrency: int = CONCURRENCY) -> None:
        self._pool = pool
        self._save_to = Path(save_to) if save_to else None
        self._runs: dict[tuple[str, str, int], asyncio.Task[Run]] = {}
        self._slots = asyncio.Semaphore(concurrency)
        self._urgent = asyncio.Semaphore(URGENT)

    def start(self, target: str, name: str, scenario: Scenario, repeat: int = 0) -> asyncio.Task[Run]:
        """The run of a scenario on a target, started now if it was not before."""
        key = (target, name, repeat)
        if key not in self._runs:
            self._runs[key] = asyncio.create_task(self._run(target, name, scenario, self.slots(name, repeat)))
        return self._runs[key]

    async def close(self) -> None:
        """Stop what runs; the targets stay."""
        for run in self._runs.values():
            run.cancel()
        await asyncio.gather(*self._runs.values(), return_exceptions=True)

    def slots(self, name: str, repeat: int) -> asyncio.Semaphore:
        """What limits how many runs of this kind go on at a time."""
        del name
        return self._slots if repeat < PLANNED else self._urgent

    async def environment(self, name: str, target: Target) -> Env:
        """What a scenario on this target gets.

        On the real server with a connection of its own: what one scenario does to it, others do not feel. (An error
        whose details fill the trailers of a call ends the connection of the client, and every call on it.)
        """
        client = await target.connection.client() if target.connection.kind == "temporal" else target.client
        return Env(name, client, target.connection)

    async def _run(self, target_name: str, name: str, scenario: Scenario, slots: asyncio.Semaphore) -> Run:
        async with slots:
            try:
                small = bool(getattr(scenario, SMALL, False))
                env = await self.environment(name, await self._pool.get(target_name, small=small))
            except Exception:
                return Run(error=f"{target_name} did not start:\n{traceback.format_exc()}")
            run = Run()
            try:
                await asyncio.wait_for(scenario(env), SCENARIO_TIMEOUT)
            except Exception:
                run.error = traceback.format_exc()
            run.records = env.normalized()
            run.replay_errors = await replay(env)
            self._save(target_name, name, run)
            return run

    def _save(self, target: str, name: str, run: Run) -> None:
        if self._save_to is None:
            return
        self._save_to.mkdir(parents=True, exist_ok=True)
        (self._save_to / f"{name}.{target}.json").write_text("\n".join(_lines(run)))


async def _start(name: str, *, small: bool) -> Target:
    target = new_target(name, small=small)
    await target.start()
    return target


async def replay(env: Env) -> list[str]:
    """Replay every recorded history of a known workflow; the errors, if any."""
    if not env.recorded_histories:
        return []

    async def histories() -> AsyncIterator[WorkflowHistory]:
        for history in env.recorded_histories:
            yield history

    replayer = Replayer(workflows=list(env.workflows.values()), workflow_runner=UnsandboxedWorkflowRunner())
    results = await replayer.replay_workflows(histories(), raise_on_replay_failure=False)
    return [f"{run_id}: {error}" for run_id, error in results.replay_failures.items()]


def difference(expected: Run, actual: Run, names: tuple[str, str]) -> str:
    """A unified diff of the records as JSON lines; empty if they are equal."""
    lines = difflib.unified_diff(_lines(expected), _lines(actual), *names, lineterm="", n=6)
    return "\n".join(lines)


def _lines(run: Run) -> list[str]:
    return json.dumps(run.records, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
