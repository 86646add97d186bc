"""Which tests passed on which database: a file that the README's table is drawn from.

Three kinds: ``kit`` (conformance, by service), ``scenarios`` (as on the real server) and ``faults``. A run replaces
what it ran, kind by kind and database by database, and leaves the rest; what failed may be run again alone.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support import nats_server, postgres_server, redis_server

KIT = "hotmesh_temporal.conformance."
KIT_FILES = {
    "test_sqlite.py": "sqlite",
    "test_postgres.py": "postgres",
    "test_redis.py": "redis",
    "test_nats.py": "nats",
}
SERVER_OF_TARGET = {"redis": "valkey"}
"""Targets that are not called as the server that they run on."""

Place = tuple[str, str, str]
"""Kind, database, service (empty but for the kit)."""

Record = dict[str, Any]


class Recorder:
    """A plugin of pytest that writes the file when the session ends."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)
        self._outcomes: dict[Place, dict[str, str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note the outcome of a test."""
        report = yield
        place = place_of(item)
        if place is not None and (report.when == "call" or not report.passed):
            self._outcomes.setdefault(place, {})[item.name] = report.outcome
        return report

    def pytest_sessionfinish(self) -> None:
        """Write what was noted."""
        record: Record = json.loads(self._file.read_text()) if self._file.exists() else {}
        for (kind, database, service), outcomes in self._outcomes.items():
            by_database = record.setdefault(kind, {})
            where, key = (by_database.setdefault(database, {}), service) if service else (by_database, database)
            where[key] = _updated(where.get(key, {}), outcomes)
        record["versions"] = versions()
        self._file.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def _updated(before: Record, outcomes: dict[str, str]) -> Record:
    """What is kept of one group of tests. A run of nothing but those that had failed corrects what is there."""
    count = Counter(outcomes.values())
    failed = sorted(name for name, outcome in outcomes.items() if outcome == "failed")
    if outcomes.keys() <= set(before.get("failed", ())):
        still = sorted(set(before["failed"]) - outcomes.keys() | set(failed))
        return {**before, "passed": before["passed"] + count["passed"], "failed": still}
    return {"passed": count["passed"], "skipped": count["skipped"], "failed": failed}


def place_of(item: pytest.Item) -> Place | None:
    """What a test counts for."""
    values: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    module = str(getattr(getattr(item, "cls", None), "__module__", ""))
    if module.startswith(KIT) and item.path.name in KIT_FILES:
        return "kit", str(values.get("redis_url", KIT_FILES[item.path.name])), _service(module, item)
    target = str(values.get("target", ""))
    if "scenario" in values and target:
        return "scenarios", SERVER_OF_TARGET.get(target, target), ""
    if item.path.name == "test_nothing_lost.py" and target:
        return "faults", SERVER_OF_TARGET.get(target, target), ""
    return None


def _service(module: str, item: pytest.Item) -> str:
    name = module.removeprefix(KIT)
    if name == "inspection":
        return "stream" if "StreamInspection" in item.nodeid else "store"
    service = name.partition("_")[0]
    return service if service in ("stream", "sub", "search", "services") else "store"


def versions() -> dict[str, str]:
    """The servers that the tests start, as they say themselves."""
    found = {
        "sqlite": f"SQLite {sqlite3.sqlite_version}",
        "postgres": "Postgres " + _ask(str(postgres_server.find_binaries() / "postgres"), "--version").split()[2],
        "redis6": "Redis " + _redis_version("redis6"),
        "valkey": "Valkey " + _redis_version("valkey"),
        "nats": "NATS " + _ask(nats_server.find_binary(), "--version").split()[-1].lstrip("v"),
    }
    # Not on every machine.
    with contextlib.suppress(FileNotFoundError):
        found["redis7"] = "Redis " + _redis_version("redis7")
    return found


def _redis_version(kind: str) -> str:
    said = _ask(str(redis_server.find_binary(kind)), "--version")
    return next(word.removeprefix("v=") for word in said.split() if word.startswith("v="))


def _ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
