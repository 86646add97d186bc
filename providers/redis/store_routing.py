"""Store: routing tables, hook signals, throttles, work lists and time hooks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hotmesh_temporal.contracts import keys as key_rules
from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.routing_tables import RoutingTables
from hotmesh_temporal.contracts.store_routing import (
    SignalStore,
    ThrottleStore,
    TimeHookStore,
    WorkListStore,
)
from hotmesh_temporal.contracts.types import (
    MAX_DELAY_MS,
    HookSignal,
    KeyParams,
    KeyType,
    ThrottleOptions,
    TimeHookTask,
    Transaction,
)

from .database import blob, flat, pairs
from .service import Service, nothing
from .store_apps import decode_entries, encode_entries

_EVERYTHING = ":"


class RoutingGroup(Service, RoutingTables):
    """`RoutingStore` on Redis."""

    async def _merge(self, kind: str, version: str, entries: Mapping[str, Any], removed: Sequence[str] = ()) -> None:
        if entries or removed:
            await self._read("merge_routing", kind, version, flat(encode_entries(entries)), list(removed))

    async def _get_all(self, kind: str, version: str) -> dict[str, Any]:
        return decode_entries(await self._read("get_routing", kind, version))

    async def _get_one(self, kind: str, version: str, name: str) -> Any:
        stored = await self._read("get_route", kind, version, name)
        return None if stored is None else json.loads(stored)


class SignalGroup(Service, SignalStore):
    """`SignalStore` on Redis. A waiter is a key with a time to live."""

    async def set_hook_signal(self, hook: HookSignal, transaction: Transaction | None = None) -> bool:
        """See the contract."""
        target = key_rules.signal_target(hook.topic, hook.resolved)
        milliseconds = int(max(hook.expire, 1) * 1000)
        return await self._write(
            "set_signal",
            target,
            hook.job_id,
            milliseconds,
            transaction=transaction,
            placeholder=False,
            decode=bool,
        )

    async def get_hook_signal(self, topic: str, resolved: str) -> str | None:
        """See the contract."""
        stored = await self._read("get_signal", key_rules.signal_target(topic, resolved))
        return None if stored is None else stored.decode()

    async def delete_hook_signal(self, topic: str, resolved: str) -> int:
        """See the contract."""
        return await self._db.call("delete_signal", key_rules.signal_target(topic, resolved))

    async def delist_signal_key(self, key: str, target: str) -> None:
        """See the contract."""
        if key != self.mint_key(KeyType.SIGNALS, KeyParams()):
            raise InvalidArgument(f"{key!r} is not the key of this app's signals")
        await self._read("delete_signal", target)


class ThrottleGroup(Service, ThrottleStore):
    """`ThrottleStore` on Redis."""

    async def set_throttle_rate(self, options: ThrottleOptions) -> None:
        """See the contract."""
        if not -1 <= options.throttle <= MAX_DELAY_MS:
            raise InvalidArgument(f"a throttle of {options.throttle} ms is not in -1..{MAX_DELAY_MS}")
        if options.guid is None:
            topic = _EVERYTHING if options.topic is None else options.topic
            await self._read("set_throttle", topic, str(options.throttle), options.topic is None)

    async def get_throttle_rates(self) -> dict[str, str]:
        """See the contract."""
        return pairs(await self._read("get_throttles"))

    async def get_throttle_rate(self, topic: str) -> int:
        """See the contract."""
        rates = await self.get_throttle_rates()
        rate = int(rates.get(topic, rates.get(_EVERYTHING, "0")))
        return MAX_DELAY_MS if rate < 0 else rate


class WorkListGroup(Service, WorkListStore):
    """`WorkListStore` on Redis."""

    async def add_task_queues(self, keys: Sequence[str]) -> None:
        """See the contract."""
        if keys:
            await self._read("add_work", list(keys))

    async def get_active_task_queue(self) -> str | None:
        """See the contract."""
        item = await self._read("first_work")
        return None if item is None else item.decode()

    async def process_task_queue(self, source_key: str, destination_key: str) -> str | None:
        """See the contract."""
        moved = await self._db.call("move_first", source_key, destination_key)
        return None if moved is None else moved.decode()

    async def delete_processed_task_queue(
        self, work_item_key: str, key: str, processed_key: str, scrub: bool = False
    ) -> None:
        """See the contract."""
        bucket = key_rules.stats_bucket_key(key) if scrub else None
        await self._read("end_work", work_item_key, key, processed_key, bucket)


class TimeHookGroup(Service, TimeHookStore):
    """`TimeHookStore` on Redis. A hook is known by its six values, packed."""

    async def register_time_hook(
        self,
        job_id: str,
        gid: str,
        activity_id: str,
        type: str,
        deletion_time: int,
        dad: str,
        transaction: Transaction | None = None,
    ) -> None:
        """See the contract."""
        identity = blob(msgspec.msgpack.encode((job_id, gid, activity_id, type, dad, deletion_time)))
        await self._write(
            "arm_hook", identity, job_id, deletion_time, transaction=transaction, placeholder=None, decode=nothing
        )

    async def get_next_task(self, list_key: str | None = None, *, lease_ms: int = 60_000) -> TimeHookTask | bool:
        """See the contract."""
        only_at = None if list_key is None else self._time_of(list_key)
        claimed = await self._db.call("claim_hook", max(lease_ms, 0), only_at)
        if claimed is None:
            return only_at is not None
        job_id, gid, activity_id, kind, dad, fire_at = msgspec.msgpack.decode(
            claimed[0], type=tuple[str, str, str, str, str, int]
        )
        return TimeHookTask(self._list_key(fire_at), job_id, gid, activity_id, kind, dad, claimed[1])

    async def ack_time_hook(self, task: TimeHookTask) -> bool:
        """See the contract."""
        values = (task.job_id, task.gid, task.activity_id, task.type, task.dad, self._time_of(task.list_key))
        return bool(await self._db.call("ack_hook", blob(msgspec.msgpack.encode(values)), task.fence))

    def _list_key(self, fire_at: int) -> str:
        return self.mint_key(KeyType.TIME_RANGE, KeyParams(time_value=fire_at))

    def _time_of(self, list_key: str) -> int:
        fire_at = key_rules.parse_key(list_key).id
        if not fire_at.lstrip("-").isdigit() or list_key != self._list_key(int(fire_at)):
            raise InvalidArgument(f"{list_key!r} is not the key of a time range of this app")
        return int(fire_at)
