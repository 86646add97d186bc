"""Ends and heartbeats of activities from elsewhere, by the task token: it says itself which side gave it away.

A token of the Temporal server is of no use there any more once its workflow was moved. Whoever holds it (a person who
was asked to approve something, say) cannot know that. So its call is then made by the ids that the token names: the
activity waits under the same ones in your database.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import (
    RecordActivityTaskHeartbeatByIdRequest,
    RespondActivityTaskCanceledByIdRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskFailedByIdRequest,
)
from temporalio.service import RPCError

from .calls import Call, Side, Sides, is_not_found
from .finding import Finder, Key

_BY_ID: dict[str, type[Message]] = {
    "record_activity_task_heartbeat": RecordActivityTaskHeartbeatByIdRequest,
    "respond_activity_task_completed": RespondActivityTaskCompletedByIdRequest,
    "respond_activity_task_failed": RespondActivityTaskFailedByIdRequest,
    "respond_activity_task_canceled": RespondActivityTaskCanceledByIdRequest,
}
# Of the server's task token, a protocol buffer: the fields that name an activity.
_WORKFLOW_ID, _RUN_ID, _ACTIVITY_ID = 2, 3, 6
_VARINT, _BYTES = 0, 2


class Tasks:
    """Sends each call to the side that made its token, or to where the workflow has gone."""

    def __init__(self, sides: Sides, finder: Finder) -> None:
        self._sides = sides
        self._finder = finder

    async def by_token(self, call: Call) -> Message:
        """A call with a task token."""
        side = side_of_token(call.request.task_token)
        try:
            return await self._sides.send(side, call)
        except RPCError as error:
            if side is Side.HOTMESH or not is_not_found(error):
                raise
            reply = await self._where_it_went(call)
            if reply is None:
                raise
            return reply

    async def _where_it_went(self, call: Call) -> Message | None:
        """The answer of your database, if the workflow was moved there."""
        named = text_fields(call.request.task_token)
        key = Key(call.request.namespace, named.get(_WORKFLOW_ID, ""), named.get(_RUN_ID, ""))
        if not key.workflow_id or not key.run_id or _ACTIVITY_ID not in named:
            return None
        try:
            found = await self._finder.find(key, call)
        except RPCError as error:
            if is_not_found(error):
                return None
            raise
        if found is None or found.side is not Side.HOTMESH:
            return None
        request = _by_id(call, key, named[_ACTIVITY_ID])
        reply = await self._sides.ask(Side.HOTMESH, f"{call.rpc}_by_id", request, call)
        # Both forms of a call have the same answer, under two names.
        return call.reply.FromString(reply.SerializeToString())


def side_of_token(token: bytes) -> Side:
    """Which side made a task token. Ours are arrays of MessagePack, the server's are protocol buffers."""
    return Side.HOTMESH if token[:1] and token[0] & 0xF0 == 0x90 else Side.TEMPORAL


def _by_id(call: Call, key: Key, activity_id: str) -> Message:
    request: Any = _BY_ID[call.rpc]()
    for field, value in call.request.ListFields():
        if field.name not in request.DESCRIPTOR.fields_by_name:
            continue
        if field.type == field.TYPE_MESSAGE:
            getattr(request, field.name).CopyFrom(value)
        else:
            setattr(request, field.name, value)
    request.workflow_id, request.run_id, request.activity_id = key.workflow_id, key.run_id, activity_id
    return request


def text_fields(data: bytes) -> dict[int, str]:
    """The fields of a protocol buffer that are texts, by number; empty if it is none."""
    found: dict[int, str] = {}
    at = 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            number, kind = tag >> 3, tag & 7
            if kind not in (_VARINT, _BYTES):
                return {}
            value, at = _varint(data, at)
            if kind == _BYTES:
                found[number] = data[at : at + value].decode(errors="replace")
                at += value
    except IndexError:
        return {}
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
