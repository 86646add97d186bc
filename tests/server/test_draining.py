"""What a server does between the signal and its end."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest, PollWorkflowTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from tests.support.server_process import ServerProcess

DRAIN_SECONDS = 1.5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    running = ServerProcess(
        "--connection", f"sqlite:///{tmp_path}/drain.sqlite3", "--drain-seconds", str(DRAIN_SECONDS)
    )
    running.wait()
    yield running
    running.kill()


async def poll(client: Client) -> bytes:
    request = PollWorkflowTaskQueueRequest(namespace="default", task_queue=TaskQueue(name="nobody"), identity="test")
    answer = await client.workflow_service.poll_workflow_task_queue(request)
    return answer.task_token


async def test_who_waits_is_answered_at_once_and_others_are_served_for_a_while(server: ServerProcess) -> None:
    client = await Client.connect(server.address)
    assert await client.service_client.check_health()
    waiting = asyncio.create_task(poll(client))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    begin = time.monotonic()
    server.tell(signal.SIGTERM)
    assert await waiting == b""
    assert time.monotonic() - begin < 1
    assert not await client.service_client.check_health()
    await client.workflow_service.get_system_info(GetSystemInfoRequest())
    assert await poll(client) == b""  # it is not answered at once again, or workers would ask without end
    assert time.monotonic() - begin > DRAIN_SECONDS / 2
    assert await asyncio.to_thread(server.ended) == (0, "")
    assert time.monotonic() - begin < DRAIN_SECONDS + 3
    with pytest.raises(RPCError):
        await client.workflow_service.get_system_info(GetSystemInfoRequest(), retry=False)


async def test_a_second_signal_ends_it_at_once(server: ServerProcess) -> None:
    begin = time.monotonic()
    server.tell(signal.SIGTERM)
    await asyncio.sleep(0.2)
    server.tell(signal.SIGINT)
    code, _ = await asyncio.to_thread(server.ended)
    assert code == 128 + signal.SIGINT
    assert time.monotonic() - begin < DRAIN_SECONDS
