"""`RoutingStore` for a database that keeps each entry as a row: kind, version, name, value."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from .store_routing import RoutingStore
from .types import AppVersion, StringMap

_SCHEMA, _SUBSCRIPTION, _TRANSITION, _HOOK = "schema", "subscription", "transition", "hook"


class RoutingTables(RoutingStore):
    """The contract on three methods of the provider: read one, read all, merge. Values are what JSON can say."""

    @abstractmethod
    def _check_app(self, app_id: str) -> None:
        """Raise `InvalidArgument` for another app than that of init."""

    @abstractmethod
    async def _get_one(self, kind: str, version: str, name: str) -> Any:
        """The value of one entry, or None."""

    @abstractmethod
    async def _get_all(self, kind: str, version: str) -> dict[str, Any]:
        """Name to value."""

    @abstractmethod
    async def _merge(self, kind: str, version: str, entries: Mapping[str, Any], removed: Sequence[str] = ()) -> None:
        """Set entries and remove others, at once."""

    async def get_schema(self, activity_id: str, app_version: AppVersion) -> Any:
        """See `RoutingStore`."""
        return await self._get_one(_SCHEMA, self._version(app_version), activity_id)

    async def get_schemas(self, app_version: AppVersion) -> dict[str, Any]:
        """See `RoutingStore`."""
        return await self._get_all(_SCHEMA, self._version(app_version))

    async def set_schemas(self, schemas: Mapping[str, Any], app_version: AppVersion) -> None:
        """See `RoutingStore`."""
        await self._merge(_SCHEMA, self._version(app_version), schemas)

    async def set_subscriptions(self, subscriptions: StringMap, app_version: AppVersion) -> bool:
        """See `RoutingStore`."""
        await self._merge(_SUBSCRIPTION, self._version(app_version), subscriptions)
        return True

    async def get_subscriptions(self, app_version: AppVersion) -> dict[str, str]:
        """See `RoutingStore`."""
        return await self._get_all(_SUBSCRIPTION, self._version(app_version))

    async def get_subscription(self, topic: str, app_version: AppVersion) -> str | None:
        """See `RoutingStore`."""
        return await self._get_one(_SUBSCRIPTION, self._version(app_version), topic)

    async def set_transitions(self, transitions: Mapping[str, Any], app_version: AppVersion) -> None:
        """See `RoutingStore`."""
        await self._merge(_TRANSITION, self._version(app_version), transitions)

    async def get_transitions(self, app_version: AppVersion) -> dict[str, Any]:
        """See `RoutingStore`."""
        return await self._get_all(_TRANSITION, self._version(app_version))

    async def set_hook_rules(self, hook_rules: Mapping[str, Sequence[Any]]) -> None:
        """See `RoutingStore`."""
        kept = {topic: list(rules) for topic, rules in hook_rules.items() if rules}
        await self._merge(_HOOK, "", kept, [topic for topic, rules in hook_rules.items() if not rules])

    async def get_hook_rules(self) -> dict[str, list[Any]]:
        """See `RoutingStore`."""
        return await self._get_all(_HOOK, "")

    def _version(self, app_version: AppVersion) -> str:
        self._check_app(app_version.id)
        return app_version.version
