"""The SDK's module ``temporalio.worker``, under this package's name: the same objects, except for `Worker`.

`Worker` is a subclass that can be made together with its connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import temporalio.worker
from typing_extensions import Self

from hotmesh_temporal import _mirror
from hotmesh_temporal.client import Client

from ._options import RetryDefaults, retry_policy_of

if TYPE_CHECKING:
    # The class below then takes the place of the SDK's.
    from temporalio.worker import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary, reportAssignmentType]
else:
    __all__ = temporalio.worker.__all__

    def __getattr__(name: str) -> object:
        return getattr(temporalio.worker, name)


class Worker(temporalio.worker.Worker, metaclass=_mirror.Extends):
    """The SDK's worker. Any worker of the SDK counts as an instance of this class."""

    _own_client: Client | None = None

    @classmethod
    async def create(
        cls,
        *,
        task_queue: str,
        connection: Any = None,
        connections: Mapping[str, Any] | None = None,
        namespace: str = "default",
        workflow: type | Sequence[type] = (),
        workflows: Sequence[type] = (),
        activities: Sequence[Callable[..., Any]] = (),
        options: Mapping[str, Any] | None = None,
        **worker_options: Any,
    ) -> Self:
        """Connect to a database and make a worker on that connection, which is closed when the worker has run.

        Args:
            task_queue: The queue to poll.
            connection: See `Client.connect`.
            connections: See `Client.connect`.
            namespace: The namespace to poll in.
            workflow: A workflow class, or several.
            workflows: More workflow classes.
            activities: The activities.
            options: The retry policy of the activities that these workflows start without one of their own:
                ``initial_interval``, ``maximum_interval`` (a `timedelta`, seconds, or a text such as "5 seconds"),
                ``backoff_coefficient``, ``maximum_attempts``.
            worker_options: Whatever else the SDK's `Worker` takes.

        Raises:
            ValueError: ``options`` has a key that would not be honoured, or a value that makes no sense.
            InvalidConnection: The connection cannot be understood or is not supported.
            ConnectionFailed: The database cannot be used.
        """
        if options:
            defaults = RetryDefaults(retry_policy_of(options))
            worker_options["interceptors"] = [*worker_options.get("interceptors", ()), defaults]
        classes = [*([workflow] if isinstance(workflow, type) else workflow), *workflows]
        client = await Client.connect(connection=connection, connections=connections, namespace=namespace)
        try:
            worker = cls(client, task_queue=task_queue, workflows=classes, activities=activities, **worker_options)
        except BaseException:
            await client.close()
            raise
        worker._own_client = client
        return worker

    async def run(self) -> None:
        """See base class."""
        try:
            await super().run()
        finally:
            if self._own_client is not None:
                await self._own_client.close()
