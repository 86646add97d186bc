"""The engine's version: which form of what is stored may be written, agreed on by all processes of a database.

It is not the package's version: it changes only when an older package could not read what a newer one writes. A
package that knows a newer version goes on writing the active one until that is activated, which the quorum does once
every engine knows it; from then on a package that does not know it refuses the database, instead of misreading it.
"""

from __future__ import annotations

from collections.abc import Callable

from ..contracts.errors import NotSupported
from ..contracts.store_apps import AppStore
from ..contracts.types import AppRecord
from .keys import APP_ID

ENGINE_VERSIONS: tuple[str, ...] = ("1",)
"""The versions that this package can read and write, the newest last."""


class EngineVersion:
    """The active version, as this process knows it."""

    def __init__(self, store: AppStore) -> None:
        self._store = store
        self.known = ENGINE_VERSIONS
        self.active = ""
        self.changed: Callable[[], None] = lambda: None
        """Called when another version than before is active."""

    async def start(self) -> None:
        """Deploy what this package knows. A new database begins with the newest version.

        Raises `NotSupported` if the database is at a version that this package does not know.
        """
        app = await self._store.get_app(APP_ID, refresh=True)
        for version in self.known:
            if app is None or version not in app.versions:
                app = await self._store.set_app(APP_ID, version)
        if app is None or not app.version:
            await self._store.activate_app_version(APP_ID, self.known[-1])
            await self.refresh()
        else:
            self._accept(app)

    async def refresh(self) -> None:
        """Look which version is active. Raises `NotSupported` as `start` does."""
        app = await self._store.get_app(APP_ID, refresh=True)
        if app is not None:
            self._accept(app)

    def _accept(self, app: AppRecord) -> None:
        before, self.active = self.active, app.version
        if self.active not in self.known:
            raise NotSupported(
                f"the database is used at engine version {self.active!r}, and this package knows "
                f"{', '.join(self.known)} only: install a newer hotmesh-temporal"
            )
        if before not in ("", self.active):
            self.changed()
