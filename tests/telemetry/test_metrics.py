"""Metrics as the Temporal server has them: the same small session on both, names, types and labels compared."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from temporalio.client import Client

from hotmesh_temporal.client import Client as HotMeshClient
from hotmesh_temporal.telemetry import Metrics, Telemetry
from hotmesh_temporal.telemetry.exposition import MetricsServer, text_of
from hotmesh_temporal.telemetry.families import MOST_SERIES, OMITTED, Counter
from tests.support.ports import free_port
from tests.support.server_process import ServerProcess
from tests.support.temporal_server import TemporalServer
from tests.telemetry.session import QUEUE, play

ENDS = {
    "workflow_success": 2.0,
    "workflow_failed": 1.0,
    "workflow_cancel": 1.0,
    "workflow_terminate": 1.0,
    "workflow_timeout": 1.0,
    "workflow_continued_as_new": 1.0,
}


def read(port: int) -> dict[str, Metric]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(family: Metric | None) -> float:
    samples = family.samples if family is not None else []
    return sum(each.value for each in samples if each.labels["namespace"] == "default")


def labels(family: Metric) -> set[frozenset[str]]:
    return {frozenset(sample.labels) for sample in family.samples}


def operations(family: Metric) -> set[str]:
    """Of requests about the namespace by clients and workers, those that depend on the moment left out."""
    served = [each.labels for each in family.samples if each.labels["service_name"] == "frontend"]
    found = {each["operation"] for each in served if each["namespace"] == "default"}
    return found - {"PollNexusTaskQueue", "DescribeNamespace", "RecordWorkerHeartbeat", "ShutdownWorker"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, int]]:
    port = free_port()
    process = ServerProcess("--connection", f"sqlite:///{tmp_path}/metrics.sqlite3", "--metrics-port", str(port))
    yield process.wait(), port
    process.kill()


async def after_session(address: str, port: int) -> dict[str, Metric]:
    """The metrics once all ends are counted."""
    await play(await Client.connect(address))
    found = await asyncio.to_thread(read, port)
    for _ in range(40):
        if all(values(found.get(name)) == count for name, count in ENDS.items()):
            break
        await asyncio.sleep(0.25)
        found = await asyncio.to_thread(read, port)
    return found


async def test_names_types_and_labels_are_those_of_the_temporal_server(server: tuple[str, int]) -> None:
    temporal = TemporalServer()
    await temporal.start()
    try:
        theirs, ours = await asyncio.gather(
            after_session(temporal.address, temporal.metrics_port), after_session(*server)
        )
    finally:
        temporal.stop()
    for name, count in ENDS.items():
        assert (name, values(ours.get(name)), values(theirs.get(name))) == (name, count, count)
    claimed = {name for name in ours if not name.startswith(("python_", "process_"))}
    assert len(claimed) >= 18
    for name in claimed:
        assert name in theirs, name
        assert ours[name].type == theirs[name].type, name
        assert labels(ours[name]) <= labels(theirs[name]), name
    assert operations(ours["service_requests"]) == operations(theirs["service_requests"])
    polled = {sample.labels["taskqueue"] for sample in ours["poll_success"].samples}
    assert polled == {QUEUE}
    failures = {sample.labels["error_type"] for sample in ours["service_error_with_type"].samples}
    assert failures <= {sample.labels["error_type"] for sample in theirs["service_error_with_type"].samples}


async def test_an_embedded_engine_gives_its_metrics_to_a_registry(tmp_path: Path) -> None:
    metrics, registry = Metrics(task_queues=False), CollectorRegistry()
    registry.register(metrics)
    client = await HotMeshClient.connect(
        connection=f"sqlite:///{tmp_path}/embedded.sqlite3", telemetry=Telemetry(metrics)
    )
    try:
        await play(client)
        text = await asyncio.to_thread(generate_latest, registry)
    finally:
        await client.close()
    assert b'persistence_requests_total{namespace="_unknown_",operation="Commit",service_name="history"}' in text
    assert b'taskqueue="__omitted__"' in text
    assert QUEUE.encode() not in text
    assert b'namespace="default",operation="StartWorkflowExecution"' in text


def test_made_up_labels_cannot_fill_the_memory() -> None:
    counter = Counter("requests", "Requests.", ("namespace",))
    for number in range(MOST_SERIES + 10):
        counter.add((str(number),))
    series = {sample.labels[0][1]: sample.value for sample in counter.samples()}
    assert len(series) == MOST_SERIES + 1
    assert series[OMITTED] == 10


def test_the_text_is_escaped_and_only_metrics_are_served() -> None:
    metrics = Metrics()
    metrics.requests.add(('quote " slash \\ line \n end', "Start", "frontend"))
    assert 'namespace="quote \\" slash \\\\ line \\n end"' in text_of(metrics)
    server = MetricsServer(metrics)
    try:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{server.address}/", timeout=10)
        with pytest.raises(OSError, match="cannot serve metrics on"):
            MetricsServer(metrics, port=int(server.address.split(":")[1]))
    finally:
        server.close()
