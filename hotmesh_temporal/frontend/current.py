"""The request that is being answered: for the log, so that a line can say what it was about."""

from __future__ import annotations

from contextvars import ContextVar

from google.protobuf.message import Message

REQUEST: ContextVar[tuple[str, Message] | None] = ContextVar("hotmesh_request", default=None)
"""The name of the RPC, and what was asked. What a request sets off in the background has it too."""
