"""``hotmesh-temporal server`` as a process: a Temporal client and the temporal CLI use it, and it ends cleanly."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.worker import Worker

COMMAND = str(Path(sys.executable).with_name("hotmesh-temporal"))


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=timedelta(seconds=10))


class Server:
    """The process. Its ready line names the address."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [COMMAND, "server", "--connection", f"sqlite:///{folder}/server.sqlite3", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        self.address = self.ready.split()[2] if self.ready else ""

    def ended(self, how: signal.Signals | None = None) -> tuple[int, str]:
        """The exit code and what was written to the error stream, after a signal if one is given."""
        if how is not None:
            self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, "--port", "0")
    yield running
    if running.process.returncode is None:
        running.ended(signal.SIGKILL)


def temporal(server: Server, *arguments: str) -> str:
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    assert found, "the temporal command is part of the test requirements"
    return subprocess.run(
        [found, *arguments, "--address", server.address], capture_output=True, text=True, check=True, timeout=30
    ).stdout


async def test_an_unchanged_application_runs_against_the_port(server: Server) -> None:
    client = await Client.connect(server.address)
    queue = f"queue-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[Greeting], activities=[greet]):
        assert await client.execute_workflow(Greeting.run, "Ada", id=queue, task_queue=queue) == "Hello, Ada!"
    shown = await asyncio.to_thread(temporal, server, "workflow", "show", "--workflow-id", queue)
    assert "WorkflowExecutionCompleted" in shown


async def test_the_temporal_cli_finds_it_healthy(server: Server) -> None:
    assert await asyncio.to_thread(temporal, server, "operator", "cluster", "health") == "SERVING\n"


@workflow.defn
class Booking:
    @workflow.run
    async def run(self) -> str:
        customer = SearchAttributeKey.for_keyword("Customer").value_set("Grace")
        workflow.upsert_search_attributes([customer])  # pyright: ignore[reportUnknownMemberType]  (a generic of the SDK)
        return str(workflow.info().typed_search_attributes.get(SearchAttributeKey.for_int("Amount")))


async def test_namespaces_and_search_attributes_by_the_temporal_cli(server: Server) -> None:
    async def run(*arguments: str) -> str:
        return await asyncio.to_thread(temporal, server, *arguments)

    shop = ("--namespace", "shop")
    await run("operator", "namespace", "create", *shop, "--description", "orders", "--retention", "48h")
    assert "orders" in await run("operator", "namespace", "describe", *shop)
    await run("operator", "namespace", "update", *shop, "--description", "all orders")
    assert "all orders" in await run("operator", "namespace", "describe", *shop)
    listed = await run("operator", "namespace", "list")
    assert "shop" in listed
    assert "default" in listed
    new = ("operator", "search-attribute", "create", *shop)
    await run(*new, "--name", "Customer", "--type", "Keyword", "--name", "Amount", "--type", "Int")
    assert "Customer" in await run("operator", "search-attribute", "list", *shop)

    client, queue = await Client.connect(server.address, namespace="shop"), f"queue-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[Booking]):
        given = TypedSearchAttributes([SearchAttributePair(SearchAttributeKey.for_int("Amount"), 7)])
        result = await client.execute_workflow(Booking.run, id=queue, task_queue=queue, search_attributes=given)
    assert result == "7"
    assert queue in await run("workflow", "list", *shop, "--query", "Customer = 'Grace' AND Amount > 5")
    assert queue not in await run("workflow", "list")

    await run("operator", "search-attribute", "remove", *shop, "--name", "Amount", "--yes")
    assert "Amount" not in await run("operator", "search-attribute", "list", *shop)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(server: Server, how: signal.Signals) -> None:
    assert server.ready.startswith("hotmesh-temporal serves 127.0.0.1:")
    assert server.ended(how) == (0, "")


def test_a_port_in_use_is_said_clearly(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, text = Server(tmp_path, "--port", str(port)).ended()
    assert code == 1
    assert f"Error: cannot listen on 127.0.0.1:{port}" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("connection", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////nowhere/at/all/x.sqlite3"])
def test_a_database_that_cannot_be_reached_is_said_clearly(connection: str) -> None:
    done = subprocess.run(
        [COMMAND, "server", "--port", "0", "--connection", connection],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
