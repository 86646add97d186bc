"""Every RPC goes somewhere, or is refused with a text that says why."""

from __future__ import annotations

import pytest
from temporalio.api.operatorservice.v1 import service_pb2 as operator_pb2
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueRequest
from temporalio.api.workflowservice.v1 import service_pb2 as workflow_pb2
from temporalio.service import RPCError, RPCStatusCode

from hotmesh_temporal.side_by_side.service_client import SideBySideServiceClient
from hotmesh_temporal.side_by_side.tasks import side_of_token, text_fields
from hotmesh_temporal.transport.methods import by_path, rpc_name
from tests.side_by_side.conftest import Both


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


async def test_every_rpc_has_a_side(both: Both) -> None:
    service_client = both.client.service_client
    assert isinstance(service_client, SideBySideServiceClient)
    assert workflow_pb2.DESCRIPTOR
    assert operator_pb2.DESCRIPTOR
    names = [snake(method.name) for method in by_path().values() if method.service in ("workflow", "operator")]
    assert len(names) > 100
    assert [name for name in names if not service_client.router.knows(name)] == []
    assert all(rpc_name(name) for name in names)


async def test_what_only_workers_do_is_refused(both: Both) -> None:
    with pytest.raises(RPCError, match="each worker polls one side") as caught:
        await both.client.workflow_service.poll_activity_task_queue(PollActivityTaskQueueRequest(namespace="default"))
    assert caught.value.status is RPCStatusCode.UNIMPLEMENTED


async def test_health_is_that_of_both(both: Both) -> None:
    assert await both.client.service_client.check_health()


def test_tokens_tell_their_side() -> None:
    # The server's are protocol buffers that begin with a text field.
    assert side_of_token(b"\x0a\x24abc").value == "temporal"
    assert side_of_token(b"\x96\xa1aabc").value == "hotmesh"
    assert text_fields(b"\x12\x04wfid\x20\x05\x32\x011") == {2: "wfid", 6: "1"}
    assert text_fields(b"\x12\x04wf") == {2: "wf"}
    assert text_fields(b"\x13") == {}
    assert text_fields(b"\x12") == {}
