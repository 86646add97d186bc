"""Configurations of task queues, and the rates that follow from them.

What UpdateTaskQueueConfig sets is kept in one job per namespace, each setting of each queue in a field of its own, so
that two changes at once do not undo each other. A rate is that of the whole queue: each process that polls it takes
its share. Whoever changes a rate, or begins to poll a queue that has one, says so through the quorum, and the others
look again; one that did not hear of it, or of a process that is gone, finds out within `REFRESH_SECONDS`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.taskqueue.v1 import RateLimitConfig, TaskQueueConfig

from ..contracts.errors import ContractError, NotFound
from ..contracts.fields import query_field
from ..contracts.store_jobs import JobStore
from .keys import APP_ID, QueueKey, queue_configs_job
from .peers import Peers
from .throttle import Throttle

_LOG = logging.getLogger(__name__)

REFRESH_SECONDS = 240.0

_BEGIN_SECONDS = 5.0
"""After that, at the latest, it is seen who polls."""

_WEIGHT = "fairness_weight_overrides"
_OPEN = 1
_NOTHING_SET = TaskQueueConfig()


@dataclass(frozen=True)
class Limit:
    """Tasks per second of a whole queue; ``by_worker``: a worker asked for it, and not an operator."""

    per_second: float
    by_worker: bool


class QueueConfigs:
    """Stores configurations, and tells the throttle of this process its share of each rate."""

    def __init__(self, store: JobStore, throttle: Throttle, peers: Peers) -> None:
        self._store = store
        self._throttle = throttle
        self._peers = peers
        self._stored: dict[str, dict[str, TaskQueueConfig]] = {}
        """The configurations, by topic, of the namespaces whose queues are polled here."""
        self._joined: dict[QueueKey, float | None] = {}
        """The queues that are polled here, with the rate that a worker has asked for last."""
        self._joined_at: dict[QueueKey, float] = {}
        peers.asked_rate, peers.begins_to_poll = self._joined.get, self._begins_to_poll
        self._loading = asyncio.Lock()
        self._refresher: asyncio.Task[None] | None = None
        self.announce: Callable[[str], Awaitable[None]] | None = None
        """Has every process call `refresh` for a namespace."""

    async def start(self) -> None:
        """Look again from time to time."""
        self._refresher = asyncio.get_running_loop().create_task(self._refresh_for_ever())

    async def close(self) -> None:
        """Stop looking."""
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)

    # -- configurations ---------------------------------------------------------------------------------------

    async def find(self, key: QueueKey) -> TaskQueueConfig:
        """The configuration of a queue; an empty one if it has none."""
        return (await self._read(key.namespace)).get(key.topic, _NOTHING_SET)

    async def update(
        self, key: QueueKey, rates: Mapping[str, RateLimitConfig], weights: Mapping[str, float | None]
    ) -> TaskQueueConfig:
        """Change settings of a queue, and have all processes obey before this returns.

        Args:
            key: The queue.
            rates: By the names of the fields of `TaskQueueConfig`; one without a rate takes the rate back.
            weights: Of fairness keys; None removes one.
        """
        fields = {_field(key, name): json.dumps(MessageToDict(rate)) for name, rate in rates.items()}
        for name, weight in weights.items():
            fields[_field(key, _WEIGHT, name)] = "" if weight is None else repr(weight)
        if fields:
            job = queue_configs_job(key.namespace)
            await self._store.set_state_nx(job, APP_ID, _OPEN)
            await self._store.set_query_state(job, fields)
            await self.refresh(key.namespace)
            if self.announce is not None:
                await self.announce(key.namespace)
        return await self.find(key)

    async def remove(self, namespace: str) -> None:
        """Forget all configurations of a namespace."""
        await self._store.scrub(queue_configs_job(namespace))
        self._stored.pop(namespace, None)

    async def _read(self, namespace: str) -> dict[str, TaskQueueConfig]:
        """The configurations of all queues that have any, by topic."""
        try:
            return _configs(await self._store.get_raw(queue_configs_job(namespace)))
        except NotFound:
            return {}

    # -- rates ------------------------------------------------------------------------------------------------

    async def joined(self, key: QueueKey, per_second: float | None) -> None:
        """A worker polls a queue; ``per_second``: how many tasks a second the queue shall give away, if it says so."""
        if key in self._joined and self._joined[key] == per_second:
            return
        async with self._loading:
            if key.namespace not in self._stored:
                self._stored[key.namespace] = await self._read(key.namespace)
            before = self.limit(key)
            self._joined[key], self._joined_at[key] = per_second, time.monotonic()
            if before is None and self.limit(key) is None:
                return
        await self._apply(key)
        if self.announce is not None:
            await self.announce(key.namespace)

    def _begins_to_poll(self, key: QueueKey) -> bool:
        joined_at = self._joined_at.get(key)
        return joined_at is not None and time.monotonic() - joined_at < _BEGIN_SECONDS

    def limit(self, key: QueueKey) -> Limit | None:
        """What holds for a queue that is polled here: an operator's rate, else a worker's."""
        return limit_of(self._stored.get(key.namespace, {}).get(key.topic, _NOTHING_SET), self._joined.get(key))

    async def refresh(self, namespace: str) -> None:
        """Look at the stored rates of a namespace, and at how many processes share them."""
        if namespace not in self._stored:
            return
        limited = self._limited(namespace)
        self._stored[namespace] = await self._read(namespace)
        for key in limited | self._limited(namespace):
            await self._apply(key)

    def _limited(self, namespace: str) -> set[QueueKey]:
        """The queues that are polled here and have a rate: few of the many that there may be."""
        return {key for key in self._joined if key.namespace == namespace and self.limit(key) is not None}

    async def _apply(self, key: QueueKey) -> None:
        limit = self.limit(key)
        if limit is None or not math.isfinite(limit.per_second):
            self._throttle.set_limit(key.topic, 0.0)
        elif limit.per_second == 0:
            self._throttle.set_limit(key.topic, math.inf)
        else:
            self._throttle.set_limit(key.topic, await self._peers.sharers(key) / limit.per_second)

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                for namespace in list(self._stored):
                    await self.refresh(namespace)
            except ContractError as error:
                _LOG.debug("the configurations of task queues could not be read: %s", error)
            except Exception:
                # Rates that were changed unheard of are found here only: it must not end.
                _LOG.exception("the configurations of task queues could not be read")


def limit_of(config: TaskQueueConfig, asked_by_worker: float | None) -> Limit | None:
    """The rate of a queue: its configuration's, else what a worker has asked for, else none."""
    if config.queue_rate_limit.HasField("rate_limit"):
        return Limit(config.queue_rate_limit.rate_limit.requests_per_second, by_worker=False)
    # A worker cannot stop a queue: it would wait for ever for what it asks for.
    return Limit(asked_by_worker, by_worker=True) if asked_by_worker is not None and asked_by_worker > 0 else None


def _field(key: QueueKey, setting: str, name: str = "") -> str:
    return json.dumps([key.topic, setting, name])


def _configs(fields: Mapping[str, str]) -> dict[str, TaskQueueConfig]:
    configs: dict[str, TaskQueueConfig] = defaultdict(TaskQueueConfig)
    for field, value in fields.items():
        if not value or not field.startswith(_OF_SETTING):
            continue
        topic, setting, name = json.loads(field[len(query_field("")) :])
        if setting == _WEIGHT:
            configs[topic].fairness_weight_overrides[name] = float(value)
        else:
            ParseDict(json.loads(value), getattr(configs[topic], setting))
    return dict(configs)


_OF_SETTING = query_field("[")
"""What the stored names of settings begin with; the job's own fields do not."""
