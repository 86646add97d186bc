"""The threads behind one database: SQL never runs on the event loop.

One thread owns the writing connection and commits in groups: it takes every unit of work that waits, runs each in a
savepoint of one transaction, commits once, and only then delivers the results. So a result means that the work is as
durable as ``synchronous`` says, and the cost of the disk is shared by all callers of the moment. A failing unit rolls
back its own savepoint and nothing else.

Two more threads read, one for lookups and one for scans; in WAL mode neither waits for the writer. A ``:memory:``
database lives in one connection, so there all work goes through the writer.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, cast

from hotmesh_temporal.contracts.errors import NotInitialized, Unavailable

from .errors import to_contract_error, to_group_error
from .schema import connect, prepare, retry_busy

T = TypeVar("T")

MEMORY = ":memory:"

_MAX_GROUP = 256
_SWEEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """``synchronous`` is SQLite's (FULL: a commit survives power loss); ``busy_timeout`` is in seconds; ``name`` tells
    databases in memory from each other.
    """

    path: str
    synchronous: str = "FULL"
    busy_timeout: float = 30.0
    name: str = ""


class Session:
    """What a unit of work runs on: ``execute``, and the streams that it made deliverable messages for."""

    __slots__ = ("_last_id", "connection", "execute", "published")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.published: set[tuple[int, str]] = set()
        self._last_id = 0

    def next_id(self) -> int:
        """Microseconds since the epoch, made greater than all that this session gave before."""
        self._last_id = max(self._last_id + 1, time.time_ns() // 1000)
        return self._last_id


Work = Callable[[Session], T]


@dataclass(frozen=True, slots=True)
class Statement(Generic[T]):
    """Work that is one SQL statement, with the result that it has if it succeeds."""

    sql: str
    parameters: Mapping[str, Any]
    result: T


Shortcut = Callable[[Session], "Statement[T] | None"]
"""Makes the statement for some work, or None if it cannot be one. The statement fails with an integrity error, and then
has changed nothing, where the work itself has to find out what to do."""


@dataclass(slots=True, eq=False)
class _Unit(Generic[T]):
    work: Work[T]
    future: asyncio.Future[T]
    abandoned: Callable[[T], None] | None = None
    shortcut: Shortcut[T] | None = None
    result: T | None = None
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class _Lane:
    """A thread with its queue. None in the queue ends the thread."""

    name: str
    queue: SimpleQueue[_Unit[Any] | None] = field(default_factory=lambda: SimpleQueue["_Unit[Any] | None"]())
    thread: threading.Thread | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    connection: sqlite3.Connection | None = None


class Database:
    """One open SQLite database. Lives on the event loop that opened it; `write`, `read` and `scan` run work on it.

    ``on_published`` is called on that loop with the streams of each commit; ``sweep`` is run about once a minute on the
    writer, after other work, and returns True if it has more to do. ``database_id`` is unique among databases.
    """

    def __init__(self, options: DatabaseOptions) -> None:
        self.options = options
        self.on_published: Callable[[set[tuple[int, str]]], None] | None = None
        self.sweep: Work[bool] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer = _Lane("writer")
        self._reader = _Lane("reader")
        self._scanner = _Lane("scanner")
        self.database_id = ""
        self._next_sweep = 0.0
        self._closed = False

    @property
    def in_memory(self) -> bool:
        """True for a database without a file."""
        return self.options.path == MEMORY

    def same_file(self, other: Database) -> bool:
        """True if both reach the same data."""
        return self is other or (not self.in_memory and self.options.path == other.options.path)

    # -- for the event loop -----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the file, make it if it is missing, and bring the schema up to date."""
        self._loop = asyncio.get_running_loop()
        self._closed = False
        await self._start(self._writer, self._open_writer, self._write_loop)

    async def close(self) -> None:
        """Finish the work that was handed in, then end the threads. Idempotent."""
        self._closed = True
        if self._scanner.connection is not None:
            self._scanner.connection.interrupt()
        for lane in (self._scanner, self._reader, self._writer):
            await self._stop(lane)

    async def write(
        self, work: Work[T], abandoned: Callable[[T], None] | None = None, shortcut: Shortcut[T] | None = None
    ) -> T:
        """Run ``work``, or its ``shortcut``, in a transaction of its own and return its result after the commit.

        A caller that is cancelled before the work began leaves no trace; after that the work is committed and
        ``abandoned`` is called with its result on the event loop.
        """
        return await self._submit(self._writer, work, abandoned, shortcut)

    def post(self, work: Work[Any]) -> None:
        """Hand in work whose result nobody waits for. Ignored when the database is closed."""
        if not self._closed and self._loop is not None:
            future: asyncio.Future[Any] = self._loop.create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._writer.queue.put(_Unit(work, future))

    async def read(self, work: Work[T]) -> T:
        """Run a lookup that changes nothing. It sees every commit whose result was delivered before.

        Its statements do not share a snapshot; work with several that must agree belongs in `scan`.
        """
        return await self._submit(await self._read_lane(self._reader), work)

    async def scan(self, work: Work[T]) -> T:
        """As `read`, in one snapshot, and for work that may take long: it does not delay lookups."""
        return await self._submit(await self._read_lane(self._scanner), work)

    async def _submit(
        self,
        lane: _Lane,
        work: Work[T],
        abandoned: Callable[[T], None] | None = None,
        shortcut: Shortcut[T] | None = None,
    ) -> T:
        if self._loop is None:
            raise NotInitialized("the SQLite database is not open: call open first")
        if self._closed:
            raise Unavailable("the SQLite database was closed")
        future: asyncio.Future[T] = self._loop.create_future()
        unit = _Unit(work, future, abandoned, shortcut)
        lane.queue.put(unit)
        try:
            return await future
        except asyncio.CancelledError:
            # The result may have been set already, with the caller cancelled before it ran again.
            if abandoned is not None and future.done() and not future.cancelled() and future.exception() is None:
                abandoned(future.result())
            raise

    async def _read_lane(self, lane: _Lane) -> _Lane:
        if self.in_memory:
            return self._writer
        if lane.thread is None and self._loop is not None and not self._closed:
            await self._start(lane, self._open_reader, self._read_loop)
        return lane

    async def _start(self, lane: _Lane, opener: Callable[[_Lane], Session], body: Callable[..., None]) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        lane.queue = SimpleQueue()
        lane.ended = asyncio.Event()
        lane.thread = threading.Thread(
            target=self._lane_main, args=(lane, ready, opener, body), name=f"hotmesh-sqlite-{lane.name}", daemon=True
        )
        lane.thread.start()
        try:
            # Shielded: two callers may wait for the same reader, and one may be cancelled.
            await asyncio.shield(ready)
        except BaseException:
            await self._stop(lane)
            raise

    async def _stop(self, lane: _Lane) -> None:
        thread, lane.thread = lane.thread, None
        if thread is None:
            return
        lane.queue.put(None)
        await lane.ended.wait()
        thread.join()

    # -- on the threads ---------------------------------------------------------------------------------------

    def _lane_main(
        self,
        lane: _Lane,
        ready: asyncio.Future[None],
        opener: Callable[[_Lane], Session],
        body: Callable[[_Lane, Session], None],
    ) -> None:
        opened = _Unit[None](lambda _: None, ready)
        try:
            session = opener(lane)
        except BaseException as error:
            opened.error = to_contract_error(error, self.options.path)
            self._hand_back([opened], set())
        else:
            self._hand_back([opened], set())
            body(lane, session)
        finally:
            self._end_lane(lane)

    def _end_lane(self, lane: _Lane) -> None:
        connection, lane.connection = lane.connection, None
        if connection is not None:
            connection.close()
        left = [unit for unit in _drain(lane.queue) if unit is not None]
        for unit in left:
            unit.error = Unavailable("the SQLite database was closed")
        self._hand_back(left, set())
        self._call_on_loop(lane.ended.set)

    def _open_writer(self, lane: _Lane) -> Session:
        options = self.options
        lane.connection = connection = connect(
            options.path, synchronous=options.synchronous, timeout=options.busy_timeout
        )
        prepare(connection, options.path, options.busy_timeout)
        query = "SELECT value FROM hm_meta WHERE name = 'database_id'"
        self.database_id = retry_busy(lambda: connection.execute(query).fetchone()[0], options.busy_timeout)
        return Session(connection)

    def _open_reader(self, lane: _Lane) -> Session:
        options = self.options
        lane.connection = connection = connect(
            options.path, synchronous=options.synchronous, timeout=options.busy_timeout, readonly=True
        )
        return Session(connection)

    def _read_loop(self, lane: _Lane, session: Session) -> None:
        while (unit := lane.queue.get()) is not None:
            if not unit.future.cancelled():
                self._run_read(unit, session, snapshot=lane is self._scanner)
                self._hand_back([unit], set())

    def _run_read(self, unit: _Unit[Any], session: Session, *, snapshot: bool) -> None:
        run = _in_snapshot if snapshot else _as_it_is
        try:
            # Readers wait for nobody, but for a moment when the file is recovered after a crash.
            unit.result = retry_busy(functools.partial(run, unit.work, session), self.options.busy_timeout)
        except BaseException as error:
            unit.error = to_contract_error(error, self.options.path)

    def _write_loop(self, lane: _Lane, session: Session) -> None:
        while True:
            group = _take_group(lane.queue)
            ending = group[-1] is None
            units = [unit for unit in group if unit is not None and not unit.future.cancelled()]
            if units:
                published = self._commit_group(units, session)
                self._hand_back(units, published)
                self._sweep_if_due(session)
            if ending:
                return

    def _commit_group(self, units: list[_Unit[Any]], session: Session) -> set[tuple[int, str]]:
        session.published = set()
        try:
            if len(units) > 1 or not self._commit_alone(units[0], session):
                retry_busy(lambda: session.execute("BEGIN IMMEDIATE"), self.options.busy_timeout)
                for unit in units:
                    if not _run_shortcut(unit, session):
                        _run_in_savepoint(unit, session)
                session.execute("COMMIT")
        except BaseException as error:
            self._fail_group(units, session, error)
            return set()
        for unit in units:
            if unit.error is not None:
                unit.error = to_contract_error(unit.error, self.options.path)
        return session.published

    def _commit_alone(self, unit: _Unit[Any], session: Session) -> bool:
        """A statement outside of a transaction commits itself. False if the unit is not one, or it failed."""
        done = retry_busy(lambda: _run_shortcut(unit, session), self.options.busy_timeout)
        unit.shortcut = None
        return done

    def _fail_group(self, units: list[_Unit[Any]], session: Session, error: BaseException) -> None:
        with contextlib.suppress(sqlite3.Error):
            if session.connection.in_transaction:
                session.execute("ROLLBACK")
        for unit in units:
            # Each caller gets an exception of its own: a shared one would collect the tracebacks of all.
            unit.error = to_group_error(error, self.options.path)

    def _sweep_if_due(self, session: Session) -> None:
        now = time.monotonic()
        if self.sweep is None or now < self._next_sweep:
            return
        unit = _Unit[bool](self.sweep, cast("asyncio.Future[bool]", None))
        self._commit_group([unit], session)
        self._next_sweep = now if unit.result else now + _SWEEP_SECONDS

    def _hand_back(self, units: list[_Unit[Any]], published: set[tuple[int, str]]) -> None:
        if units:
            self._call_on_loop(self._deliver, units, published)

    def _call_on_loop(self, callback: Callable[..., Any], *arguments: Any) -> None:
        loop = self._loop
        assert loop is not None
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(callback, *arguments)

    def _deliver(self, units: list[_Unit[Any]], published: set[tuple[int, str]]) -> None:
        for unit in units:
            if not unit.future.done():
                _resolve(unit)
            elif unit.abandoned is not None and unit.error is None:
                unit.abandoned(unit.result)
        if published and self.on_published is not None:
            self.on_published(published)


def _take_group(queue: SimpleQueue[_Unit[Any] | None]) -> list[_Unit[Any] | None]:
    """Wait for one unit and take those behind it; a None is always the last."""
    group = [queue.get()]
    while group[-1] is not None and len(group) < _MAX_GROUP:
        try:
            group.append(queue.get_nowait())
        except Empty:
            break
    return group


def _drain(queue: SimpleQueue[_Unit[Any] | None]) -> Iterator[_Unit[Any] | None]:
    with contextlib.suppress(Empty):
        while True:
            yield queue.get_nowait()


def _as_it_is(work: Work[T], session: Session) -> T:
    return work(session)


def _in_snapshot(work: Work[T], session: Session) -> T:
    session.execute("BEGIN")
    try:
        return work(session)
    finally:
        if session.connection.in_transaction:
            session.execute("COMMIT")


def _run_shortcut(unit: _Unit[Any], session: Session) -> bool:
    """Run a unit as one statement. False if that is not possible; nothing is changed then."""
    if unit.shortcut is None:
        return False
    try:
        statement = unit.shortcut(session)
        if statement is not None:
            session.execute(statement.sql, statement.parameters)
            unit.result = statement.result
            return True
    except sqlite3.OperationalError:
        raise
    except Exception:
        # Whatever is wrong, the work itself finds it again, and how to name it.
        return False
    return False


def _run_in_savepoint(unit: _Unit[Any], session: Session) -> None:
    session.execute("SAVEPOINT unit")
    try:
        unit.result = unit.work(session)
    except BaseException as error:
        if not session.connection.in_transaction:
            # SQLite gave up the whole transaction (disk full, I/O error): the units before this one are gone too.
            raise
        unit.error = error
        session.execute("ROLLBACK TO unit")
    session.execute("RELEASE unit")


def _resolve(unit: _Unit[Any]) -> None:
    if unit.error is not None:
        unit.future.set_exception(unit.error)
    else:
        unit.future.set_result(unit.result)
