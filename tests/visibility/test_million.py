"""Lists and counts among a million executions on Postgres: ``make lists`` prints a table."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  the driver ships without types
import pytest
import pytest_asyncio

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.engine.attribute_values import INT, KEYWORD, KEYWORD_LIST
from hotmesh_temporal.frontend.list_filter import parse
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime.pages import read_page
from tests.support.postgres_server import PostgresServer

pytestmark = [pytest.mark.million, pytest.mark.timeout(1800)]

_driver: Any = asyncpg
LIMIT_MS = 50
_COUNT = 1_000_000

# One in fifty runs; the others took up to 96 seconds, and one in ten failed.
_POPULATION = """
INSERT INTO hotmesh.documents (app, doc_id, namespace, status, workflow_type, workflow_id, run_id, task_queue,
    start_time, close_time, execution_time, execution_duration, history_length, history_size, state_transitions, fields,
    data)
SELECT (SELECT min(app) FROM hotmesh.documents), 'r/default/' || md5(n::text) || '/order-' || n, 'default',
    CASE WHEN closed IS NULL THEN 'Running' WHEN n % 10 = 3 THEN 'Failed' ELSE 'Completed' END,
    'T' || n % 50, 'order-' || n, md5(n::text), 'q' || n % 5, started, closed, started, (closed - started) * 1000,
    CASE WHEN closed IS NULL THEN NULL ELSE 11 END, CASE WHEN closed IS NULL THEN NULL ELSE 1500 END,
    CASE WHEN closed IS NULL THEN NULL ELSE 9 END,
    jsonb_build_object('RootWorkflowId', 'order-' || n, 'RootRunId', md5(n::text),
        '{customer}', 'c' || n * 7919 % 10000,
        '{amount}', n * 104729 % 1000000, '{tags}', jsonb_build_array('t' || n % 1000, 'u' || n % 777)),
    decode(repeat('ab', 250), 'hex')
FROM (SELECT n, 1790000000000000 + n * 2600000 AS started,
    CASE WHEN n <= {count} * 0.98 AND n % 2000 > 0 THEN 1790000000000000 + n * 2600000 + n % 97 * 1000000 END AS closed
    FROM generate_series(1::bigint, {count}) n) each
"""

QUERIES = (
    "WorkflowType = 'T7' AND ExecutionStatus = 'Running'",
    "WorkflowType = 'T7' AND ExecutionStatus = 'Failed'",
    "WorkflowId = 'order-4711'",
    "WorkflowId STARTS_WITH 'order-4711'",
    "RunId = 'none'",
    "RootWorkflowId = 'order-99'",
    "StartTime BETWEEN '2026-10-01T00:00:00Z' AND '2026-10-01T00:10:00Z'",
    "CloseTime BETWEEN '2026-10-01T00:00:00Z' AND '2026-10-01T00:10:00Z'",
    "Customer = 'c77'",
    "Customer IN ('c1', 'c2', 'c3')",
    "Customer = 'c78' AND ExecutionStatus = 'Running'",
    "Amount BETWEEN 1000 AND 1100",
    "Amount > 999900",
    "Tags = 't5'",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def million() -> AsyncIterator[Frontend]:
    """An engine on a database with a million search documents."""
    with PostgresServer(settings={"shared_buffers": "512MB", "max_wal_size": "8GB"}) as server:
        dsn = server.new_database()
        engine = Frontend(resolve(connection=dsn).backend())
        await engine.start()
        kinds = {"Customer": KEYWORD, "Amount": INT, "Tags": KEYWORD_LIST}
        await engine.runtime.namespaces.add_attributes("default", kinds)
        view = await engine.runtime.namespaces.view("default")
        symbols = {name.lower(): each.symbol for name, each in view.attributes.items()}
        connection = await _driver.connect(dsn)
        await connection.execute(_POPULATION.format(count=_COUNT, **symbols), timeout=1500)
        await connection.execute("VACUUM ANALYZE", timeout=600)
        await connection.close()
        yield engine
        await engine.close()


async def _median(action: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds."""
    found: list[float] = []
    for _ in range(5):
        begin = time.perf_counter()
        await action()
        found.append((time.perf_counter() - begin) * 1000)
    return statistics.median(found)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("query", QUERIES)
async def test_selective_filters_are_quick(million: Frontend, query: str) -> None:
    runtime = million.runtime
    condition = parse(query, await runtime.namespaces.view("default")).condition
    now = runtime.clock.now() // 1000
    count = (await runtime.search.count("default", condition))[None]
    listing = await _median(lambda: read_page(runtime.search, now, "default", condition, 100, b""))
    counting = await _median(lambda: runtime.search.count("default", condition))
    print(f"\n| `{query}` | {count} | {listing:.1f} | {counting:.1f} |", end="")
    assert max(listing, counting) < LIMIT_MS
