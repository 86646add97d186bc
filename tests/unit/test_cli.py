"""The command line as processes see it: help, exit codes, how a script is run, and clear errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("hotmesh-temporal"))


def call(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("HOTMESH_", "TEMPORAL_"))}
    return subprocess.run(
        [COMMAND, *arguments], cwd=cwd, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_names_every_command_and_the_forms_of_a_connection() -> None:
    output = call("--help").stdout
    for text in ("run ", "server ", "version ", "HOTMESH_CONNECTION", "postgresql://", "sqlite:///"):
        assert text in output


@pytest.mark.parametrize("command", ["run", "server", "version"])
def test_each_command_has_help(command: str) -> None:
    done = call(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: hotmesh-temporal " + command)


def test_an_unknown_command_is_refused() -> None:
    done = call("nothing")
    assert done.returncode == 2
    assert "No such command 'nothing'" in done.stderr


def test_version() -> None:
    assert call("version").stdout.startswith("hotmesh-temporal 0.")


def test_a_script_runs_as_main_with_its_arguments_and_neighbours(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "neighbour.py").write_text("x = 5")
    (folder / "script.py").write_text(
        "import sys, neighbour\n"
        "assert __name__ == '__main__' and sys.modules['__main__'].__file__ == __file__\n"
        "print(sys.argv, neighbour.x)\n"
        "sys.exit(3)\n"
    )
    done = call("run", "app/script.py", "--port", "1", "-m", "--", "x", cwd=tmp_path)
    assert done.stdout == "['app/script.py', '--port', '1', '-m', '--', 'x'] 5\n"
    assert done.returncode == 3


_PROGRAM_WITH_CHILDREN = """
import asyncio
import multiprocessing

from temporalio.client import Client


async def connect() -> None:
    client = await Client.connect("localhost:7233")
    print(multiprocessing.get_start_method(), type(client.service_client).__name__, flush=True)


def child() -> None:
    asyncio.run(connect())


if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        multiprocessing.set_start_method(method, force=True)
        process = multiprocessing.Process(target=child)
        process.start()
        process.join()
"""


def test_child_processes_of_a_script_use_the_database_too(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(_PROGRAM_WITH_CHILDREN)
    done = call("run", "app.py", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        f"{method} HotMeshServiceClient" for method in ("fork", "spawn", "forkserver")
    ], done.stderr


@pytest.mark.parametrize("form", [["app.py"], ["-m", "app"]], ids=["script", "module"])
def test_what_a_program_raises_looks_as_in_python(tmp_path: Path, form: list[str]) -> None:
    (tmp_path / "app.py").write_text("def fail():\n    raise ValueError('no')\n\n\nfail()\n")
    ours = call("run", *form, cwd=tmp_path)
    python = subprocess.run([sys.executable, "app.py"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ours.returncode, ours.stderr) == (python.returncode, python.stderr)


def test_an_interrupted_program_says_where(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise KeyboardInterrupt\n")
    done = call("run", "app.py", cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert "click" not in done.stderr


def test_a_module_runs_as_main(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import sys; print(__name__, sys.argv[1:])")
    assert call("run", "-m", "app", "--flag", cwd=tmp_path).stdout == "__main__ ['--flag']\n"


def test_a_missing_script_is_said_clearly(tmp_path: Path) -> None:
    done = call("run", "missing.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "there is no file 'missing.py'" in done.stderr


@pytest.mark.parametrize(
    "command", [["run", "--connection", "mysql://x", "a.py"], ["server", "--connection", "mysql://x"]]
)
def test_a_wrong_connection_is_said_clearly(command: list[str]) -> None:
    done = call(*command)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no provider for 'mysql' is installed")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["server", "verify"])
@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--stream", "nats://127.0.0.1:9"], 'needs a "store"'),
        (["--connection", "sqlite:///a.db", "--store", "sqlite:///b.db"], "either --connection or --store"),
        (["--store", "nats://127.0.0.1:9"], "NATS cannot be the store"),
        (["--store", "sqlite:///a.db", "--sub", "nats://127.0.0.1:9"], "NATS at 127.0.0.1:9 cannot be reached"),
        (["--connection", "sqlite:///a.db", "--stream", "nats://127.0.0.1:9"], "start it with `nats-server -js`"),
    ],
)
def test_services_that_do_not_fit_are_said_clearly(command: str, options: list[str], text: str, tmp_path: Path) -> None:
    done = call(command, *options, cwd=tmp_path)
    assert done.returncode == 1
    assert text in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
