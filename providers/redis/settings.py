"""How to reach a server: every form that a user may write, read into `Settings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from hotmesh_temporal.contracts import ConnectionSpec
from hotmesh_temporal.contracts.errors import InvalidArgument

from . import sentinel
from .driver import async_module, connection_module, exceptions, never_again, redis_module
from .keys import DEFAULT_PREFIX
from .sentinel import Sentinels

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 30.0
"""Default bound of one command: a server that vanished without a word must not block a caller for ever."""

DEFAULT_MAX_CONNECTIONS = 16

_OWN_OPTIONS = frozenset({"prefix", "max_connections", "wait_replicas"})
_SENTINEL_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}
_SCHEMES = {"valkey": "redis", "valkeys": "rediss", "redis": "redis", "rediss": "rediss", "unix": "unix"}
# What of a client's settings says where and who; the rest steers a client that is not ours.
_KEPT = frozenset(
    {
        "client_name",
        "credential_provider",
        "db",
        "host",
        "password",
        "path",
        "port",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_keepalive_options",
        "socket_timeout",
        "username",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything needed to open connections. ``options`` may hold a password: never log them."""

    connection_class: Any
    options: Mapping[str, Any] = field(repr=False)
    prefix: str = DEFAULT_PREFIX
    max_connections: int = DEFAULT_MAX_CONNECTIONS
    wait_replicas: int = 0
    """How many replicas must have a commit before it is acknowledged."""
    sentinels: Sentinels | None = None
    """Who knows the host and the port; ``options`` have none then."""

    @property
    def place(self) -> str:
        """Host, port and database number, without secrets."""
        if self.sentinels is not None:
            return f"{self.sentinels.place}/{self.options.get('db') or 0}"
        if "path" in self.options:
            return f"{self.options['path']}/{self.options.get('db') or 0}"
        return f"{self.options.get('host')}:{self.options.get('port')}/{self.options.get('db') or 0}"

    @property
    def identity(self) -> str:
        """See `Backend.identity`."""
        return f"redis:{self.place}?{self.prefix}"


def settings_of(spec: ConnectionSpec) -> Settings:
    """Read a spec. Raises `InvalidArgument` that names what is wrong and what to write instead."""
    if spec.existing is not None:
        return _from_client(spec.existing, {})
    options = dict(spec.options)
    url = spec.url or options.pop("url", "")
    watched: Sentinels | None = None
    if url:
        url, own, watched = _split_url(str(url))
        options = {**own, **options}
    own = {name: options.pop(name) for name in _OWN_OPTIONS & options.keys()}
    try:
        client = async_module.Redis.from_url(url, **options) if url else async_module.Redis(**options)
    except (TypeError, ValueError, exceptions.RedisError) as error:
        raise InvalidArgument(
            f"not options of redis.asyncio.Redis: {error}; write redis://user:password@host:6379/0 or "
            '{"host": …, "port": …, "db": …, "password": …}'
        ) from error
    return _from_client(client, own, watched)


def _split_url(url: str) -> tuple[str, dict[str, Any], Sentinels | None]:
    """A URL that redis-py understands, our own options that stood in its query, and the Sentinels that it names."""
    parts = urlsplit(url)
    name, _, kind = parts.scheme.partition("+")
    scheme = _SCHEMES.get(name)
    if scheme is None or kind not in {"", "sentinel"}:
        raise InvalidArgument(
            f"not a Redis URL: it starts with {parts.scheme!r}, not with 'redis://', 'rediss://' (TLS), 'unix://' or "
            "'redis+sentinel://'"
        )
    query = parse_qsl(parts.query, keep_blank_values=True)
    watched = None
    if kind:
        login, at, places = parts.netloc.rpartition("@")
        options = {_SENTINEL_OPTIONS[name]: value for name, value in query if name in _SENTINEL_OPTIONS}
        watched = sentinel.of_url(places, parts.path, _for_sentinels(scheme, options))
        query = [(name, value) for name, value in query if name not in _SENTINEL_OPTIONS]
        # redis-py reads the rest as of any server; where it is, the Sentinels say.
        parts = parts._replace(netloc=f"{login}{at}localhost", path="/" + parts.path.strip("/").partition("/")[2])
    own = {name: value for name, value in query if name in _OWN_OPTIONS}
    rest = urlencode([(name, value) for name, value in query if name not in _OWN_OPTIONS])
    return urlunsplit((scheme, parts.netloc, parts.path, rest, "")), own, watched


def _for_sentinels(scheme: str, options: Mapping[str, str]) -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": CONNECT_TIMEOUT_S,
        "ssl": scheme == "rediss",
        **options,
    }


def _from_client(client: Any, own: Mapping[str, Any], watched: Sentinels | None = None) -> Settings:
    """Settings that reach what a client reaches. The client itself belongs to another loop and is left alone."""
    class_name, kwargs = _connection_of(client)
    if "connection_pool" in kwargs:
        watched = sentinel.of_pool(getattr(client, "connection_pool", client))
    connection_class = _class_named(class_name)
    kept = {name: value for name, value in kwargs.items() if name in _KEPT or name.startswith("ssl_")}
    options = {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": COMMAND_TIMEOUT_S,
        "client_name": "hotmesh-temporal",
        **{name: value for name, value in kept.items() if value is not None},
    }
    if watched is not None:
        options = {name: value for name, value in options.items() if name not in {"host", "port"}}
    elif "path" not in options:
        options = {"host": "localhost", "port": 6379, **options}
    # Texts are decoded here, where it is known what is text; replies are those of RESP2; nothing is tried twice.
    options |= {"decode_responses": False, "protocol": 2, "retry": never_again(), "health_check_interval": 0}
    return Settings(
        connection_class=connection_class,
        options=options,
        prefix=_prefix(own.get("prefix", DEFAULT_PREFIX)),
        max_connections=_size("max_connections", own.get("max_connections", DEFAULT_MAX_CONNECTIONS), 1),
        wait_replicas=_size("wait_replicas", own.get("wait_replicas", 0), 0),
        sentinels=watched,
    )


def _connection_of(client: Any) -> tuple[str, Mapping[str, Any]]:
    """The class name and the arguments of a client's connections."""
    if isinstance(client, (async_module.RedisCluster, redis_module.RedisCluster)):
        return _node_of(client)
    pool = getattr(client, "connection_pool", client)
    kwargs, connection_class = getattr(pool, "connection_kwargs", None), getattr(pool, "connection_class", None)
    if kwargs is None or connection_class is None:
        raise InvalidArgument(
            f"cannot use an existing {type(client).__name__}: give a redis.asyncio.Redis, its pool, a redis:// URL or "
            'options such as {"host": …, "port": …}'
        )
    return connection_class.__name__, kwargs


def _node_of(cluster: Any) -> tuple[str, Mapping[str, Any]]:
    nodes = cluster.nodes_manager.startup_nodes
    if not nodes:
        raise InvalidArgument("the existing RedisCluster knows no node: give the URL of one of its nodes instead")
    node = next(iter(nodes.values()))
    kwargs = dict(getattr(cluster, "connection_kwargs", None) or cluster.nodes_manager.connection_kwargs)
    uses_tls = bool(kwargs.get("ssl")) or "SSL" in getattr(kwargs.get("connection_class"), "__name__", "")
    return ("SSLConnection" if uses_tls else "Connection"), {**kwargs, "host": node.host, "port": node.port}


def _class_named(name: str) -> Any:
    """redis-py's asynchronous connection class for a class of either kind, by its name."""
    if "SSL" in name:
        return connection_module.SSLConnection
    return connection_module.UnixDomainSocketConnection if "Unix" in name else connection_module.Connection


def _prefix(value: Any) -> str:
    prefix = str(value)
    if not prefix or "{" in prefix or "}" in prefix:
        raise InvalidArgument(f"prefix {prefix!r} must not be empty and must not contain a brace")
    return prefix


def _size(name: str, value: Any, least: int) -> int:
    try:
        size = int(value)
    except (TypeError, ValueError):
        size = -1
    if size < least:
        raise InvalidArgument(f"{name} {value!r} must be a whole number of at least {least}")
    return size
