"""Every example runs as its docstring says: in processes of its own, on the embedded default, Postgres and Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
COMMAND = str(Path(sys.executable).with_name("hotmesh-temporal"))
PYTHON = sys.executable


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with RedisServer("redis6") as server:
        yield server.url


class Place:
    """A working directory and an environment for an example."""

    def __init__(self, folder: Path, connection: str | None) -> None:
        self.folder = folder
        self.connection = connection
        settings = {name: value for name, value in os.environ.items() if not name.startswith(("HOTMESH_", "TEMPORAL_"))}
        self.environ = {**settings, "HOME": str(folder), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
        if connection:
            self.environ["HOTMESH_CONNECTION"] = connection

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(command, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, text=True)


@pytest.fixture(params=["embedded", "postgres", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "embedded":
        return Place(tmp_path, None)
    if request.param == "redis":
        return Place(tmp_path, request.getfixturevalue("redis_url"))
    server: PostgresServer = request.getfixturevalue("postgres")
    return Place(tmp_path, server.new_database())


def test_hello_with_changed_imports(place: Place) -> None:
    assert place.run(PYTHON, str(EXAMPLES / "hello_imports_changed.py")) == "Hello, World!\n"
    assert (place.folder / ".hotmesh" / "hotmesh.sqlite3").exists() == (place.connection is None)


def test_hello_with_the_plugin(place: Place) -> None:
    arguments = [place.connection] if place.connection else []
    assert place.run(PYTHON, str(EXAMPLES / "hello_plugin.py"), *arguments) == "Hello, World!\n"


def test_hello_unchanged(place: Place) -> None:
    assert place.run(COMMAND, "run", str(EXAMPLES / "hello_unchanged.py"), "Ada") == "Hello, Ada!\n"


def test_hello_unchanged_as_a_module(place: Place) -> None:
    (place.folder / "app.py").write_text((EXAMPLES / "hello_unchanged.py").read_text())
    assert place.run(COMMAND, "run", "-m", "app", "Bob") == "Hello, Bob!\n"


def test_two_processes(place: Place) -> None:
    folder = EXAMPLES / "two_processes"
    worker = place.start(PYTHON, str(folder / "worker.py"))
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "the worker is ready; stop it with Ctrl-C\n"
        output = place.run(PYTHON, str(folder / "client.py"))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        worker.wait()
    assert output == "waiting for approval\npublished 'Databases all the way down', approved by Ada\n"


def test_schedule(tmp_path: Path) -> None:
    output = Place(tmp_path, None).run(PYTHON, str(EXAMPLES / "schedule.py"))
    assert output == "results: [1, 2, 3]\npaused: True - that is enough\none more: 4\n"


@pytest.mark.parametrize("name", ["agent", "daily_report", "money_transfer"])
def test_what_its_readme_shows(tmp_path: Path, name: str) -> None:
    output = Place(tmp_path, None).run(PYTHON, str(EXAMPLES / name / "main.py"))
    assert output == (EXAMPLES / name / "README.md").read_text().split("```\n")[1]


def test_demo(place: Place) -> None:
    output = place.run(PYTHON, str(EXAMPLES / "demo.py"))
    assert "Result: A good book: parcel from shelf 7, attempt 3" in output
    for event in ("Workflow Execution Started", "Timer Canceled", "Workflow Execution Completed"):
        assert event in output
