"""The SDK's module ``temporalio.client``, under this package's name: the same objects, except for `Client`.

`Client` is a subclass that connects to your own database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import temporalio.client
import temporalio.common
import temporalio.converter
import temporalio.runtime
import temporalio.service
from temporalio.service import ConnectConfig
from typing_extensions import Self, TypedDict, Unpack

from . import _mirror
from .connection import resolve
from .plugin import HotMeshPlugin
from .service_client import HotMeshServiceClient
from .transactions import TransactionClient, in_transaction

if TYPE_CHECKING:
    # The class below then takes the place of the SDK's.
    from temporalio.client import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary, reportAssignmentType]

    from .telemetry import Telemetry
else:
    __all__ = temporalio.client.__all__

    def __getattr__(name: str) -> object:
        return getattr(temporalio.client, name)


class ConnectOptions(TypedDict, total=False):
    """What `temporalio.client.Client.connect` takes by name, in its newest version; see there for the meaning."""

    namespace: str
    api_key: str | None
    data_converter: temporalio.converter.DataConverter
    interceptors: Sequence[temporalio.client.Interceptor]
    default_workflow_query_reject_condition: temporalio.common.QueryRejectCondition | None
    tls: bool | temporalio.service.TLSConfig | None
    retry_config: temporalio.service.RetryConfig | None
    keep_alive_config: temporalio.service.KeepAliveConfig | None
    connect_timeout: timedelta | None
    rpc_metadata: Mapping[str, str | bytes]
    identity: str | None
    lazy: bool
    runtime: temporalio.runtime.Runtime | None
    http_connect_proxy_config: temporalio.service.HttpConnectProxyConfig | None
    dns_load_balancing_config: temporalio.service.DnsLoadBalancingConfig | None
    grpc_compression: temporalio.service.GrpcCompression
    payload_limits: temporalio.service.PayloadLimitsConfig
    header_codec_behavior: temporalio.common.HeaderCodecBehavior


class ClientOptions(TypedDict, total=False):
    """What `temporalio.client.Client` takes by name; see there for the meaning."""

    namespace: str
    data_converter: temporalio.converter.DataConverter
    interceptors: Sequence[temporalio.client.Interceptor]
    default_workflow_query_reject_condition: temporalio.common.QueryRejectCondition | None
    header_codec_behavior: temporalio.common.HeaderCodecBehavior


class Client(temporalio.client.Client, metaclass=_mirror.Extends):
    """The SDK's client on your own database. Any client of the SDK counts as an instance of this class."""

    def __init__(
        self,
        service_client: temporalio.service.ServiceClient | None = None,
        *,
        connection: Any = None,
        connections: Mapping[str, Any] | None = None,
        plugins: Sequence[temporalio.client.Plugin] = (),
        **options: Unpack[ClientOptions],
    ) -> None:
        """Make a client that connects when it is first used (`connect` does so at once, and says what is wrong).

        Args:
            service_client: As in the SDK. The other arguments say where the data lives if it is left out.
            connection: See `connect`.
            connections: See `connect`.
            plugins: As in the SDK; `HotMeshPlugin` is added when it is not among them.
            options: As in the SDK.

        Raises:
            InvalidConnection: The connection cannot be understood or is not supported.
            ValueError: A connection was given as well as a service client.
        """
        if service_client is None:
            plugins = _with_hotmesh(plugins, connection, connections)
            config = ConnectConfig(target_host="")
            service_client = HotMeshServiceClient(config, resolve(connection, connections=connections))
        elif connection is not None or connections is not None:
            raise ValueError("give either a service client or a connection, not both")
        super().__init__(service_client, plugins=plugins, **options)

    @classmethod
    async def connect(
        cls,
        target_host: str | None = None,
        *,
        connection: Any = None,
        connections: Mapping[str, Any] | None = None,
        telemetry: Telemetry | None = None,
        plugins: Sequence[temporalio.client.Plugin] = (),
        **options: Unpack[ConnectOptions],
    ) -> Self:
        """Connect to a database; the engine starts in this process.

        Args:
            target_host: A database URL. A Temporal address is accepted too, so that code can stay as it is; it then
                means the configured connection.
            connection: The database: a URL, ``{"class": asyncpg, "options": {…}}``, an existing pool, or the path of a
                SQLite file. When nothing is given: the environment, then ``temporal.toml``, then a SQLite file in
                ``.hotmesh/`` under the working directory.
            connections: The same by service: "store", "stream", "sub", "search".
            telemetry: Metrics and traces of the engine. The first client of a database in this process decides.
            plugins: As in the SDK; `HotMeshPlugin` is added when it is not among them.
            options: As in the SDK.

        Raises:
            InvalidConnection: The connection cannot be understood or is not supported.
            ConnectionFailed: The database cannot be used.
        """
        chosen = _with_hotmesh(plugins, connection, connections, telemetry)
        return await super().connect(target_host or "", plugins=chosen, **options)

    def in_transaction(self, connection: Any) -> TransactionClient:
        """A client whose starts, signals and activity results are part of the transaction on a connection of yours.

        See `hotmesh_temporal.transactions.in_transaction`.
        """
        return in_transaction(self, connection)

    async def close(self) -> None:
        """Close the connection. The last client of a database in this process stops the engine. Idempotent."""
        if isinstance(self.service_client, HotMeshServiceClient):
            await self.service_client.close()


def _with_hotmesh(
    plugins: Sequence[temporalio.client.Plugin],
    connection: Any,
    connections: Mapping[str, Any] | None,
    telemetry: Telemetry | None = None,
) -> list[temporalio.client.Plugin]:
    if not any(isinstance(plugin, HotMeshPlugin) for plugin in plugins):
        return [*plugins, HotMeshPlugin(connection, connections=connections, telemetry=telemetry)]
    if connection is not None or connections is not None or telemetry is not None:
        raise ValueError("give the connection and telemetry either to Client.connect or to HotMeshPlugin, not to both")
    return list(plugins)
