"""The SDK's service client on two sides, and what the workers for the Temporal server get in its place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import temporalio.service
from google.protobuf.message import Message
from temporalio.service import ConnectConfig, ServiceClient, ServiceResponse

from hotmesh_temporal.connection import Connections
from hotmesh_temporal.embedded import FrontendFactory, new_frontend
from hotmesh_temporal.service_client import HotMeshServiceClient

from .calls import Call, Sides
from .choice import Choice
from .routes import Router

# The type of the SDK for what a worker polls with; private to it.
_Bridge = temporalio.service._BridgeServiceClient  # pyright: ignore[reportPrivateUsage]


class SideBySideServiceClient(HotMeshServiceClient):
    """A service client that takes each call to the side that it concerns. Workers on it poll your database.

    Args:
        config: The SDK's configuration.
        connections: Your database.
        temporal: The Temporal server.
        choice: Which side gets what is new.
        factory: Makes the frontend; for telemetry.
    """

    def __init__(
        self,
        config: ConnectConfig,
        connections: Connections,
        temporal: ServiceClient,
        choice: Choice,
        *,
        factory: FrontendFactory = new_frontend,
    ) -> None:
        self.temporal = temporal
        super().__init__(config, connections, factory=factory)
        self.router = Router(Sides(hotmesh=_OneSide(self), temporal=temporal), choice)

    def for_temporal(self) -> ServiceClient:
        """The same, but workers on it poll the Temporal server."""
        return _ForTemporal(self)

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """See base class."""
        super().update_rpc_metadata(metadata)
        self.temporal.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        """For the Temporal server; your database needs none."""
        self.temporal.update_api_key(api_key)

    async def call_own_side(self, rpc: str, req: Message, resp_type: type[ServiceResponse], **how: Any) -> Any:
        """Make a call on your database, whatever it is about."""
        return await super()._rpc_call(rpc, req, resp_type, **how)

    async def _rpc_call(
        self,
        rpc: str,
        req: Message,
        resp_type: type[ServiceResponse],
        *,
        service: str,
        retry: bool,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,
    ) -> ServiceResponse:
        call = Call(
            service=service, rpc=rpc, request=req, reply=resp_type, retry=retry, metadata=metadata, timeout=timeout
        )
        reply = await self.router.route(call)
        return cast(ServiceResponse, reply)


class _OneSide(ServiceClient):
    """Your database alone."""

    def __init__(self, both: SideBySideServiceClient) -> None:
        super().__init__(both.config)
        self._both = both

    @property
    def worker_service_client(self) -> _Bridge:
        return self._both.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        self._both.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        self._both.update_api_key(api_key)

    async def _rpc_call(self, rpc: str, req: Message, resp_type: type[ServiceResponse], **how: Any) -> ServiceResponse:
        return await self._both.call_own_side(rpc, req, resp_type, **how)


class _ForTemporal(_OneSide):
    """Both sides, for a worker that polls the Temporal server: what its activities do with the client is routed."""

    @property
    def worker_service_client(self) -> _Bridge:
        return self._both.temporal.worker_service_client

    async def _rpc_call(self, rpc: str, req: Message, resp_type: type[ServiceResponse], **how: Any) -> ServiceResponse:
        return await self._both._rpc_call(rpc, req, resp_type, **how)  # pyright: ignore[reportPrivateUsage]  # a method of every ServiceClient
