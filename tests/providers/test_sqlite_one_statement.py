"""A commit as one statement does what the steps do, and leaves to them whatever is unusual."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from hotmesh_temporal.providers.sqlite import commits, schema
from hotmesh_temporal.providers.sqlite.database import Session
from hotmesh_temporal.providers.sqlite.one_statement import commit_statement

from hotmesh_temporal.contracts import (
    Ack,
    Commit,
    CurrentRunWrite,
    EventBatch,
    Mark,
    MessageLease,
    Publish,
    RunWrite,
    SearchDocument,
    TimerWrite,
)

_RUN = RunWrite(
    job_id="run", expected_revision=0, status=1, state=b"1", origin=b"o", batches=(EventBatch(1, 4, b"abc"),)
)
_DOCUMENT = SearchDocument(
    "run",
    "default",
    {
        "WorkflowId": "w",
        "WorkflowType": "T",
        "ExecutionStatus": "Running",
        "StartTime": 2**60 + 1,
        "Own": "é",
        "On": True,
    },
    b"\x00\xff",
)

_CLOSED = {name: _DOCUMENT.fields[name] for name in ("WorkflowId", "WorkflowType", "StartTime")}

USUAL = [
    Commit(
        runs=(_RUN,),
        current_runs=(CurrentRunWrite("p", None, "run"),),
        marks=(Mark("run", "guid"),),
        publishes=(Publish(stream="s", message='"quoted" ü', lease=MessageLease("WORKER", "c", 1000)),),
        outbox=(Publish(stream="o", message="out", visible_at_ms=5, priority=2),),
        timers=(TimerWrite("t1", 10, "one"), TimerWrite("t2", 20)),
        search=(_DOCUMENT,),
    ),
    Commit(
        runs=(RunWrite(job_id="run", expected_revision=1, status=1, state=b"2"),),
        publishes=(Publish(stream="s", message="a"), Publish(stream="s", message="b", priority=3)),
        timers=(TimerWrite("t1", 11, "again"),),
        cancel_timers=("t2",),
        search=(dataclasses.replace(_DOCUMENT, fields={**_DOCUMENT.fields, "A": ["x", "y"], "CloseTime": 5}),),
    ),
    Commit(
        runs=(RunWrite(job_id="run", expected_revision=2, status=0, state=b"3", batches=(EventBatch(4, 9, b"d"),)),),
        current_runs=(CurrentRunWrite("p", "run", "run2"),),
        search=(dataclasses.replace(_DOCUMENT, fields=_CLOSED),),
    ),
]


def write_run(job_id: str, revision: int, *batches: EventBatch) -> Commit:
    return Commit(
        runs=(RunWrite(job_id=job_id, expected_revision=revision, status=1, state=b"", batches=tuple(batches)),)
    )


@pytest.fixture
def sessions(tmp_path: Path) -> tuple[Session, Session]:
    def make(name: str) -> Session:
        connection = schema.connect(str(tmp_path / name), synchronous="OFF", timeout=1)
        schema.prepare(connection, name, 1)
        session = Session(connection)
        connection.execute("UPDATE hm_meta SET value = 'db'")
        for stream in ("s", "o"):
            connection.execute("INSERT INTO hm_streams (scope, name) VALUES (1, ?)", (stream,))
        connection.execute("INSERT INTO hm_search_spaces (scope, namespace) VALUES (1, 'default')")
        return session

    return make("a"), make("b")


def run_as_one_statement(session: Session, commit: Commit) -> Any:
    statement = commit_statement(session, 1, "db", commit)
    assert statement is not None
    session.execute(statement.sql, statement.parameters)
    return statement.result


_VARYING = {"hm_schema", "hm_messages", "hm_timers", "sqlite_sequence", "hm_outbox"}
_STEADY_COLUMNS = {
    "hm_messages": "stream_key, data, available_at > 0, priority, attempt, consumer_group, consumer",
    "hm_timers": "scope, timer_id, fire_at, due_at, claimed, payload",
    "hm_outbox": "scope, message, stream, visible_at, priority, owner, leased_until",
}


def content(session: Session) -> dict[str, list[Any]]:
    """Every table; without ids, fences and times where these are made up on the way."""
    names = session.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    tables = {name: session.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for (name,) in names}
    kept = {name: rows for name, rows in tables.items() if name not in _VARYING}
    for name, columns in _STEADY_COLUMNS.items():
        kept[name] = session.execute(f"SELECT {columns} FROM {name} ORDER BY 1, 2").fetchall()
    return kept


def test_one_statement_does_what_the_steps_do(sessions: tuple[Session, Session]) -> None:
    one, steps = sessions
    for commit in USUAL:
        quick, slow = run_as_one_statement(one, commit), commits.apply_commit(steps, 1, commit)
        assert content(one) == content(steps)
        assert [len(ids) for ids in (quick.message_ids, quick.outbox_ids)] == [
            len(ids) for ids in (slow.message_ids, slow.outbox_ids)
        ]
        stored = [str(row[0]) for row in one.execute("SELECT message_id FROM hm_messages ORDER BY 1")]
        assert set(quick.message_ids) <= set(stored)
        entries = [f"db-{row[0]}" for row in one.execute("SELECT entry_id FROM hm_outbox ORDER BY 1")]
        assert set(quick.outbox_ids) <= set(entries)
        assert one.published == steps.published


def test_one_statement_acks(sessions: tuple[Session, Session]) -> None:
    session, _ = sessions
    lease = MessageLease("WORKER", "c", 1000)
    publish = Commit(publishes=tuple(Publish(stream="s", message=str(number), lease=lease) for number in range(4)))
    ids = run_as_one_statement(session, publish).message_ids
    assert list(ids) == sorted(ids, key=int)
    wrong = [Ack("s", "WORKER", ids[0], "c", 2), Ack("s", "ENGINE", ids[0], "c", 1), Ack("o", "WORKER", ids[0], "c", 1)]
    for acks in (*((ack,) for ack in wrong), tuple(wrong)):
        run_as_one_statement(session, Commit(acks=acks))
    assert len(session.execute("SELECT 1 FROM hm_messages").fetchall()) == 4
    run_as_one_statement(session, Commit(acks=(Ack("s", "WORKER", ids[0], "c", 1),)))
    run_as_one_statement(session, Commit(acks=tuple(Ack("s", "WORKER", message_id, "c", 1) for message_id in ids)))
    assert session.execute("SELECT 1 FROM hm_messages").fetchall() == []


@pytest.mark.parametrize(
    "commit",
    [
        Commit(runs=(RunWrite(job_id="run", expected_revision=7, status=1, state=b""),)),
        Commit(runs=(RunWrite(job_id="run", expected_revision=0, status=1, state=b""),)),
        Commit(
            runs=(RunWrite(job_id="run", expected_revision=1, status=1, state=b"", batches=(EventBatch(3, 4, b""),)),)
        ),
        Commit(
            runs=(RunWrite(job_id="new", expected_revision=0, status=1, state=b"", batches=(EventBatch(3, 4, b""),)),)
        ),
        Commit(current_runs=(CurrentRunWrite("p", None, "x"),)),
        Commit(current_runs=(CurrentRunWrite("p", "other", "x"),)),
        Commit(marks=(Mark("run", "guid"),)),
        Commit(marks=(Mark("unknown", "guid"),)),
        Commit(publishes=(Publish(stream="unknown", message="m"),)),
        Commit(search=(SearchDocument("doc", "unknown"),)),
    ],
    ids=[
        "revision",
        "run exists",
        "gap in the history",
        "history of a new run",
        "pointer exists",
        "pointer",
        "mark exists",
        "mark of no job",
        "new stream",
        "new namespace",
    ],
)
def test_one_statement_leaves_the_unusual_alone(sessions: tuple[Session, Session], commit: Commit) -> None:
    session, _ = sessions
    run_as_one_statement(session, USUAL[0])
    before = content(session)
    more = dataclasses.replace(commit, timers=(TimerWrite("new", 1),), cancel_timers=("t1",))
    with pytest.raises(sqlite3.IntegrityError):
        run_as_one_statement(session, more)
    assert content(session) == before


def test_message_ids_grow_though_the_clock_is_set_back(
    sessions: tuple[Session, Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = sessions
    publish = Commit(publishes=(Publish(stream="s", message="m"),))
    first = run_as_one_statement(session, publish).message_ids[0]
    earlier = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: earlier)
    other_process = Session(session.connection)
    with pytest.raises(sqlite3.IntegrityError):
        run_as_one_statement(other_process, publish)
    assert int(commits.apply_commit(other_process, 1, publish).message_ids[0]) == int(first) + 1
