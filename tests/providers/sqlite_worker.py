"""A process of its own on a SQLite file: ``python sqlite_worker.py <path> <mode> <count>``.

``count``: advance the run ``shared`` that often, deciding again after each lost race. ``append``: create runs ``0``,
``1``, ... without end, writing the number of each to standard output once it is acknowledged. ``wait``: consume one
message of the stream ``work`` and write its data.
"""

from __future__ import annotations

import asyncio
import sys

from hotmesh_temporal.providers.sqlite import SqliteBackend

from hotmesh_temporal.contracts import Commit, ConnectionSpec, RevisionConflict, RunWrite


async def advance(backend: SqliteBackend, count: int) -> None:
    """Add ``count`` revisions to a run that others change as well."""
    done = 0
    while done < count:
        run = await backend.store.load_run("shared")
        revision = run.revision if run is not None else 0
        write = RunWrite(job_id="shared", expected_revision=revision, status=1, state=str(revision + 1).encode())
        try:
            await backend.store.commit(Commit(runs=(write,)))
        except RevisionConflict:
            continue
        done += 1


async def append(backend: SqliteBackend) -> None:
    """Commit until killed."""
    number = 0
    while True:
        write = RunWrite(job_id=f"run-{number}", expected_revision=0, status=1, state=b"x" * 500)
        await backend.store.commit(Commit(runs=(write,)))
        print(number, flush=True)
        number += 1


async def wait(backend: SqliteBackend) -> None:
    """Block until a message comes from another process."""
    print("waiting", flush=True)
    messages = await backend.stream.consume_messages("work", "WORKER", "other", block_timeout=10_000)
    print(messages[0].data if messages else "nothing", flush=True)


async def main(path: str, mode: str, count: int) -> None:
    """Open the file and do as told."""
    backend = SqliteBackend(ConnectionSpec("sqlite", options={"path": path}))
    await backend.open("ns", "app", f"engine-{mode}")
    try:
        await {
            "count": lambda: advance(backend, count),
            "append": lambda: append(backend),
            "wait": lambda: wait(backend),
        }[mode]()
    finally:
        await backend.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
