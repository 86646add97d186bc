"""The database that is moved to, with an engine on it."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from ..connection import Connections
from ..frontend.server import Frontend
from ..runtime.imports import Imports
from ..runtime.service import Runtime

WORKFLOW_SERVICE = "workflow"
OPERATOR_SERVICE = "operator"


class Target:
    """An engine on the database, on this event loop. It works on what it has moved, like any other."""

    def __init__(self, connections: Connections) -> None:
        self._backend = connections.backend()
        self._frontend = Frontend(self._backend)

    @property
    def place(self) -> str:
        """Which database it is, without secrets."""
        return self._backend.identity

    @property
    def runtime(self) -> Runtime:
        """The engine's inside."""
        return self._frontend.runtime

    @property
    def imports(self) -> Imports:
        """What puts runs into the database."""
        return self._frontend.runtime.imports

    async def start(self) -> None:
        """Open it. Raises ``contracts.errors.Unavailable`` if it cannot be reached."""
        await self._frontend.start()

    async def close(self) -> None:
        """Close it. Idempotent."""
        await self._frontend.close()

    async def call(self, method: str, request: Message, *, service: str = WORKFLOW_SERVICE) -> Any:
        """Ask the service as any client would. Raises ``errors.RpcError``."""
        return await self._frontend.call(service, method, request, metadata={}, deadline=None)
