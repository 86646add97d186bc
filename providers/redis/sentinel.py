"""Servers that Redis Sentinel watches: which of them is the primary now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hotmesh_temporal.contracts.errors import InvalidArgument

from .driver import async_module, never_again

DEFAULT_PORT = 26379


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinels:
    """Where the Sentinels are and what they call the servers. ``options`` may hold a password: never log them."""

    service: str
    places: tuple[tuple[str, int], ...]
    options: Mapping[str, Any] = field(repr=False)

    @property
    def place(self) -> str:
        """Service and Sentinels, without secrets."""
        return f"{self.service}@" + ",".join(f"{host}:{port}" for host, port in self.places)

    async def primary(self) -> tuple[str, int]:
        """Host and port of the primary. Raises the driver's errors, also when no Sentinel knows one that is up."""
        manager = async_module.Sentinel(list(self.places), sentinel_kwargs={**self.options, "retry": never_again()})
        try:
            host, port = await manager.discover_master(self.service)
            return str(host), int(port)
        finally:
            for sentinel in manager.sentinels:
                await sentinel.aclose()


def of_url(places: str, path: str, options: Mapping[str, Any]) -> Sentinels:
    """``host:port,host:port`` and ``/service/db`` of a URL. Raises `InvalidArgument`."""
    service = path.strip("/").partition("/")[0]
    if not service:
        raise InvalidArgument(
            "the URL does not name the service: write redis+sentinel://host:26379,host:26379/mymaster/0"
        )
    return Sentinels(service=service, places=tuple(_place(each) for each in places.split(",")), options=options)


def of_pool(pool: Any) -> Sentinels:
    """Those of an existing pool of redis-py's ``Sentinel.master_for``. Raises `InvalidArgument` for ``slave_for``."""
    if not pool.is_master:
        raise InvalidArgument("a client of replicas cannot be used: give that of Sentinel.master_for")
    known = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    places = tuple((str(each["host"]), int(each["port"])) for each in known)
    return Sentinels(service=pool.service_name, places=places, options=dict(pool.sentinel_manager.sentinel_kwargs))


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.strip().rpartition(":") if not text.strip().endswith("]") else (text.strip(), "", "")
    host, port = (host, port) if host else (port, "")
    if not host or (port and not port.isdigit()):
        raise InvalidArgument(f"{text!r} is not the place of a Sentinel: write host:port, several with commas")
    return host.strip("[]"), int(port or DEFAULT_PORT)
