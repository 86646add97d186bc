"""Routing tables, hook signals, time hooks and throttles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.keys import parse_key, parse_signal_target
from hotmesh_temporal.contracts.store_routing import RoutingStore, SignalStore, ThrottleStore, TimeHookStore
from hotmesh_temporal.contracts.types import (
    MAX_DELAY_MS,
    AppVersion,
    HookSignal,
    KeyParams,
    KeyType,
    StringMap,
    ThrottleOptions,
    TimeHookTask,
    Transaction,
)

from .database import nothing, scalar
from .driver import Connection, atomically
from .hashes import HashService
from .jsontext import json_text

_HOOK_RULES = "hook-rules"
_THROTTLES = "throttles"
_GLOBAL = ":"


class PostgresRoutingStore(HashService, RoutingStore):
    """See `RoutingStore`. Nothing is cached: every read is of the database."""

    async def get_schema(self, activity_id: str, app_version: AppVersion) -> Any:
        text = await self._get(self._version_key("schemas", app_version), activity_id)
        return None if text is None else json.loads(text)

    async def get_schemas(self, app_version: AppVersion) -> dict[str, Any]:
        return await self._get_json(self._version_key("schemas", app_version))

    async def set_schemas(self, schemas: Mapping[str, Any], app_version: AppVersion) -> None:
        await self._put_json(self._version_key("schemas", app_version), schemas)

    async def set_subscriptions(self, subscriptions: StringMap, app_version: AppVersion) -> bool:
        await self._put(self._version_key("subscriptions", app_version), subscriptions)
        return True

    async def get_subscriptions(self, app_version: AppVersion) -> dict[str, str]:
        return await self._get_all(self._version_key("subscriptions", app_version))

    async def get_subscription(self, topic: str, app_version: AppVersion) -> str | None:
        return await self._get(self._version_key("subscriptions", app_version), topic)

    async def set_transitions(self, transitions: Mapping[str, Any], app_version: AppVersion) -> None:
        await self._put_json(self._version_key("transitions", app_version), transitions)

    async def get_transitions(self, app_version: AppVersion) -> dict[str, Any]:
        return await self._get_json(self._version_key("transitions", app_version))

    async def set_hook_rules(self, hook_rules: Mapping[str, Sequence[Any]]) -> None:
        await self._put_json(_HOOK_RULES, {topic: list(rules) for topic, rules in hook_rules.items() if rules})
        removed = [topic for topic, rules in hook_rules.items() if not rules]
        if removed:
            sql = "DELETE FROM hotmesh.hashes WHERE app = $1 AND key = $2 AND field = ANY ($3)"
            await self._db.read(sql, self._db.app, _HOOK_RULES, removed)

    async def get_hook_rules(self) -> dict[str, list[Any]]:
        return await self._get_json(_HOOK_RULES)

    def _version_key(self, table: str, app_version: AppVersion) -> str:
        self._check_app(app_version.id)
        return f"{table}/{app_version.version}"

    async def _get_json(self, key: str) -> dict[str, Any]:
        return {field: json.loads(value) for field, value in (await self._get_all(key)).items()}

    async def _put_json(self, key: str, values: Mapping[str, Any]) -> None:
        await self._put(key, {field: json_text(value) for field, value in values.items()})


class PostgresSignalStore(HashService, SignalStore):
    """See `SignalStore`."""

    async def set_hook_signal(self, hook: HookSignal, transaction: Transaction | None = None) -> bool:
        return await self._write(
            # A waiter of the same job keeps its first time; the update only makes the row visible to RETURNING.
            """INSERT INTO hotmesh.signals AS s (app, topic, resolved, waiter, job_id, expires_at)
            VALUES ($1, $2, $3, $4, $5, hotmesh.now_ms() + $6)
            ON CONFLICT (app, topic, resolved) DO UPDATE SET waiter = excluded.waiter, job_id = excluded.job_id,
                expires_at = CASE WHEN hotmesh.live(s.expires_at) THEN s.expires_at ELSE excluded.expires_at END
            WHERE s.waiter = excluded.waiter OR NOT hotmesh.live(s.expires_at)
            RETURNING true""",
            hook.topic,
            hook.resolved,
            hook.job_id,
            _job_of(hook.job_id),
            max(hook.expire, 1) * 1000,
            transaction=transaction,
            placeholder=False,
            decode=bool,
            repeatable=True,
        )

    async def get_hook_signal(self, topic: str, resolved: str) -> str | None:
        sql = """SELECT s.waiter FROM hotmesh.signals s
            LEFT JOIN hotmesh.jobs j ON j.app = s.app AND j.job_id = s.job_id
            WHERE s.app = $1 AND s.topic = $2 AND s.resolved = $3 AND hotmesh.live(s.expires_at)
                AND hotmesh.live(j.expires_at)"""
        waiter: str | None = scalar(await self._db.read(sql, self._db.app, topic, resolved))
        return waiter

    async def delete_hook_signal(self, topic: str, resolved: str) -> int:
        sql = """DELETE FROM hotmesh.signals WHERE app = $1 AND topic = $2 AND resolved = $3
            RETURNING hotmesh.live(expires_at)"""
        return int(bool(scalar(await self._db.fetch(sql, self._db.app, topic, resolved))))

    async def delist_signal_key(self, key: str, target: str) -> None:
        if key != self.mint_key(KeyType.SIGNALS, KeyParams()):
            raise InvalidArgument(f"{key!r} is not the key of this app's signals")
        await self.delete_hook_signal(*parse_signal_target(target))


def _job_of(waiter: str) -> str:
    """The job of a composite ``aid::dad::gid::jid``; the job id may hold ``::`` itself."""
    parts = waiter.split("::", 3)
    return parts[3] if len(parts) == 4 else waiter


_CLAIM_HOOK = """
UPDATE hotmesh.time_hooks t SET due_at = hotmesh.now_ms() + $3, fence = nextval('hotmesh.fences')
WHERE t.app = $1 AND t.id = (
    SELECT id FROM hotmesh.time_hooks h
    WHERE app = $1 AND due_at <= hotmesh.now_ms() AND ($2::bigint IS NULL OR fire_at = $2) AND NOT EXISTS (
        SELECT FROM hotmesh.jobs j WHERE j.app = h.app AND j.job_id = h.job_id AND NOT hotmesh.live(j.expires_at)
    )
    ORDER BY fire_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
) AND t.due_at <= hotmesh.now_ms()
RETURNING fire_at, job_id, gid, activity_id, type, dad, fence"""


class PostgresTimeHookStore(HashService, TimeHookStore):
    """See `TimeHookStore`."""

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
        await self._write(
            """INSERT INTO hotmesh.time_hooks (app, job_id, gid, activity_id, type, fire_at, dad, due_at)
            SELECT $1, $2, $3, $4, $5, $6, $7, $6 FROM hotmesh.purge_if_expired($1, $2) ON CONFLICT DO NOTHING""",
            job_id,
            gid,
            activity_id,
            type,
            deletion_time,
            dad,
            transaction=transaction,
            placeholder=None,
            decode=nothing,
            repeatable=True,
        )

    async def get_next_task(self, list_key: str | None = None, *, lease_ms: int = 60_000) -> TimeHookTask | bool:
        time_value = None if list_key is None else self._time_of(list_key)
        rows = await self._db.read(_CLAIM_HOOK, self._db.app, time_value, lease_ms)
        if not rows:
            return list_key is not None
        fire_at, *rest = rows[0]
        return TimeHookTask(self.mint_key(KeyType.TIME_RANGE, KeyParams(time_value=fire_at)), *rest)

    async def ack_time_hook(self, task: TimeHookTask) -> bool:
        sql = "DELETE FROM hotmesh.time_hooks WHERE app = $1 AND job_id = $2 AND fence = $3 RETURNING true"
        return bool(await self._db.fetch(sql, self._db.app, task.job_id, task.fence))

    def _time_of(self, list_key: str) -> int:
        text = parse_key(list_key).id
        if (
            not text.lstrip("-").isdecimal()
            or self.mint_key(KeyType.TIME_RANGE, KeyParams(time_value=int(text))) != list_key
        ):
            raise InvalidArgument(f"{list_key!r} is not the key of a time range of this app")
        return int(text)


class PostgresThrottleStore(HashService, ThrottleStore):
    """See `ThrottleStore`."""

    async def set_throttle_rate(self, options: ThrottleOptions) -> None:
        if not -1 <= options.throttle <= MAX_DELAY_MS:
            raise InvalidArgument(f"throttle {options.throttle} is not in -1..{MAX_DELAY_MS}")
        if options.guid is not None:
            return
        if options.topic is not None:
            await self._put(_THROTTLES, {_rate_field(options.topic): str(options.throttle)})
            return

        async def replace(connection: Connection) -> None:
            sql = "DELETE FROM hotmesh.hashes WHERE app = $1 AND key = $2"
            await connection.fetch(self._db.sql(sql), self._db.app, _THROTTLES)
            await self._put_on(connection, _THROTTLES, {_GLOBAL: str(options.throttle)})

        await self._db.with_connection(lambda connection: atomically(connection, lambda: replace(connection)))

    async def get_throttle_rates(self) -> dict[str, str]:
        rates = await self._get_all(_THROTTLES)
        return {name if name == _GLOBAL else name[1:]: rate for name, rate in rates.items()}

    async def get_throttle_rate(self, topic: str) -> int:
        rates = await self._get_all(_THROTTLES)
        rate = int(rates.get(_rate_field(topic), rates.get(_GLOBAL, "0")))
        return MAX_DELAY_MS if rate < 0 else rate


def _rate_field(topic: str) -> str:
    """Prefixed, so that topics cannot be taken for the rate of everything."""
    return topic if topic == _GLOBAL else f"t{topic}"
