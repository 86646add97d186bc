"""Where the data lives: every form that a user may write, turned into one `ConnectionSpec` per service.

In order of precedence: what the caller passes; a database URL in the place of the Temporal address; the environment
(``HOTMESH_CONNECTION``, ``HOTMESH_STORE``, ``HOTMESH_STREAM``, ``HOTMESH_SUB``, ``HOTMESH_SEARCH``); the Temporal
environment configuration (``temporal.toml``, ``TEMPORAL_ADDRESS``); a SQLite file in ``.hotmesh/`` under the working
directory.
Nothing here opens a connection or imports a driver.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from urllib.parse import quote

from . import _toml
from .composed import ComposedBackend
from .contracts.backend import Backend, ConnectionSpec

PROVIDER_GROUP = "hotmesh_temporal.providers"
SERVICES = ("store", "stream", "sub", "search")

_BUILT_IN = {
    "sqlite": "hotmesh_temporal.providers.sqlite:SqliteBackend",
    "postgres": "hotmesh_temporal.providers.postgres:PostgresBackend",
    "nats": "hotmesh_temporal.providers.nats:NatsBackend",
    "redis": "hotmesh_temporal.providers.redis:RedisBackend",
}
# What people write (URL schemes and the root modules of drivers), and the provider that it means.
_ALIASES = {
    "aiosqlite": "sqlite",
    "asyncpg": "postgres",
    "postgresql": "postgres",
    "psycopg": "postgres",
    "psycopg2": "postgres",
    "psycopg_pool": "postgres",
    "rediss": "redis",
    "sqlite3": "sqlite",
    "unix": "redis",
    "valkey": "redis",
    "valkeys": "redis",
}
# Option names of drivers that we recognise but do not use, and the name that the provider knows.
_OPTION_NAMES = {
    "aiosqlite": {"database": "path"},
    "psycopg": {"conninfo": "dsn", "dbname": "database"},
    "psycopg2": {"dbname": "database"},
    "sqlite3": {"database": "path"},
}
_WORKING_FORMS = (
    'connection="postgresql://user:password@host:5432/database"  or  '
    'connection={"class": asyncpg, "options": {"dsn": "postgresql://…"}}  '
    '(for SQLite: connection="sqlite:///file.sqlite3")'
)


_NATS_ALONE = (
    "NATS cannot be the store: it carries messages but cannot commit a workflow's state. Give it a store beside it: "
    'connections={"store": "postgresql://…", "stream": "nats://…", "sub": "nats://…"}  or use one database for '
    f"everything: {_WORKING_FORMS}"
)


class InvalidConnection(ValueError):
    """A connection that cannot be understood or is not supported; the text says what works instead."""


@dataclass(frozen=True)
class Connections:
    """Where each service lives. ``search`` must be where the store is: a document is written in the run's commit."""

    store: ConnectionSpec
    stream: ConnectionSpec
    sub: ConnectionSpec
    search: ConnectionSpec

    @classmethod
    def of(cls, spec: ConnectionSpec) -> Connections:
        """All services on one database."""
        return cls(store=spec, stream=spec, sub=spec, search=spec)

    def backend(self) -> Backend:
        """The backend of all services, not opened yet.

        Raises:
            InvalidConnection: A service is where it cannot be, or a provider cannot be loaded.
        """
        if self == Connections.of(self.store):
            alone = load_provider(self.store.provider)(self.store)
            # One that offers nothing yet makes its services when it is opened.
            offers_some = any(getattr(alone, service) for service in SERVICES)
            return _offering("store", alone) if offers_some else alone
        found: list[tuple[ConnectionSpec, Backend]] = []
        parts = {service: self._part(service, found) for service in SERVICES}
        store, stream, sub, search = (parts[service] for service in SERVICES)
        if search is not store:
            raise InvalidConnection(
                f"'search' is on {search.identity}, but 'store' is on {store.identity}: what lists show of a workflow "
                "is written in the commit that changes it, so both are one database. Leave 'search' out."
            )
        return store if stream is store and sub is store else ComposedBackend(store, stream, sub)

    def _part(self, service: str, found: list[tuple[ConnectionSpec, Backend]]) -> Backend:
        """The backend that a service is on; one for all services on one database."""
        spec = cast(ConnectionSpec, getattr(self, service))
        for known, backend in found:
            if known is spec or known == spec:
                return _offering(service, backend)
        made = load_provider(spec.provider)(spec)
        # One database may be written in several ways.
        backend = next((backend for _, backend in found if backend.identity == made.identity), made)
        found.append((spec, backend))
        return _offering(service, backend)


def _offering(service: str, backend: Backend) -> Backend:
    if getattr(backend, service) is None:
        raise InvalidConnection(f"{backend.identity} does not offer {service!r}: give another database for it")
    return backend


def resolve(
    connection: Any = None,
    *,
    connections: Mapping[str, Any] | None = None,
    target_host: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Connections:
    """Find where the data lives.

    Args:
        connection: One database for everything: a URL, a path of a SQLite file, ``{"class": …, "options": {…}}``, an
            existing pool or client, or a `ConnectionSpec`.
        connections: The same, by service: "store", "stream", "sub", "search". What is left out follows the store.
        target_host: What the application passes as its Temporal address. A database URL is used; anything else is
            accepted and means: the configured connection.
        environ: The environment to read; the process's own when None.

    Raises:
        InvalidConnection: Nothing usable was given; the text names the forms that work.
    """
    environ = os.environ if environ is None else environ
    if connection is not None and connections is not None:
        raise InvalidConnection("give either connection= (one database) or connections= (by service), not both")
    if connections is not None:
        return _by_service(connections)
    if connection is not None:
        return _alone(parse(connection))
    if target_host and _toml.is_database_url(target_host):
        return _alone(parse(target_host))
    return _from_environment(environ) or _from_temporal_config(environ) or Connections.of(default_connection())


def default_connection(directory: Path | None = None) -> ConnectionSpec:
    """The embedded default: a SQLite file that all processes with this working directory share. Makes its folder."""
    folder = (directory or Path.cwd()) / ".hotmesh"
    folder.mkdir(mode=0o700, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return _sqlite_file(folder / "hotmesh.sqlite3")


def parse(form: Any) -> ConnectionSpec:
    """Turn one connection, in any form that a user may write, into a `ConnectionSpec`.

    Raises:
        InvalidConnection: The form is not understood, or no provider for it is installed.
    """
    if isinstance(form, ConnectionSpec):
        return form
    if isinstance(form, str):
        return _from_url(form)
    if isinstance(form, os.PathLike):
        return _sqlite_file(Path(cast("os.PathLike[str]", form)))
    if isinstance(form, Mapping):
        return _from_mapping(cast("Mapping[str, Any]", form))
    if isinstance(form, (ModuleType, type)):
        root = _module_root(form)
        raise InvalidConnection(f'{root} alone does not say where; write {{"class": {root}, "options": {{…}}}}')
    return _from_existing(form)


def provider_names() -> list[str]:
    """The installed providers, those of other packages included (entry point group ``hotmesh_temporal.providers``)."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group=PROVIDER_GROUP))})


def load_provider(name: str) -> Callable[[ConnectionSpec], Backend]:
    """The backend class of a provider. Imports its driver.

    Raises:
        InvalidConnection: It is not installed, or its driver is not.
    """
    _require_provider(name)
    try:
        return cast("Callable[[ConnectionSpec], Backend]", _load_entry_point(name))
    except ImportError as error:
        raise InvalidConnection(
            f"the provider {name!r} cannot be loaded ({error}); "
            f"install its driver: pip install 'hotmesh-temporal[{name}]'"
        ) from error


def _load_entry_point(name: str) -> Any:
    # The installed entry points come first, so that a package may replace a built-in provider.
    for point in entry_points(group=PROVIDER_GROUP, name=name):
        return point.load()
    module, _, attribute = _BUILT_IN[name].partition(":")
    return getattr(__import__(module, fromlist=[attribute]), attribute)


def _require_provider(name: str) -> None:
    if name in provider_names():
        return
    raise InvalidConnection(
        f"no provider for {name!r} is installed (installed: {', '.join(provider_names())}). "
        f"Forms that work: {_WORKING_FORMS}"
    )


def _spec(provider: str, **where: Any) -> ConnectionSpec:
    _require_provider(provider)
    return ConnectionSpec(provider, **where)


def _from_url(url: str) -> ConnectionSpec:
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise InvalidConnection(f"{url!r} is not a database URL. Forms that work: {_WORKING_FORMS}")
    # SQLAlchemy's form names the driver too (postgresql+asyncpg); the provider has its own.
    scheme, _, suffix = scheme.lower().partition("+")
    # A suffix names a driver, which is ours to choose; this one says what the places are.
    kept = f"{scheme}+{suffix}" if suffix == "sentinel" else scheme
    return _spec(_ALIASES.get(scheme, scheme), url=f"{kept}://{rest}")


def _sqlite_file(path: Path) -> ConnectionSpec:
    return _spec("sqlite", url="sqlite:///" + quote(str(path.absolute())))


def _from_mapping(form: Mapping[str, Any]) -> ConnectionSpec:
    if unknown := form.keys() - {"class", "options"}:
        hint = "; services belong into connections=" if unknown & set(SERVICES) else ""
        raise InvalidConnection(f'a connection has the keys "class" and "options", not {_listed(unknown)}{hint}')
    if "class" not in form:
        raise InvalidConnection('a connection needs a "class", for example {"class": asyncpg, "options": {"dsn": …}}')
    driver, options = form["class"], form.get("options")
    if not isinstance(driver, (ModuleType, type, str)):
        return _from_existing(driver, options)
    if not isinstance(options, Mapping):
        raise InvalidConnection('a connection needs "options": the keyword arguments of its driver, as a mapping')
    root = _module_root(driver)
    names = _OPTION_NAMES.get(root, {})
    known = {names.get(key, key): value for key, value in cast("Mapping[str, Any]", options).items()}
    return _spec(_ALIASES.get(root, root), options=known)


def _from_existing(client: Any, options: object = None) -> ConnectionSpec:
    if options:
        raise InvalidConnection("an existing pool or client was made with its options already; leave them out")
    return _spec(_existing_provider(client), existing=client)


def _existing_provider(client: Any) -> str:
    # A pool may be of a subclass of the user's, so every base is asked, the nearest first.
    for base in type(client).__mro__:
        root = _module_root(base)
        if (name := _ALIASES.get(root, root)) in provider_names():
            return name
    name = f"{type(client).__module__}.{type(client).__qualname__}"
    raise InvalidConnection(f"{name} is not a known pool or client. Forms that work: {_WORKING_FORMS}")


def _module_root(driver: ModuleType | type | str) -> str:
    if isinstance(driver, str):
        return driver.partition(".")[0]
    name = driver.__name__ if isinstance(driver, ModuleType) else driver.__module__
    # The C classes of some drivers name an underscored module, such as _sqlite3.
    return name.partition(".")[0].lstrip("_")


def _alone(spec: ConnectionSpec) -> Connections:
    """Everything on one database."""
    if spec.provider == "nats":
        raise InvalidConnection(_NATS_ALONE)
    return Connections.of(spec)


def _by_service(forms: Mapping[str, Any]) -> Connections:
    if unknown := forms.keys() - set(SERVICES):
        raise InvalidConnection(f"connections= has the keys {_listed(SERVICES)}, not {_listed(unknown)}")
    if forms.get("store") is None:
        raise InvalidConnection(
            'connections= needs a "store": the database that keeps the workflows. Streams and events alone (NATS, for '
            f"example) cannot hold them. Forms that work: {_WORKING_FORMS}"
        )
    store = _alone(parse(forms["store"])).store
    others = {service: parse(forms[service]) for service in SERVICES[1:] if forms.get(service) is not None}
    return Connections(store=store, **{"stream": store, "sub": store, "search": store, **others})


def _from_environment(environ: Mapping[str, str]) -> Connections | None:
    forms = {service: environ.get(f"HOTMESH_{service.upper()}") or None for service in SERVICES}
    forms["store"] = forms["store"] or environ.get("HOTMESH_CONNECTION") or None
    if not any(forms.values()):
        return None
    try:
        return _by_service(forms)
    except InvalidConnection as error:
        raise InvalidConnection(f"in the environment (HOTMESH_CONNECTION, HOTMESH_STORE, …): {error}") from error


def _from_temporal_config(environ: Mapping[str, str]) -> Connections | None:
    try:
        found = _toml.configured_connection(environ)
        if found is None:
            return None
        if isinstance(found, Mapping) and "store" in found:
            return _by_service(found)
        return _alone(parse(found))
    except (ValueError, RuntimeError, OSError) as error:
        raise InvalidConnection(f"in the Temporal environment configuration: {error}") from error


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))
