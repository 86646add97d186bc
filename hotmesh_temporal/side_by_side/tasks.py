"""Ends and heartbeats of activities from elsewhere, by the task token: it says itself which side gave it away."""

from __future__ import annotations

from google.protobuf.message import Message

from .calls import Call, Side, Sides


def side_of_token(token: bytes) -> Side:
    """Which side made a task token. Ours are arrays of MessagePack, the server's are protocol buffers."""
    return Side.HOTMESH if token[:1] and token[0] & 0xF0 == 0x90 else Side.TEMPORAL


async def by_token(sides: Sides, call: Call) -> Message:
    """Send it to the side that made its token."""
    return await sides.send(side_of_token(call.request.task_token), call)
