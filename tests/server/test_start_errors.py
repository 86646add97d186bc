"""Each thing that can be wrong when a server starts is one line that says what it is and what to do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres_server import PostgresServer
from tests.support.server_process import COMMAND

PASSWORD = "correct-horse"


@dataclass
class Case:
    """Options of the server, and what its one line has to say."""

    options: str
    texts: tuple[str, ...]
    code: int = 1
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


CASES = {
    "wrong password": Case("--connection {wrong_password}", ("refused the password; correct user and password",)),
    "unknown database": Case("--connection {unknown_database}", ("no such database; create it (CREATE DATABASE",)),
    "unknown user": Case("--connection {unknown_user}", ("refused the password; correct user and password",)),
    "no rights": Case("--connection {no_rights}", ("denied a right; the user needs CREATE on the database",)),
    "newer Postgres schema": Case("--connection {newer_postgres}", ("has version 9999", "upgrade the package")),
    "newer SQLite schema": Case("--connection {newer_sqlite}", ("schema version 9999", "upgrade the")),
    "bad port in the URL": Case("--connection postgresql://u@host:54x2/db", ("must be a number, not '54x2'",)),
    "missing driver": Case(
        "--connection postgresql://localhost/x",
        ("cannot be loaded", "pip install 'hotmesh-temporal[postgres]'"),
        environment={"PYTHONPATH": "{without_driver}"},
    ),
    "not writable": Case("--connection sqlite:////proc/orders.sqlite3", ("unable to open", "may be written")),
    "no SQLite file": Case("--connection sqlite:///{text_file}", ("file is not a database", "choose another path")),
    "address of another machine": Case("--ip 203.0.113.7", ("no interface of this machine has that address",)),
    "name of nothing": Case("--ip no.such.host.invalid", ("is no interface of this machine",)),
    "metrics port": Case("--metrics-port {taken_port}", ("cannot serve metrics on 127.0.0.1", "already in use")),
    "wrong option": Case("--drain-seconds -1", ("Invalid value for '--drain-seconds'",), code=2),
    "unknown option": Case("--prot 7233", ("No such option", "--port"), code=2),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.CompletedProcess[str]]]:
    """What became of all of them, side by side."""
    folder = tmp_path_factory.mktemp("wrong")
    with PostgresServer(password=PASSWORD) as postgres:
        values = wrong_places(folder, postgres)

        def run(case: Case) -> subprocess.CompletedProcess[str]:
            command = [COMMAND, "server", "--port", "0", *case.options.format(**values).split()]
            if "--connection" not in command:
                command += ["--connection", f"sqlite:///{folder}/good.sqlite3"]
            environment = {name: value.format(**values) for name, value in case.environment.items()}
            return subprocess.run(
                command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
            )

        with ThreadPoolExecutor(3) as pool:
            yield dict(zip(CASES, pool.map(run, CASES.values()), strict=True))


def wrong_places(folder: Path, postgres: PostgresServer) -> dict[str, Any]:
    """Databases that are wrong in one way each."""
    good = postgres.new_database()
    postgres.execute(f"CREATE USER guest PASSWORD '{PASSWORD}'")
    newer = postgres.new_database()
    postgres.execute(
        "CREATE SCHEMA hotmesh; CREATE TABLE hotmesh.schema_version AS SELECT 9999 AS version", newer.rsplit("/", 1)[1]
    )
    database = sqlite3.connect(folder / "newer.sqlite3")
    database.execute("CREATE TABLE hm_schema (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)")
    database.execute("INSERT INTO hm_schema VALUES (9999, 0)")
    database.commit()
    database.close()
    (folder / "text").write_text("This is no database, and was never meant to be one.\n" * 20)
    (folder / "asyncpg.py").write_text("raise ImportError('No module named asyncpg')\n")
    return {
        "wrong_password": good.replace(PASSWORD, "wrong"),
        "unknown_database": postgres.dsn("nothing"),
        "unknown_user": good.replace("//postgres:", "//nobody:"),
        "no_rights": good.replace(f"postgres:{PASSWORD}@", f"guest:{PASSWORD}@"),
        "newer_postgres": newer,
        "newer_sqlite": f"sqlite:///{folder}/newer.sqlite3",
        "without_driver": str(folder),
        "text_file": folder / "text",
        "taken_port": postgres.port,
    }


@pytest.mark.parametrize("name", CASES)
def test_it_is_said_in_one_line(name: str, outcomes: dict[str, subprocess.CompletedProcess[str]]) -> None:
    case, done = CASES[name], outcomes[name]
    assert done.returncode == case.code, done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stderr
    error = done.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    for text in case.texts:
        assert text in done.stderr.split("Error: ")[1], done.stderr
    if case.code == 1:
        assert done.stderr.count("\n") == 1, done.stderr
