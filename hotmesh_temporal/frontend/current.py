"""What surrounds the request that is being answered."""

from __future__ import annotations

from contextvars import ContextVar

from google.protobuf.message import Message

from ..contracts.joining import UsersConnection

REQUEST: ContextVar[tuple[str, Message] | None] = ContextVar("hotmesh_request", default=None)
"""The name of the RPC, and what was asked, for the log. What a request sets off in the background has it too."""

WITHIN: ContextVar[UsersConnection | None] = ContextVar("hotmesh_within", default=None)
"""The request is to be a part of the transaction on this connection of the caller's."""
