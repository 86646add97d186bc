"""Honour or refuse, never ignore: every field of every request and command has its row, and refusals refuse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
import temporalio.api.operatorservice.v1 as operator_service
import temporalio.api.workflowservice.v1 as workflow_service
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from temporalio import workflow
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType
from temporalio.api.workflowservice.v1 import (
    RespondWorkflowTaskCompletedRequest,
    StartWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from hotmesh_temporal.client import Client
from hotmesh_temporal.engine.commands import HANDLERS as COMMANDS
from hotmesh_temporal.frontend.dispatch import HANDLERS
from hotmesh_temporal.frontend.fields import TABLE, Rows, refusal

SERVICES = {"workflow": workflow_service, "operator": operator_service}


def due() -> Iterator[Descriptor]:
    """Every message that must have rows: requests, commands, and the attributes of commands that are carried out."""
    for service, module in SERVICES.items():
        for method in HANDLERS[service]:
            yield getattr(module, f"{method}Request").DESCRIPTOR
    yield Command.DESCRIPTOR
    for kind in COMMANDS:
        name = CommandType.Name(CommandType.ValueType(kind)).removeprefix("COMMAND_TYPE_").lower()
        attributes = Command.DESCRIPTOR.fields_by_name[f"{name}_command_attributes"].message_type
        assert attributes is not None
        yield attributes


DUE = {each.full_name: each for each in due()}


@pytest.mark.parametrize("name", DUE)
def test_every_message_has_rows(name: str) -> None:
    assert name in TABLE


@pytest.mark.parametrize("name", TABLE)
def test_every_field_has_exactly_one_row(name: str) -> None:
    rows = TABLE[name]
    assert len(set(rows.fields)) == len(rows.fields)
    assert {field.name for field in rows.message.DESCRIPTOR.fields} - set(rows.fields) == set()


@pytest.mark.parametrize("name", TABLE)
def test_no_rows_of_what_is_not_answered(name: str) -> None:
    asked = {
        field.message_type.full_name
        for rows in TABLE.values()
        for field in rows.message.DESCRIPTOR.fields
        if field.message_type
    }
    assert name in DUE or name in asked


def with_field(rows: Rows, name: str) -> Message:
    """A message in which only this field is set."""
    message = rows.message()
    field = rows.message.DESCRIPTOR.fields_by_name[name]
    if isinstance(getattr(message, name), bytes | str | int | float):
        setattr(message, name, some(field))
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        set_entry(getattr(message, name), field.message_type.fields_by_name["value"])
    elif field.message_type is not None and hasattr(getattr(message, name), "add"):
        getattr(message, name).add()
    elif field.message_type is not None:
        getattr(message, name).SetInParent()
    else:
        getattr(message, name).append(some(field))
    return message


def set_entry(entries: Any, value: Any) -> None:
    """Put one entry into a map."""
    if value.message_type is not None:
        entries["x"].SetInParent()
    else:
        entries["x"] = some(value)


def some(field: Any) -> object:
    """A value other than the default."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return b"x" if field.type == FieldDescriptor.TYPE_BYTES else "x"
    return field.cpp_type == FieldDescriptor.CPPTYPE_BOOL or 1


REFUSED = [
    (rows.name, name)
    for rows in TABLE.values()
    for name in rows.refused
    if name in rows.message.DESCRIPTOR.fields_by_name
]


@pytest.mark.parametrize(("message", "name"), REFUSED)
def test_a_refused_field_is_refused_with_its_reason(message: str, name: str) -> None:
    rows = TABLE[message]
    text = refusal(with_field(rows, name))
    assert text == f"{name} is not supported by hotmesh-temporal: {rows.refused[name]}"


def test_what_is_honoured_is_not_refused() -> None:
    assert refusal(StartWorkflowExecutionRequest(namespace="default", identity="me")) is None
    assert refusal(StartWorkflowExecutionRequest()) is None


def test_a_part_is_looked_into() -> None:
    request = UpdateWorkflowExecutionRequest()
    request.request.completion_callbacks.add()
    assert str(refusal(request)).startswith("request.completion_callbacks is not supported")


def test_commands_are_not_refused_with_their_request() -> None:
    request = RespondWorkflowTaskCompletedRequest(commands=[Command()])
    request.commands[0].schedule_nexus_operation_command_attributes.SetInParent()
    assert refusal(request) is None
    assert refusal(request.commands[0]) is not None


async def test_the_service_refuses_a_request() -> None:
    client = await Client.connect(connection="sqlite://:memory:")
    request = StartWorkflowExecutionRequest(namespace="default", workflow_id="w", request_id="r")
    request.workflow_type.name = request.task_queue.name = "x"
    request.time_skipping_config.SetInParent()
    try:
        with pytest.raises(RPCError, match="time_skipping_config is not supported") as refused:
            await client.workflow_service.start_workflow_execution(request)
        assert refused.value.status == RPCStatusCode.UNIMPLEMENTED
        assert (await client.count_workflows()).count == 0
    finally:
        await client.close()


async def test_the_service_fails_the_task_of_a_command_that_it_refuses() -> None:
    client = await Client.connect(connection="sqlite://:memory:")
    try:
        async with Worker(client, task_queue="x", workflows=[Asks], workflow_runner=UnsandboxedWorkflowRunner()):
            handle = await client.start_workflow(Asks.run, id="w", task_queue="x")
            await asyncio.wait_for(failed_task(handle), 20)
            await handle.terminate()
    finally:
        await client.close()


@workflow.defn
class Asks:
    """Does what is not there yet."""

    @workflow.run
    async def run(self) -> None:
        """Start a Nexus operation."""
        client = workflow.create_nexus_client(service="service", endpoint="endpoint")
        await client.execute_operation("operation", None)


async def failed_task(handle: WorkflowHandle[Asks, None]) -> None:
    """Until a workflow task has failed for the right reason."""
    while True:
        for event in (await handle.fetch_history()).events:
            text = event.workflow_task_failed_event_attributes.failure.message
            if text:
                assert "schedule_nexus_operation_command_attributes is not supported" in text
                return
        await asyncio.sleep(0.05)


def test_a_field_without_a_row_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, StartWorkflowExecutionRequest.DESCRIPTOR.full_name, Rows(StartWorkflowExecutionRequest))
    text = refusal(StartWorkflowExecutionRequest(namespace="default"))
    assert text == "namespace is not supported by hotmesh-temporal: this version does not know it"


def test_looking_up_is_cheap() -> None:
    request = StartWorkflowExecutionRequest(namespace="n", workflow_id="w", identity="i", request_id="r")
    request.task_queue.name = request.workflow_type.name = "x"
    begin = time.process_time()
    for _ in range(1000):
        refusal(request)
    assert time.process_time() - begin < 0.5
