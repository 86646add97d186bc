"""What a listener needs of a frontend, and what the rest of the package needs of a listener."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from google.protobuf.message import Message

from ..runtime.registered import WorkerTypes

Metadata = Mapping[str, "str | bytes"]


class Frontend(Protocol):
    """The Temporal service: one coroutine for all requests. It belongs to the event loop that started it."""

    async def start(self) -> None:
        """Open the backend and begin to work. When it raises, nothing is left to be closed.

        Raises:
            Unavailable: The database cannot be reached; the text says what to do.
        """
        ...

    async def close(self) -> None:
        """Stop everything and close the backend. Idempotent."""
        ...

    async def call(
        self, service: str, method: str, request: Message, *, metadata: Metadata, deadline: float | None
    ) -> Message:
        """Answer one request.

        Args:
            service: "workflow", "operator", "test" or "health".
            method: The name of the RPC, such as "StartWorkflowExecution".
            request: Owned by the frontend from here on.
            metadata: The request's headers, names in lower case.
            deadline: Seconds from now until the caller gives up; None when it never does.

        Raises:
            RpcError: Every failure that the caller is to see.
        """
        ...


@runtime_checkable
class KnowsTypes(Protocol):
    """A frontend that keeps what workers of its process have registered."""

    def register_types(self, types: WorkerTypes) -> None:
        """A worker has started. Returns at once; it is stored in the background, and failures are logged."""
        ...


@runtime_checkable
class Drains(Protocol):
    """A frontend that can be left in order."""

    def drain(self, seconds: float) -> None:
        """In that many seconds no call will be taken any more. From now on health checks say so; long polls are
        answered, and new ones last no longer than that. Everything else is served as before. Idempotent.
        """
        ...

    def end_long_polls(self) -> None:
        """Answer everybody who waits in a long poll now."""
        ...


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of a connection.

    ``certificate``: what it showed, as PEM; empty if it showed none. It is verified. ``common_name``: of its subject.
    """

    certificate: bytes = b""
    common_name: str = ""


class Gate(Protocol):
    """Says which requests may come in."""

    async def admit(self, path: str, request: Message, metadata: Metadata, peer: Peer) -> None:
        """Return for a request that its sender may make.

        Args:
            path: The RPC, such as ``/temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution``.
            request: What it asks for. Not to be changed.
            metadata: The request's headers, names in lower case.
            peer: Who sent it.

        Raises:
            RpcError: It may not. PERMISSION_DENIED.
        """
        ...


class Listener(Protocol):
    """Something that takes requests from a socket to a frontend."""

    async def start(self) -> str:
        """Begin to listen; returns the address, ``host:port``.

        Raises:
            OSError: The address cannot be bound.
        """
        ...

    async def close(self, grace: float = 0.0) -> None:
        """Stop listening; running calls have ``grace`` seconds, then they are cancelled. Idempotent."""
        ...
