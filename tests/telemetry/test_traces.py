"""Traces: spans of requests and commits, their parents, and what the environment may ask for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from temporalio.client import Client
from temporalio.service import RPCError

from hotmesh_temporal.connection import Connections, resolve
from hotmesh_temporal.telemetry import Telemetry, Tracing
from hotmesh_temporal.transport.grpc_server import GrpcListener
from tests.support.server_process import COMMAND
from tests.telemetry.session import Ending, play

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVICE = "temporal.api.workflowservice.v1.WorkflowService"


@asynccontextmanager
async def traced(folder: Path) -> AsyncGenerator[tuple[Client, InMemorySpanExporter]]:
    """A client of a served port, and the spans of that server."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    connections: Connections = resolve(f"sqlite:///{folder}/traces.sqlite3")
    frontend = Telemetry(tracing=Tracing(provider)).frontend(connections.backend())
    await frontend.start()
    listener = GrpcListener(frontend)
    try:
        yield await Client.connect(await listener.start()), exporter
    finally:
        await listener.close()
        await frontend.close()


def named(exporter: InMemorySpanExporter, method: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == f"{SERVICE}/{method}"]


async def test_a_request_is_a_span_under_the_callers_and_its_commit_one_under_it(tmp_path: Path) -> None:
    async with traced(tmp_path) as (client, exporter):
        await client.start_workflow(
            Ending.run,
            "waits",
            id="one",
            task_queue="nobody",
            rpc_metadata={"traceparent": f"00-{TRACE}-{PARENT}-01"},
        )
        (span,) = named(exporter, "StartWorkflowExecution")
        commits = [each for each in exporter.get_finished_spans() if each.name == "commit"]
    assert span.kind == SpanKind.SERVER
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert dict(span.attributes or {}) == {
        "rpc.system": "grpc",
        "rpc.service": SERVICE,
        "rpc.method": "StartWorkflowExecution",
        "rpc.grpc.status_code": 0,
        "temporalNamespace": "default",
        "temporalWorkflowID": "one",
    }
    # Others are the engine's own, of its start.
    parents = [commit.parent.span_id for commit in commits if commit.parent is not None]
    assert parents == [span.context.span_id]


async def test_a_poll_names_the_workflow_it_was_given_and_a_failure_its_status(tmp_path: Path) -> None:
    async with traced(tmp_path) as (client, exporter):
        await play(client)
        with pytest.raises(RPCError):
            await client.get_workflow_handle("nobody").terminate()
        polls = named(exporter, "PollWorkflowTaskQueue")
        (failed,) = named(exporter, "TerminateWorkflowExecution")[-1:]
    given = [dict(span.attributes or {}) for span in polls]
    assert any(each.get("temporalRunID") and each.get("temporalWorkflowID") for each in given)
    assert failed.status.status_code == StatusCode.ERROR
    assert (failed.attributes or {})["rpc.grpc.status_code"] == 5
    assert (failed.attributes or {})["temporalWorkflowID"] == "nobody"


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "no exporter of traces 'jaeger' is installed"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"},
            "no exporter of traces 'otlp' is installed for this protocol",
        ),
    ],
)
def test_traces_that_cannot_be_sent_are_said_at_the_start(
    environment: dict[str, str], text: str, tmp_path: Path
) -> None:
    command = [COMMAND, "server", "--port", "0", "--connection", f"sqlite:///{tmp_path}/x.sqlite3"]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert text in done.stderr
    assert "Traceback" not in done.stderr
