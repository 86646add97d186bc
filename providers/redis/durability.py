"""What the server promises to keep: asked when a connection is opened, as Redis can be set up to forget."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from hotmesh_temporal.contracts.errors import Unavailable

from .driver import exceptions
from .pool import Pool

log = logging.getLogger(__name__)

OLDEST = (6, 2)
"""The oldest version whose commands the scripts use (LMOVE, exclusive ranges of streams)."""

_SEARCH_MODULE = "^module:name=(ft|search|searchlight),"

_SETTINGS = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy", "save")


async def check(pool: Pool, place: str, wait_replicas: int) -> bool:
    """Refuse a server that is too old or may evict, warn of one that may lose writes. True: it is part of a cluster."""
    reply = await pool.execute("INFO")
    info = _parse(reply)
    check_version(info, place)
    if re.search(_SEARCH_MODULE, _text(reply), re.MULTILINE):
        log.debug("Redis at %s has the search module, which is not used: our own index is kept in the commit", place)
    config = await configuration(pool)
    check_eviction(config, info, place)
    check_replicas(info, wait_replicas, place)
    for warning in [*warnings(config, info), *replication_warnings(info, wait_replicas)]:
        log.warning("Redis at %s: %s", place, warning)
    return info.get("cluster_enabled") == "1"


def check_version(info: Mapping[str, str], place: str) -> None:
    """Raise `Unavailable` for a server without the commands that the scripts use."""
    version = info.get("redis_version", "0")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        raise Unavailable(f"Redis at {place} is version {version}: 6.2 or newer is needed (or Valkey); upgrade it")


async def information(pool: Pool) -> dict[str, str]:
    """What INFO says."""
    return _parse(await pool.execute("INFO"))


async def configuration(pool: Pool) -> dict[str, str]:
    """The settings that matter; those that may not be read are missing."""
    found: dict[str, str] = {}
    for name in _SETTINGS:
        try:
            reply = await pool.execute("CONFIG", "GET", name)
        except exceptions.ResponseError:
            # Managed services forbid CONFIG; INFO tells some of it.
            return {}
        found |= {key.decode(): value.decode() for key, value in zip(reply[::2], reply[1::2], strict=True)}
    return found


def check_eviction(config: Mapping[str, str], info: Mapping[str, str], place: str) -> None:
    """Raise `Unavailable` if the server may throw keys away when its memory is full."""
    limit = config.get("maxmemory", info.get("maxmemory", "0"))
    policy = config.get("maxmemory-policy", info.get("maxmemory_policy", "noeviction"))
    if limit != "0" and policy != "noeviction":
        raise Unavailable(
            f"Redis at {place} throws keys away when its memory is full (maxmemory {limit}, maxmemory-policy {policy}) "
            "and would lose workflows without a word: set maxmemory-policy to noeviction, or use another server"
        )


def check_replicas(info: Mapping[str, str], wait_replicas: int, place: str) -> None:
    """Raise `Unavailable` if there are fewer replicas than commits shall wait for."""
    found = int(info.get("connected_slaves", "0"))
    if found < wait_replicas:
        raise Unavailable(
            f"Redis at {place} has {found} replicas, and commits are to wait for {wait_replicas}: start them, or lower "
            "the option wait_replicas"
        )


def replication_warnings(info: Mapping[str, str], wait_replicas: int) -> list[str]:
    """What a failover can lose, in words."""
    if wait_replicas or info.get("connected_slaves", "0") == "0":
        return []
    return [
        "it has replicas, and no commit waits for them: a failover can take the last commits that workers and clients "
        "were told of; set the option wait_replicas (to 1) if none may be lost"
    ]


def warnings(config: Mapping[str, str], info: Mapping[str, str]) -> list[str]:
    """What can be lost, in words."""
    if not config:
        if info.get("aof_enabled") == "1":
            return [
                "CONFIG may not be used, so that it could not be checked whether writes are synced to the disk at once "
                "(appendfsync); with everysec a crash of the machine can take the last second of commits"
            ]
        return [f"CONFIG may not be used; INFO says that there is no append-only file: {_NO_FILE}"]
    if config.get("appendonly") != "yes":
        return [f"appendonly is no: {_NO_FILE}{_SNAPSHOTS if config.get('save') else ''}"]
    if config.get("appendfsync") == "everysec":
        return [
            "appendfsync is everysec: a crash of the machine can take the last second of commits that workers and "
            "clients were told of (a crash of the server's process alone takes nothing); for none set it to always"
        ]
    if config.get("appendfsync") == "no":
        return [
            "appendfsync is no: a crash of the machine can take all commits that the operating system had not written "
            "yet, about 30 seconds; set it to everysec or always"
        ]
    return []


_NO_FILE = (
    "whatever was committed since the last snapshot is lost when the server stops without one; set appendonly yes, and "
    "appendfsync always if no commit may be lost"
)
_SNAPSHOTS = " (there are snapshots, by the setting save)"


def _parse(reply: Any) -> dict[str, str]:
    pairs = (line.partition(":") for line in _text(reply).splitlines() if ":" in line)
    return {name: value.strip() for name, _, value in pairs}


def _text(reply: Any) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)
