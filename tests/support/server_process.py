"""``hotmesh-temporal server`` as a process of a test."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("hotmesh-temporal"))


class ServerProcess:
    """A server on ``port`` (0: a free one). It was started when this returns, but is not ready yet (`wait`)."""

    def __init__(self, *arguments: str, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [COMMAND, "server", "--port", str(port), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = ""

    def wait(self) -> str:
        """Until it is ready; its address."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("hotmesh-temporal serves "):
            raise RuntimeError(f"the server did not start: {line}{self.process.communicate(timeout=20)[1]}")
        self.address = line.split()[2]
        return self.address

    def tell(self, *signals: signal.Signals) -> None:
        """Send signals."""
        for each in signals:
            self.process.send_signal(each)

    def ended(self) -> tuple[int, str]:
        """Wait for its end: the exit code, and what was written to the error stream."""
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors

    def kill(self) -> None:
        """End it at once, whatever it does. Idempotent."""
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate(timeout=20)


def start_all(servers: Sequence[ServerProcess]) -> None:
    """Wait for all of them, which start side by side."""
    for each in servers:
        each.wait()
