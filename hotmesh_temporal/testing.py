"""The SDK's module ``temporalio.testing``, under this package's name: the same objects, but for `WorkflowEnvironment`.

Its environments are in this process: nothing is downloaded, and no server is started.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn, cast

import temporalio.client
import temporalio.testing
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.testservice.v1 import LockTimeSkippingRequest, SleepRequest, UnlockTimeSkippingRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest, UpdateNamespaceRequest
from temporalio.common import SearchAttributeKey
from typing_extensions import Self

from . import _mirror
from .client import Client
from .contracts.backend import Backend
from .embedded import FrontendFactory, new_frontend
from .frontend.server import Frontend
from .plugin import HotMeshPlugin
from .runtime.virtual_time import VirtualTime

if TYPE_CHECKING:
    # The class below then takes the place of the SDK's.
    from temporalio.testing import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary, reportAssignmentType]
else:
    __all__ = temporalio.testing.__all__

    def __getattr__(name: str) -> object:
        return getattr(temporalio.testing, name)


_RETENTION_SECONDS = 3650 * 24 * 3600
"""Closed runs are kept, however far the time is skipped."""

_NOT_NEEDED = (
    "download_dest_dir", "download_ttl", "download_version", "existing_path", "log_format", "log_level",
    "startup_timeout",
)  # fmt: skip
"""Ends of the names of those options of the SDK that are about getting and starting a server: there is none."""

_REFUSED = {
    "ui": "there is no Web UI; run `hotmesh-temporal server` on a file and the Web UI beside it",
    "ui_port": "there is no Web UI",
    "port": "no port is opened; `hotmesh-temporal server` serves a database on one",
    "tls": "no port is opened, so there is nothing to encrypt",
    "test_server_extra_args": "no server is started that could take arguments",
}

_ALWAYS_ON = re.compile(
    r"(\w+\.)+(enable\w*|\w+APIs|\w+Enabled|forceSearchAttributesCacheRefreshOnRead)=true",
    re.IGNORECASE,
)
"""Settings of a server that switch something on. Here what is there is on, and what is not there says so when asked."""

_DEFAULTS: tuple[Any, ...] = (None, False, (), [])


class WorkflowEnvironment(temporalio.testing.WorkflowEnvironment, metaclass=_mirror.Extends):
    """The SDK's environment for tests of workflows. Any environment of the SDK counts as an instance of this class."""

    _owned: Client | None = None
    _connection: Any = None
    _skips = False
    _auto_skipping = True

    @classmethod
    async def start_local(
        cls,
        *,
        connection: Any = None,
        namespace: str = "default",
        search_attributes: Sequence[SearchAttributeKey[Any]] = (),
        dev_server_database_filename: str | None = None,
        dev_server_extra_args: Sequence[str] = (),
        ip: str = "127.0.0.1",
        **options: Any,
    ) -> Self:
        """An environment in real time, with everything that this package has.

        Args:
            connection: The database; see `hotmesh_temporal.client.Client.connect`. By default one in memory.
            namespace: Made if it is not there.
            search_attributes: Custom ones that the namespace shall have.
            dev_server_database_filename: A SQLite file, if ``connection`` is not given.
            dev_server_extra_args: ``--dynamic-config-value`` that switches a part of the server on has no effect (it is
                on); other arguments are refused.
            ip: Without meaning: no port is opened.
            options: As in the SDK. Those about getting and starting a server have no effect; a Web UI, a port and
                arguments for a server are refused.

        Raises:
            ValueError: An option cannot be honoured; the text says which and why.
        """
        del ip
        _check_arguments(dev_server_extra_args)
        if connection is None and dev_server_database_filename is not None:
            connection = f"sqlite:///{dev_server_database_filename}"
        env = await cls._start(connection, new_frontend, namespace, _checked(options))
        env._client = Client(**env._client.config())
        await env._prepare(namespace, search_attributes)
        return env

    @classmethod
    async def start_time_skipping(cls, **options: Any) -> Self:
        """An environment on a clock that is put forward to the next thing that is due, while a result is awaited.

        It has everything that `start_local` has: child workflows, schedules, cron and updates skip, too. Time passes at
        its own pace while a workflow task or an activity waits for a worker or is with one. `sleep` puts the clock
        forward by hand. The database is in memory.

        Args:
            options: As in the SDK. Those about getting and starting a server have no effect; a port and arguments for a
                server are refused.

        Raises:
            ValueError: An option cannot be honoured; the text says which and why.
        """
        env = await cls._start(None, _skipping_frontend, "default", _checked(options))
        env._skips = True
        config = env._client.config()
        config["interceptors"] = [*config["interceptors"], _SkipWhileAwaited(env)]
        env._client = Client(**config)
        await env._prepare("default", ())
        return env

    @classmethod
    async def start_time_skipping_v2(cls, **options: Any) -> NoReturn:
        """Time skipping by workflow is not there yet.

        Raises:
            NotImplementedError: Always.
        """
        del options
        raise NotImplementedError("time skipping by workflow is not there yet: use start_time_skipping()")

    @classmethod
    async def _start(cls, connection: Any, factory: FrontendFactory, namespace: str, options: dict[str, Any]) -> Self:
        connection = connection if connection is not None else f"sqlite://:memory:?name={uuid.uuid4()}"
        plugins = [*options.pop("plugins", ()), _TestPlugin(connection, factory)]
        client = await Client.connect(namespace=namespace, plugins=plugins, **options)
        env = cls.from_client(client)
        assert isinstance(env, cls)
        env._owned, env._connection = client, connection
        return env

    async def _prepare(self, namespace: str, search_attributes: Sequence[SearchAttributeKey[Any]]) -> None:
        retention = Duration(seconds=_RETENTION_SECONDS)
        service = self.client.workflow_service
        if namespace == "default":
            config = NamespaceConfig(workflow_execution_retention_ttl=retention)
            await service.update_namespace(UpdateNamespaceRequest(namespace=namespace, config=config))
        else:
            request = RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=retention)
            await service.register_namespace(request)
        if search_attributes:
            types = {each.name: IndexedValueType.ValueType(each.indexed_value_type) for each in search_attributes}
            await self.client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=namespace, search_attributes=types)
            )

    async def __aenter__(self) -> Self:
        """See base class."""
        return self

    @property
    def client(self) -> Client:
        """The client of this environment."""
        # What `from_client` was given may be one of the SDK; it counts as one of ours, see `_mirror.Extends`.
        return cast("Client", super().client)

    async def connect_client(self, **kwargs: Any) -> temporalio.client.Client:
        """Another client of this environment; arguments are those of `Client.connect`. Close it in the end."""
        if self._owned is None:
            return await super().connect_client(**kwargs)
        options: dict[str, Any] = {"namespace": self.client.namespace, **kwargs}
        return await Client.connect(connection=self._connection, **options)

    async def shutdown(self) -> None:
        """Close the client; a database in memory ends with its last client."""
        if self._owned is not None:
            await self._owned.close()

    # -- time -------------------------------------------------------------------------------------------------

    async def sleep(self, duration: timedelta | float) -> None:
        """Let so much time pass (seconds, if it is a number); by skipping it where that is possible."""
        if not self._skips:
            await super().sleep(duration)
            return
        request = SleepRequest()
        request.duration.FromTimedelta(duration if isinstance(duration, timedelta) else timedelta(seconds=duration))
        await self.client.test_service.unlock_time_skipping_with_sleep(request)

    async def get_current_time(self, handle: Any = None) -> datetime:
        """What the clock of the environment says, in UTC. ``handle`` has no meaning: there is one clock."""
        del handle
        if not self._skips:
            return datetime.now(timezone.utc)
        reply = await self.client.test_service.get_current_time(Empty())
        return reply.time.ToDatetime().replace(tzinfo=timezone.utc)

    @property
    def supports_time_skipping_v1(self) -> bool:
        """Time can be skipped, for all workflows together."""
        return self._skips

    @property
    def supports_time_skipping(self) -> bool:
        """Time can be skipped."""
        return self._skips

    @contextmanager
    def auto_time_skipping_disabled(self) -> Generator[None]:
        """Within the block, awaiting a result does not skip time."""
        before, self._auto_skipping = self._auto_skipping, False
        try:
            yield
        finally:
            self._auto_skipping = before

    @asynccontextmanager
    async def time_skipping_unlocked(self) -> AsyncGenerator[None]:
        """Within the block time is skipped, unless that is disabled."""
        if not (self._skips and self._auto_skipping):
            yield
            return
        await self.client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
        try:
            yield
        finally:
            await self.client.test_service.lock_time_skipping(LockTimeSkippingRequest())


class _TestPlugin(HotMeshPlugin):
    def __init__(self, connection: Any, factory: FrontendFactory) -> None:
        super().__init__(connection)
        self._factory = factory


class _SkipWhileAwaited(temporalio.client.Interceptor):
    """Whoever awaits the result of a workflow that it has started lets time be skipped."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        super().__init__()
        self._env = env

    def intercept_client(self, next: temporalio.client.OutboundInterceptor) -> temporalio.client.OutboundInterceptor:
        return _Outbound(next, self._env)


class _Outbound(temporalio.client.OutboundInterceptor):
    def __init__(self, next: temporalio.client.OutboundInterceptor, env: WorkflowEnvironment) -> None:
        super().__init__(next)
        self._env = env

    async def start_workflow(
        self, input: temporalio.client.StartWorkflowInput
    ) -> temporalio.client.WorkflowHandle[Any, Any]:
        handle = await super().start_workflow(input)
        # The SDK makes the handle, and has no other way to put something in its place.
        handle.__class__ = _SkippingHandle
        assert isinstance(handle, _SkippingHandle)
        handle.env = self._env
        return handle


class _SkippingHandle(temporalio.client.WorkflowHandle[Any, Any]):
    env: WorkflowEnvironment

    async def result(self, **options: Any) -> Any:
        async with self.env.time_skipping_unlocked():
            return await super().result(**options)


def _skipping_frontend(backend: Backend) -> Frontend:
    return Frontend(backend, virtual_time=VirtualTime())


def _check_arguments(arguments: Sequence[str]) -> None:
    """Of arguments for a server, accept those that ask for what is so here."""
    left = list(arguments)
    while left:
        argument = left.pop(0)
        name, equals, value = argument.partition("=")
        if name == "--dynamic-config-value":
            setting = value if equals else left.pop(0) if left else ""
            if _ALWAYS_ON.fullmatch(setting.strip()):
                continue
            argument = f"{name} {setting}"
        raise ValueError(
            f"dev_server_extra_args: {argument} cannot be honoured: no server is started to take it. Leave it out."
        )


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Those options that a client takes."""
    for name, reason in _REFUSED.items():
        if options.pop(name, None) not in _DEFAULTS:
            raise ValueError(f"{name} cannot be honoured: {reason}. Leave it out.")
    return {name: value for name, value in options.items() if not name.endswith(_NOT_NEEDED)}
