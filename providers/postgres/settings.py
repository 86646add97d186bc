"""How to reach a database: every form that a user may write, read into `Settings`."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from hotmesh_temporal.contracts import ConnectionSpec
from hotmesh_temporal.contracts.errors import InvalidArgument

from .driver import Connection, asyncpg_module

DEFAULT_SCHEMA = "hotmesh"
DEFAULT_MAX_SIZE = 10
COMMAND_TIMEOUT_S = 60.0
"""Default bound of one statement: a server that vanished without a word must not block a caller for ever."""

_OWN_OPTIONS = frozenset({"schema", "pooler", "max_size", "min_size"})
# Options of ``asyncpg.create_pool`` that steer its pool; ours is another one.
_POOL_OPTIONS = frozenset({"init_size", "max_queries", "max_inactive_connection_lifetime", "reset", "loop"})
_TRUE = frozenset({"1", "true", "yes", "on"})

ConnectCallable = Callable[..., Awaitable[Connection]]
SetupCallable = Callable[[Connection], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything needed to open connections. ``dsn`` and ``connect_options`` may hold a password: never log them."""

    dsn: str | None = field(default=None, repr=False)
    connect_options: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    connect: ConnectCallable | None = None
    init: SetupCallable | None = None
    setup: SetupCallable | None = None
    schema: str = DEFAULT_SCHEMA
    pooler: bool = False
    max_size: int = DEFAULT_MAX_SIZE
    place: str = ""
    """Host, port and database, without secrets."""

    @property
    def identity(self) -> str:
        """See `Backend.identity`."""
        return f"postgres:{self.place}?{self.schema}"


def settings_of(spec: ConnectionSpec) -> Settings:
    """Read a spec. Raises `InvalidArgument` that names what is wrong and what to write instead."""
    if spec.existing is not None:
        return _from_pool(spec.existing)
    return _from_options({"dsn": spec.url} if spec.url else dict(spec.options))


def _from_options(options: dict[str, Any]) -> Settings:
    dsn = options.pop("dsn", None) or options.pop("url", None)
    if dsn is not None:
        dsn, own = _split_url(str(dsn))
        options = {**own, **options}
    own_options = {name: options.pop(name) for name in _OWN_OPTIONS & options.keys()}
    connect = options.pop("connect", None)
    init, setup = options.pop("init", None), options.pop("setup", None)
    for name in _POOL_OPTIONS & options.keys():
        options.pop(name)
    pooler = _flag(own_options.get("pooler", False)) or options.get("statement_cache_size") == 0
    return Settings(
        dsn=dsn,
        connect_options=_with_defaults(options, pooler),
        connect=connect,
        init=init,
        setup=setup,
        schema=_schema_name(str(own_options.get("schema", DEFAULT_SCHEMA))),
        pooler=pooler,
        max_size=_size(own_options.get("max_size", DEFAULT_MAX_SIZE)),
        place=_place(dsn, options),
    )


def _from_pool(pool: Any) -> Settings:
    """Settings that reach what the user's pool reaches; the pool itself belongs to another loop and is left alone."""
    if not isinstance(pool, asyncpg_module.Pool):
        raise InvalidArgument(
            f"cannot use an existing {type(pool).__name__}: give an asyncpg.Pool, a postgresql:// URL or "
            'options such as {"dsn": "postgresql://…"}'
        )
    try:
        args = cast("tuple[Any, ...]", pool._connect_args)
        options = dict(cast("Mapping[str, Any]", pool._connect_kwargs))
        hooks = {name: getattr(pool, f"_{name}") for name in ("init", "setup", "connect")}
    except AttributeError as error:
        raise InvalidArgument(
            "this version of asyncpg does not show how its pool connects: give the URL or the options instead"
        ) from error
    if hooks["connect"] is asyncpg_module.connect:
        hooks["connect"] = None
    options.pop("loop", None)
    given = {name: value for name, value in {**options, **hooks}.items() if value is not None}
    if args and args[0]:
        given["dsn"] = args[0]
    return _from_options(given)


def _with_defaults(options: Mapping[str, Any], pooler: bool) -> dict[str, Any]:
    defaults: dict[str, Any] = {"command_timeout": COMMAND_TIMEOUT_S, "statement_cache_size": 0 if pooler else 256}
    if not pooler:
        # A pooler refuses start-up settings that it does not track.
        settings = {"application_name": "hotmesh-temporal", "jit": "off"}
        defaults["server_settings"] = settings | dict(options.get("server_settings") or {})
        defaults["max_cached_statement_lifetime"] = 0
    given = {name: value for name, value in options.items() if value is not None and name != "server_settings"}
    if pooler and options.get("server_settings"):
        defaults["server_settings"] = options["server_settings"]
    return {**defaults, **given, **({"statement_cache_size": 0} if pooler else {})}


def _split_url(url: str) -> tuple[str, dict[str, Any]]:
    """A URL that asyncpg understands, and our own options that stood in its query."""
    parts = urlsplit(url)
    scheme = parts.scheme.split("+")[0]
    if scheme not in ("postgres", "postgresql"):
        raise InvalidArgument(f"not a Postgres URL: it starts with {parts.scheme!r}, not with 'postgresql://'")
    query = parse_qsl(parts.query, keep_blank_values=True)
    if wrong := re.search(r":([^:,\]]*[^:,\]\d][^:,\]]*)(?=,|$)", parts.netloc.rpartition("@")[2]):
        raise InvalidArgument(f"the port of a Postgres URL must be a number, not {wrong[1]!r}")
    own = {name: value for name, value in query if name in _OWN_OPTIONS}
    rest = urlencode([(name, value) for name, value in query if name not in _OWN_OPTIONS])
    return urlunsplit((scheme, parts.netloc, parts.path, rest, "")), own


def _place(dsn: str | None, options: Mapping[str, Any]) -> str:
    """``<hosts>/<database>`` as asyncpg finds them: argument, URL, environment, default."""
    parts = urlsplit(dsn or "postgresql://")
    query = dict(parse_qsl(parts.query))
    netloc = parts.netloc.rpartition("@")[2]
    user = options.get("user") or query.get("user") or _user_of(parts.netloc) or os.environ.get("PGUSER", "")
    host = options.get("host") or query.get("host") or unquote(netloc) or os.environ.get("PGHOST") or "localhost"
    port = options.get("port") or query.get("port") or os.environ.get("PGPORT") or 5432
    database = (
        options.get("database") or query.get("dbname") or query.get("database") or unquote(parts.path.lstrip("/"))
    )
    database = database or os.environ.get("PGDATABASE") or user
    return f"{_with_port(host, port)}/{database}"


def _user_of(netloc: str) -> str:
    return unquote(netloc.rpartition("@")[0].partition(":")[0])


def _with_port(host: Any, port: Any) -> str:
    hosts: list[str] = (
        [str(part) for part in cast("list[Any]", host)] if isinstance(host, list) else str(host).split(",")
    )
    return ",".join(name if re.search(r":\d+$", name) else f"{name}:{port}" for name in hosts)


def _schema_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", name):
        raise InvalidArgument(f"schema {name!r} must be letters, digits and underscores, at most 63, no digit first")
    return name


def _flag(value: Any) -> bool:
    return str(value).lower() in _TRUE


def _size(value: Any) -> int:
    try:
        size = int(value)
    except (TypeError, ValueError):
        size = 0
    if size < 1:
        raise InvalidArgument(f"max_size {value!r} must be a whole number of at least 1")
    return size
