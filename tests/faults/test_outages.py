"""A process whose database or broker is away waits quietly: few attempts, a line that says for what, and it goes on."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotmesh_temporal.client import Client
from tests.faults.crowd import QUEUE, Moment
from tests.faults.crowd_process import run_worker
from tests.faults.places import Place
from tests.faults.troubles import Meeting

OUTAGE_SECONDS = 6.0
PROCESSES = 2
ATTEMPTS_PER_SECOND = 10
"""Of one process, on average: calls of several kinds wait, and try again less and less often."""

LINES = 5
"""What is waited for and why, and that it is back; the same of messages that have to wait for a broker."""


@contextmanager
def worker(meeting: Meeting, log: Path) -> Generator[None, None, None]:
    """A worker process of the crowd."""
    process = multiprocessing.get_context("forkserver").Process(
        target=run_worker, args=(meeting, str(log)), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


async def wait_a_moment(client: Client, name: str) -> None:
    """Run a workflow to its end: a task for the worker, and one when its timer fires."""
    await client.execute_workflow(Moment.run, id=name, task_queue=QUEUE)


@pytest.mark.parametrize(
    ("target", "victim", "about"),
    [("postgres", 0, "Postgres at"), ("redis", 0, "wait for Redis"), ("sqlite+nats", 0, "NATS")],
)
async def test_it_waits_quietly(
    target: str, victim: int, about: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "worker.log"
    with Place(target) as place, worker(Meeting(place.connections), log):
        client = await Client.connect(connections=place.connections)
        await wait_a_moment(client, "before")
        proxy = place.victims[victim].proxy
        await asyncio.to_thread(place.victims[victim].suffer, "cut", OUTAGE_SECONDS)
        attempts = proxy.turned_away
        await asyncio.wait_for(wait_a_moment(client, "after"), 15)
        await client.close()
        worker_lines = [line for line in log.read_text().splitlines() if " WARNING hotmesh_temporal" in line]
    own_lines = [record.getMessage() for record in caplog.records if record.name.startswith("hotmesh_temporal")]
    for lines in (worker_lines, own_lines):
        assert 1 <= len(lines) <= LINES, lines
        assert any(about in line and "wait" in line for line in lines), lines
    assert 1 <= attempts <= PROCESSES * OUTAGE_SECONDS * ATTEMPTS_PER_SECOND
