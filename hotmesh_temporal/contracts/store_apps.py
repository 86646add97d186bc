"""Store contract, part 1: transactions, keys, settings, app versions and scout roles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .types import AppRecord, JsonObject, KeyParams, KeyType, Transaction


class AppStore(ABC):
    """The session with the database, and which version of the app is deployed and active.

    Reads see every committed write of every process, but for `get_app` without ``refresh``.
    """

    # -- session ----------------------------------------------------------------------------------------------

    @abstractmethod
    async def init(self, namespace: str, app_id: str) -> None:
        """Bind the names and make the schema ready. Idempotent; safe for many processes at once.

        Raises `InvalidArgument` for names that ``keys.validate_names`` refuses. Every other method raises
        `NotInitialized` before it. Two ``(namespace, app_id)`` pairs in one database share nothing.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release what `init` acquired. Idempotent."""

    @abstractmethod
    def transaction(self) -> Transaction:
        """A new, empty transaction; it holds no connection before ``exec``. Do not share it between tasks.

        It may be given to this store and to the stream and search services of the same backend. Any of them raises
        `CrossProviderTransaction` for a transaction of another backend, and `AlreadyDone` for an executed one.
        """

    @abstractmethod
    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """``keys.mint_key`` with the names of `init`. Raises `NotInitialized` before `init`."""

    # -- settings ---------------------------------------------------------------------------------------------

    @abstractmethod
    async def get_settings(self, create: bool = False) -> dict[str, Any]:
        """The settings. ``create`` stores ``{"namespace", "version"}`` (of the package) first if there are none.

        Raises `NotFound` if there are none and ``create`` is False.
        """

    @abstractmethod
    async def set_settings(self, manifest: JsonObject) -> None:
        """Merge ``manifest`` into the settings, key by key, last writer wins. Values are JSON and come back as they
        were.
        """

    # -- app versions -----------------------------------------------------------------------------------------

    @abstractmethod
    async def get_app(self, app_id: str, refresh: bool = False) -> AppRecord | None:
        """The record of an app, or None. May be served from memory unless ``refresh``."""

    @abstractmethod
    async def set_app(self, app_id: str, version: str) -> AppRecord:
        """Record ``version`` as deployed, without activating it; other versions and the active one are kept.

        The record's ``version`` stays the active one (empty before the first activation). Deploying an active version
        again changes nothing.
        """

    @abstractmethod
    async def activate_app_version(self, app_id: str, version: str) -> bool:
        """Make a deployed version the active one; an older one too (a roll-back). True; idempotent.

        Raises `NotFound` if the version was never deployed. Serialize callers with the scout role ``activate``.
        """

    # -- scout roles ------------------------------------------------------------------------------------------

    @abstractmethod
    async def reserve_scout_role(self, scout_type: str, delay: int = 60, owner: str | None = None) -> bool:
        """Take the role ``scout_type`` for ``max(delay - 1, 1)`` seconds by the provider's clock. True: it is ours now.

        False while anybody holds it, the same owner too: to extend a lease use ``acquire_lease``. HotMesh's types are
        ``time``, ``signal`` and ``activate``; any other name is a role of its own. ``owner`` (extension) is by default
        an id of this store instance.
        """

    @abstractmethod
    async def release_scout_role(self, scout_type: str, owner: str | None = None) -> bool:
        """Give the role up. True if ``owner`` held it, unlapsed; else False, and nothing is changed."""
