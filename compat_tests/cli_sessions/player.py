"""Plays sessions against a server and writes down what the CLI printed."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from compat_tests.cli_sessions.output import Normalizer
from compat_tests.cli_sessions.script import Step, steps_of
from compat_tests.cli_sessions.workflows import ACTIVITIES, WORKFLOWS
from tests.support.temporal_server import temporal_command

QUEUE = "queue"
UNTIL_SECONDS = 20.0
COMMAND_SECONDS = 60.0
_PAUSE_SECONDS = 0.2


async def play(address: str, name: str, output: str, repeat: int = 0) -> list[str]:
    """Every line of a session: the commands with their exit codes, output and errors. In a namespace of its own."""
    namespace = f"{name}-{output}-{repeat}".replace("_", "-")
    client = await _client(address, namespace)
    normalize, saved = Normalizer(namespace), {"NAMESPACE": namespace}
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="cli-") as home:
        shell = _Shell(home, address, namespace, output)
        async with _worker(client):
            for step in steps_of(name, output):
                code, printed, errors = await shell.run(step, saved)
                variable, expression = step.save
                if variable:
                    saved[variable] = _found(expression, printed + errors)
                shown = normalize(printed, without=step.without, in_any_order=step.in_any_order)
                lines += [f"$ temporal {step.command}", *shown]
                lines += [f"! {line}" for line in normalize(errors)] + ([f"exit code {code}"] if code else []) + [""]
    return lines


async def _client(address: str, namespace: str) -> Client:
    """A client of a new namespace, when that can be used."""
    client = await Client.connect(address, namespace=namespace, identity="client")
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=namespace, workflow_execution_retention_period=Duration(seconds=7 * 24 * 3600)
        )
    )
    for _ in range(100):
        try:
            await client.count_workflows("WorkflowId = 'none'")
            break
        except RPCError:
            await asyncio.sleep(0.1)
    return client


@asynccontextmanager
async def _worker(client: Client) -> AsyncGenerator[None]:
    runner = UnsandboxedWorkflowRunner()
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        workflow_runner=runner,
        identity="worker",
        max_cached_workflows=0,
    ):
        yield


def _found(expression: str, text: str) -> str:
    found = re.search(expression, text)
    assert found, f"{expression!r} is not in:\n{text}"
    return found[1]


class _Shell:
    """Runs the CLI, without anything of the user's own settings."""

    def __init__(self, home: str, address: str, namespace: str, output: str) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "TZ": "UTC",
            "TEMPORAL_ADDRESS": address,
            "TEMPORAL_NAMESPACE": namespace,
        }
        self._options = ["--identity", "cli", "--time-format", "iso", "--color", "never", "--output", output]

    async def run(self, step: Step, saved: dict[str, str]) -> tuple[int, str, str]:
        """Exit code, output and errors of a command; of the first that prints what it is to print, if it says so."""
        deadline = time.monotonic() + UNTIL_SECONDS
        while True:
            code, printed, errors = await self._once(step.arguments(saved))
            if not step.until or re.search(step.until, printed + errors):
                return code, printed, errors
            if time.monotonic() > deadline:
                return code, printed, f"{errors}\nthis does not print {step.until!r}"
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _once(self, arguments: list[str]) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            temporal_command(),
            *arguments,
            *self._options,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            printed, errors = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()
            return -1, "", f"no end after {COMMAND_SECONDS:.0f} s: {shlex.join(arguments)}"
        return process.returncode or 0, printed.decode(), errors.decode()
