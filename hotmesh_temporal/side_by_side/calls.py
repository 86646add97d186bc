"""The two sides, and one call of the SDK on its way to one of them."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message
from temporalio.service import RPCError, RPCStatusCode, ServiceClient


class Side(str, enum.Enum):
    """Where a workflow or a schedule lives: in your database, or on the Temporal server."""

    HOTMESH = "hotmesh"
    TEMPORAL = "temporal"

    @property
    def other(self) -> Side:
        """The other of the two."""
        return Side.TEMPORAL if self is Side.HOTMESH else Side.HOTMESH


# What a call without a timeout of its own may take while it waits for a run that is on its way, in seconds.
WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class How:
    """What goes with each request that is made for the sake of one call."""

    metadata: Mapping[str, str | bytes] = field(default_factory=dict[str, "str | bytes"])
    timeout: timedelta | None = None

    @property
    def seconds(self) -> float:
        """How long whoever asks is ready to wait."""
        return self.timeout.total_seconds() if self.timeout is not None else WAIT_SECONDS


@dataclass(frozen=True, kw_only=True)
class Call(How):
    """What the SDK asked for: one RPC with all that belongs to it."""

    service: str
    rpc: str
    request: Any
    reply: type[Message]
    retry: bool


class Sides:
    """The service clients of both sides."""

    def __init__(self, *, hotmesh: ServiceClient, temporal: ServiceClient) -> None:
        self._clients = {Side.HOTMESH: hotmesh, Side.TEMPORAL: temporal}

    async def send(self, side: Side, call: Call, request: Message | None = None) -> Any:
        """Make the call on one side, with another request if one is given.

        Raises:
            RPCError: As that side answered.
        """
        client = self._clients[side]
        return await client._rpc_call(  # pyright: ignore[reportPrivateUsage]  # any RPC by its name; this is a ServiceClient, too
            call.rpc,
            call.request if request is None else request,
            call.reply,
            service=call.service,
            retry=call.retry,
            metadata=call.metadata,
            timeout=call.timeout,
        )

    async def send_to_both(self, call: Call, request: Message | None = None) -> dict[Side, Any]:
        """Make the call on both sides at once.

        Raises:
            RPCError: As one of the sides answered; what the other did then is lost.
        """
        replies = await asyncio.gather(*(self.send(side, call, request) for side in Side))
        return dict(zip(Side, replies, strict=True))

    async def ask(self, side: Side, rpc: str, request: Message, how: How) -> Any:
        """Ask the workflow service of one side something, for the sake of a call of the SDK."""
        method = getattr(self._clients[side].workflow_service, rpc)
        return await method(request, retry=True, metadata=how.metadata, timeout=how.timeout)

    async def ask_operator(self, side: Side, rpc: str, request: Message, how: How) -> Any:
        """Ask the operator service of one side something, for the sake of a call of the SDK."""
        method = getattr(self._clients[side].operator_service, rpc)
        return await method(request, retry=True, metadata=how.metadata, timeout=how.timeout)


def copied(request: Any, **changes: Any) -> Any:
    """A copy of a message with some plain fields set."""
    copy = type(request)()
    copy.CopyFrom(request)
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy


def is_not_found(error: RPCError) -> bool:
    """Whether a side has not (any more, or not open) what was asked for."""
    return error.status is RPCStatusCode.NOT_FOUND


def refused(text: str) -> RPCError:
    """The error for what cannot be done on two sides."""
    return RPCError(f"side by side: {text}", RPCStatusCode.UNIMPLEMENTED, b"")


def invalid(text: str) -> RPCError:
    """The error for a request that makes no sense."""
    return RPCError(f"side by side: {text}", RPCStatusCode.INVALID_ARGUMENT, b"")
