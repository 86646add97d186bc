"""How to reach NATS: every form that a user may write, read into `Settings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from hotmesh_temporal.contracts import ConnectionSpec
from hotmesh_temporal.contracts.errors import InvalidArgument

DEFAULT_SERVER = "nats://localhost:4222"

# What `connection.Connection` decides itself: it reconnects on its own.
_OURS = frozenset(
    {
        "allow_reconnect",
        "closed_cb",
        "disconnected_cb",
        "error_cb",
        "max_reconnect_attempts",
        "no_echo",
        "reconnect_time_wait",
        "reconnected_cb",
    }
)
# Where an existing client keeps what its options do not show, and the option that it came from.
_HIDDEN = {
    "_user_credentials": "user_credentials",
    "_nkeys_seed": "nkeys_seed",
    "_nkeys_seed_str": "nkeys_seed_str",
    "_signature_cb": "signature_cb",
    "_user_jwt_cb": "user_jwt_cb",
}
_TAKEN = ("user", "password", "token", "tls", "tls_hostname", "tls_handshake_first", "connect_timeout", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything needed to connect. ``servers`` and ``options`` may hold secrets: never log them."""

    servers: Sequence[str] = field(default=(DEFAULT_SERVER,), repr=False)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    replicas: int = 1
    place: str = ""
    """Hosts and ports, without secrets."""

    @property
    def identity(self) -> str:
        """See `Backend.identity`."""
        return f"nats:{self.place}"


def settings_of(spec: ConnectionSpec) -> Settings:
    """Read a spec. Raises `InvalidArgument` that names what is wrong and what to write instead."""
    if spec.existing is not None:
        return _from_client(spec.existing)
    if spec.url:
        return _from_url(spec.url)
    return _from_options(dict(spec.options))


def _from_url(url: str) -> Settings:
    url, _, query = url.partition("?")
    return _from_options({"servers": url.split(","), **dict(parse_qsl(query))})


def _from_options(options: dict[str, Any]) -> Settings:
    servers = options.pop("servers", None) or options.pop("url", None) or [DEFAULT_SERVER]
    listed = [servers] if isinstance(servers, str) else [str(each) for each in servers]
    listed = [each.strip() if "://" in each else f"nats://{each.strip()}" for each in listed]
    replicas = _replicas(options.pop("replicas", 1))
    kept = {name: value for name, value in options.items() if name not in _OURS and value is not None}
    return Settings(servers=listed, options=kept, replicas=replicas, place=",".join(sorted(map(_place, listed))))


def _from_client(client: Any) -> Settings:
    """Settings that reach what the user's client reaches; the client lives on another loop and is left alone."""
    try:
        servers = [each.geturl() for each in client.servers]
        given = cast("Mapping[str, Any]", client.options)
        hidden = {option: getattr(client, attribute, None) for attribute, option in _HIDDEN.items()}
    except AttributeError as error:
        raise InvalidArgument(
            f"cannot use an existing {type(client).__name__}: give a nats.aio.client.Client, a nats:// URL or "
            'options such as {"servers": ["nats://…"]}'
        ) from error
    if not servers:
        raise InvalidArgument("the existing NATS client was never connected: give the URL or the options instead")
    return _from_options({"servers": servers, **{name: given.get(name) for name in _TAKEN}, **hidden})


def _replicas(value: Any) -> int:
    try:
        replicas = int(value)
    except (TypeError, ValueError):
        replicas = 0
    if replicas not in (1, 3, 5):
        raise InvalidArgument(f"replicas must be 1, 3 or 5 (the servers that keep each message), not {value!r}")
    return replicas


def _place(server: str) -> str:
    try:
        parts = urlsplit(server)
        return f"{parts.hostname or 'localhost'}:{parts.port or 4222}"
    except ValueError as error:
        raise InvalidArgument("a NATS server is written nats://host:4222 (several: separated by commas)") from error
