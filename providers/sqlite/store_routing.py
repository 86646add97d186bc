"""Store: routing tables, hook signals and throttles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hotmesh_temporal.contracts import keys as key_rules
from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.routing_tables import RoutingTables
from hotmesh_temporal.contracts.store_routing import SignalStore, ThrottleStore
from hotmesh_temporal.contracts.types import (
    MAX_DELAY_MS,
    HookSignal,
    KeyParams,
    KeyType,
    ThrottleOptions,
    Transaction,
)

from .clock import now_ms
from .database import Session
from .service import Service
from .store_apps import encode_json

_MERGE = """
INSERT INTO hm_routing (scope, kind, version, name, value) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (scope, kind, version, name) DO UPDATE SET value = excluded.value
"""
_REMOVE = "DELETE FROM hm_routing WHERE scope = ? AND kind = ? AND version = ? AND name = ?"


class RoutingGroup(Service, RoutingTables):
    """`RoutingStore` on SQLite."""

    async def _merge(self, kind: str, version: str, entries: Mapping[str, Any], removed: Sequence[str] = ()) -> None:
        scope, rows = self._scope, {name: encode_json(value) for name, value in entries.items()}

        def work(session: Session) -> None:
            for name, value in rows.items():
                session.execute(_MERGE, (scope, kind, version, name, value))
            for name in removed:
                session.execute(_REMOVE, (scope, kind, version, name))

        if rows or removed:
            await self._database.write(work)

    async def _get_all(self, kind: str, version: str) -> dict[str, Any]:
        statement = "SELECT name, value FROM hm_routing WHERE scope = ? AND kind = ? AND version = ?"
        key = (self._scope, kind, version)
        rows = await self._database.read(lambda session: session.execute(statement, key).fetchall())
        return {name: json.loads(value) for name, value in rows}

    async def _get_one(self, kind: str, version: str, name: str) -> Any:
        statement = "SELECT value FROM hm_routing WHERE scope = ? AND kind = ? AND version = ? AND name = ?"
        key = (self._scope, kind, version, name)
        row = await self._database.read(lambda session: session.execute(statement, key).fetchone())
        return None if row is None else json.loads(row[0])


# -- signals -----------------------------------------------------------------------------------------------------------

_REGISTER = """
INSERT INTO hm_hook_signals (scope, topic, resolved, job_id, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (scope, topic, resolved) DO UPDATE SET job_id = excluded.job_id, expires_at = excluded.expires_at
WHERE expires_at <= ?6
"""

_WAITER = """
SELECT job_id FROM hm_hook_signals WHERE scope = ? AND topic = ? AND resolved = ? AND expires_at > ?
"""

_UNREGISTER = "DELETE FROM hm_hook_signals WHERE scope = ? AND topic = ? AND resolved = ? AND expires_at > ?"


class SignalGroup(Service, SignalStore):
    """`SignalStore` on SQLite."""

    async def set_hook_signal(self, hook: HookSignal, transaction: Transaction | None = None) -> bool:
        """See the contract."""
        key = (self._scope, hook.topic, hook.resolved)

        def work(session: Session) -> bool:
            now = now_ms()
            session.execute(_REGISTER, (*key, hook.job_id, now + int(max(hook.expire, 1) * 1000), now))
            return session.execute(_WAITER, (*key, now)).fetchone()[0] == hook.job_id

        return await self._run(work, transaction, False)

    async def get_hook_signal(self, topic: str, resolved: str) -> str | None:
        """See the contract."""
        key = (self._scope, topic, resolved, now_ms())
        row = await self._database.read(lambda session: session.execute(_WAITER, key).fetchone())
        return None if row is None else row[0]

    async def delete_hook_signal(self, topic: str, resolved: str) -> int:
        """See the contract."""
        key = (self._scope, topic, resolved, now_ms())
        return await self._database.write(lambda session: session.execute(_UNREGISTER, key).rowcount)

    async def delist_signal_key(self, key: str, target: str) -> None:
        """See the contract."""
        if key != self.mint_key(KeyType.SIGNALS, KeyParams()):
            raise InvalidArgument(f"{key!r} is not the key of this app's signals")
        topic, resolved = key_rules.parse_signal_target(target)
        await self.delete_hook_signal(topic, resolved)


# -- throttles ---------------------------------------------------------------------------------------------------------

_EVERYTHING = ":"


class ThrottleGroup(Service, ThrottleStore):
    """`ThrottleStore` on SQLite."""

    async def set_throttle_rate(self, options: ThrottleOptions) -> None:
        """See the contract."""
        if not -1 <= options.throttle <= MAX_DELAY_MS:
            raise InvalidArgument(f"a throttle of {options.throttle} ms is not in -1..{MAX_DELAY_MS}")
        scope = self._scope
        if options.guid is not None:
            return

        def work(session: Session) -> None:
            if options.topic is None:
                session.execute("DELETE FROM hm_throttles WHERE scope = ?", (scope,))
            session.execute(
                """INSERT INTO hm_throttles (scope, topic, rate) VALUES (?, ?, ?)
                ON CONFLICT (scope, topic) DO UPDATE SET rate = excluded.rate""",
                (scope, _EVERYTHING if options.topic is None else options.topic, options.throttle),
            )

        await self._database.write(work)

    async def get_throttle_rates(self) -> dict[str, str]:
        """See the contract."""
        statement, key = "SELECT topic, rate FROM hm_throttles WHERE scope = ?", (self._scope,)
        rows = await self._database.read(lambda session: session.execute(statement, key).fetchall())
        return {topic: str(rate) for topic, rate in rows}

    async def get_throttle_rate(self, topic: str) -> int:
        """See the contract."""
        rates = await self.get_throttle_rates()
        rate = int(rates.get(topic, rates.get(_EVERYTHING, "0")))
        return MAX_DELAY_MS if rate < 0 else rate
