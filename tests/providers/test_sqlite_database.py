"""What is SQLite's own: threads, many processes, durability, hints, the shortcut of a commit, connection forms."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hotmesh_temporal.providers.sqlite import SqliteBackend

from hotmesh_temporal.contracts import (
    Commit,
    ConnectionSpec,
    ContractError,
    InvalidArgument,
    KeyType,
    NotInitialized,
    RunWrite,
    SearchDocument,
    Unavailable,
)

WORKER = Path(__file__).with_name("sqlite_worker.py")


def make_backend(path: Path | str, **options: Any) -> SqliteBackend:
    return SqliteBackend(ConnectionSpec("sqlite", options={"path": str(path), **options}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own.sqlite3"


@pytest_asyncio.fixture
async def backend(path: Path) -> AsyncIterator[SqliteBackend]:
    opened = make_backend(path)
    await opened.open("ns", "app", "engine")
    yield opened
    await opened.close()


def start(path: Path, mode: str, count: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(WORKER), str(path), mode, str(count)], stdout=subprocess.PIPE, text=True
    )


def create(job_id: str) -> Commit:
    return Commit(runs=(RunWrite(job_id=job_id, expected_revision=0, status=1, state=b"s" * 1500),))


def files_beside(path: Path) -> list[str]:
    return os.listdir(path.parent)


# -- threads -----------------------------------------------------------------------------------------------------------


async def _longest_gap(work: asyncio.Future[Any]) -> float:
    longest, last = 0.0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


async def test_the_event_loop_never_waits_for_the_disk(backend: SqliteBackend) -> None:
    async def commit_many(prefix: str) -> None:
        for number in range(0, 2000, 20):
            await asyncio.gather(*(backend.store.commit(create(f"{prefix}{number + i}")) for i in range(20)))

    gaps: list[float] = []
    for attempt in range(3):  # the machine may take the processor away from the whole process
        work = asyncio.ensure_future(commit_many(f"{attempt}-"))
        gaps.append(await _longest_gap(work))
        await work
        if gaps[-1] < 0.02:
            return
    pytest.fail(f"the event loop stood still for {gaps} s")


async def test_close_leaves_nothing(path: Path) -> None:
    before = set(threading.enumerate())
    backend = make_backend(path)
    await backend.open("ns", "app", "engine")
    await backend.sub.subscribe(KeyType.QUORUM, lambda topic, message: None, "app")
    await backend.stream.consume_messages("s", "WORKER", "c", block_timeout=1)
    await backend.search.get("doc")
    assert f"{path.name}-hints" in files_beside(path)
    await backend.close()
    await backend.close()
    assert set(threading.enumerate()) == before
    assert files_beside(path) == [path.name]
    with pytest.raises(ContractError):
        await backend.store.get_status("job", "app")


async def test_a_backend_may_be_opened_again(path: Path) -> None:
    backend = make_backend(path)
    for number in range(2):
        await backend.open("ns", "app", "engine")
        await backend.store.commit(create(f"run-{number}"))
        assert len(await backend.store.list_runs()) == number + 1
        assert await backend.stream.consume_messages("s", "WORKER", "c", block_timeout=5) == []
        await backend.close()


async def test_not_opened_is_said(path: Path) -> None:
    with pytest.raises(NotInitialized):
        await make_backend(path).store.init("ns", "app")


async def test_a_cancelled_caller_does_not_hurt_the_others(backend: SqliteBackend) -> None:
    calls = [asyncio.ensure_future(backend.store.commit(create(f"run-{number}"))) for number in range(50)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(not isinstance(result, BaseException) for result in results[1::2])
    assert len(await backend.store.list_runs()) >= 25


async def test_one_failing_unit_does_not_hurt_its_group(backend: SqliteBackend) -> None:
    await backend.store.commit(create("taken"))
    calls = [backend.store.commit(create("taken" if number % 3 == 0 else f"run-{number}")) for number in range(60)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, ContractError) for result in results] == [number % 3 == 0 for number in range(60)]
    assert len(await backend.store.list_runs()) == 41


# -- processes ---------------------------------------------------------------------------------------------------------


async def test_many_processes_on_a_new_file(path: Path) -> None:
    processes = [start(path, "count", 50) for _ in range(6)]
    await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in processes))
    assert [process.returncode for process in processes] == [0] * 6
    backend = make_backend(path)
    await backend.open("ns", "app", "engine")
    run = await backend.store.load_run("shared")
    await backend.close()
    assert run is not None
    assert (run.revision, run.state) == (300, b"300")


async def test_a_killed_process_loses_nothing_it_acknowledged(path: Path) -> None:
    process = start(path, "append")
    assert process.stdout is not None
    for _ in range(200):
        await asyncio.to_thread(process.stdout.readline)
    process.kill()
    rest, _ = await asyncio.to_thread(process.communicate)
    acknowledged = 200 + len([line for line in rest.splitlines() if line.isdigit()])
    backend = make_backend(path)
    await backend.open("ns", "app", "engine")
    runs = {run.job_id for run in await backend.store.list_runs(limit=100_000)}
    await backend.close()
    assert {f"run-{number}" for number in range(acknowledged)} <= runs
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


async def test_a_message_wakes_another_process(backend: SqliteBackend, path: Path) -> None:
    process = start(path, "wait")
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "waiting\n"
    await asyncio.sleep(0.3)
    await backend.stream.publish_messages("work", ["hello"])
    started = time.monotonic()
    assert await asyncio.to_thread(process.stdout.readline) == "hello\n"
    assert time.monotonic() - started < 0.2
    await asyncio.to_thread(process.communicate)
    assert process.returncode == 0


# -- connection forms --------------------------------------------------------------------------------------------------


def test_urls_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = f"sqlite:{os.path.realpath(tmp_path)}/some.db"
    for url in ("sqlite:///some.db", f"sqlite:///{tmp_path}/some.db", "sqlite:///./some.db?synchronous=normal"):
        assert SqliteBackend(ConnectionSpec("sqlite", url=url)).identity == wanted
    assert make_backend(tmp_path / "some.db").identity == wanted
    assert SqliteBackend(ConnectionSpec("sqlite", options={"database": Path("some.db")})).identity == wanted
    assert SqliteBackend(ConnectionSpec("sqlite", url="sqlite://:memory:")).identity == "sqlite::memory:"


@pytest.mark.parametrize(
    "spec",
    [
        ConnectionSpec("sqlite"),
        ConnectionSpec("sqlite", url="sqlite://some.db"),
        ConnectionSpec("sqlite", url="postgresql:///some.db"),
        ConnectionSpec("sqlite", options={"path": "a", "timeout": 3}),
        ConnectionSpec("sqlite", options={"path": 3}),
        ConnectionSpec("sqlite", options={"path": "a", "synchronous": "sometimes"}),
        ConnectionSpec("sqlite", options={"path": "a", "busy_timeout": "long"}),
        ConnectionSpec("sqlite", options={"path": "a", "busy_timeout": -1}),
    ],
    ids=["nothing", "two slashes", "other scheme", "unknown option", "no path", "synchronous", "no number", "negative"],
)
def test_bad_specs(spec: ConnectionSpec) -> None:
    with pytest.raises(InvalidArgument):
        SqliteBackend(spec)


def test_an_open_connection_is_refused() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(InvalidArgument, match="path of its file"):
        SqliteBackend(ConnectionSpec("sqlite", existing=connection))
    connection.close()


async def test_a_newer_schema_is_refused(path: Path) -> None:
    backend = make_backend(path)
    await backend.open("ns", "app", "engine")
    await backend.close()
    file = sqlite3.connect(path)
    file.execute("INSERT INTO hm_schema VALUES (999, 0)")
    file.commit()
    file.close()
    with pytest.raises(Unavailable, match="upgrade"):
        await make_backend(path).open("ns", "app", "engine")


async def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("this is not a database " * 100)
    for path, reason in ((text, "not a SQLite database"), (tmp_path / "none" / "a.db", "directory exists")):
        with pytest.raises(Unavailable, match=reason):
            await make_backend(path).open("ns", "app", "engine")


async def test_a_held_lock_ends_in_unavailable(path: Path) -> None:
    backend = make_backend(path, busy_timeout=0.2)
    await backend.open("ns", "app", "engine")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="busy_timeout"):
        await backend.store.commit(create("run"))
    assert await backend.store.load_run("run") is None
    other.execute("COMMIT")
    other.close()
    await backend.store.commit(create("run"))
    await backend.close()


async def test_tables_of_the_users_stay(path: Path) -> None:
    file = sqlite3.connect(path)
    file.execute("CREATE TABLE jobs (mine)")
    file.execute("INSERT INTO jobs VALUES ('kept')")
    file.commit()
    backend = make_backend(path)
    await backend.open("ns", "app", "engine")
    await backend.close()
    assert file.execute("SELECT * FROM jobs").fetchall() == [("kept",)]
    file.close()


async def test_memory(tmp_path: Path) -> None:
    backend = make_backend(":memory:")
    await backend.open("ns", "app", "engine")
    document = SearchDocument("run", "default", {"StartTime": 1})
    await backend.store.commit(dataclasses.replace(create("run"), search=(document,)))
    assert [run.job_id for run in await backend.store.list_runs()] == ["run"]
    received: list[Any] = []
    await backend.sub.subscribe(KeyType.QUORUM, lambda topic, message: received.append(message), "app")
    await backend.sub.publish(KeyType.QUORUM, {"a": 1}, "app")
    waiting = asyncio.ensure_future(backend.stream.consume_messages("x", "WORKER", "c", block_timeout=5000))
    await asyncio.sleep(0.01)
    await backend.stream.publish_messages("x", ["m"])
    assert [message.data for message in await asyncio.wait_for(waiting, 1)] == ["m"]
    assert received == [{"a": 1}]
    page = await backend.search.query("default")
    assert [document.doc_id for document in page.documents] == ["run"]
    await backend.close()
