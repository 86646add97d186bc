"""A frontend that only reads: for tools that look at a database and must not take part in its work."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from ..errors import unimplemented
from .server import Frontend

_READS = frozenset(
    {
        "CountWorkflowExecutions",
        "DescribeNamespace",
        "DescribeWorkflowExecution",
        "GetSystemInfo",
        "GetWorkflowExecutionHistory",
        "ListNamespaces",
        "ListWorkflowExecutions",
    }
)


class ReadingFrontend(Frontend):
    """Answers what only reads, and waits for nothing. Other processes do not see it."""

    async def start(self) -> None:
        """Open the backend. Raises ``contracts.errors.Unavailable`` if it cannot be reached."""
        await self.runtime.start_reading()

    async def call(
        self,
        service: str,
        method: str,
        request: Message,
        *,
        metadata: Mapping[str, str | bytes],
        deadline: float | None,
    ) -> Message:
        """Answer one request; UNIMPLEMENTED if it is none of those that only read."""
        if method not in _READS or getattr(request, "wait_new_event", False):
            raise unimplemented(f"{method}: this client only reads")
        return await super().call(service, method, request, metadata=metadata, deadline=deadline)
