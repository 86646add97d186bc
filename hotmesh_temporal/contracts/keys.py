"""Keys: where HotMesh's data lives. Pure functions; a key is ``<namespace>:<app>:<letter>:<id>``.

The last part of a key is kept as it is (ids may hold colons); every part before it has ``%`` and ``:`` escaped, so that
two different sets of parameters never give the same key of one type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .errors import InvalidArgument, NotInitialized
from .types import KeyParams, KeyType

RESERVED_APP_ID = "a"
"""The letter that app records live under; an app of this name would mix with them."""


class ParsedKey(NamedTuple):
    """Parts of a key. ``letter`` and ``id`` are empty where a key has none; ``id`` is as it stands in the key."""

    namespace: str
    app_id: str
    letter: str
    id: str


def escape_part(part: str) -> str:
    """Make a part safe to stand before a colon."""
    return part.replace("%", "%25").replace(":", "%3A")


def unescape_part(part: str) -> str:
    """Undo `escape_part`."""
    return part.replace("%3A", ":").replace("%25", "%")


def _time(params: KeyParams) -> str:
    return "" if params.time_value is None else str(params.time_value)


def _stats(params: KeyParams) -> str:
    return f"s:{escape_part(params.job_key)}:{escape_part(params.date_time)}"


def _stats_facet(params: KeyParams) -> str:
    return f"{_stats(params)}:{params.facet}"


def _version(name: str) -> Callable[[KeyParams], str]:
    return lambda params: f"v:{escape_part(params.app_version)}:{name}"


_SUFFIXES: dict[KeyType, Callable[[KeyParams], str]] = {
    KeyType.THROTTLE_RATE: lambda _: "r:",
    KeyType.WORK_ITEMS: lambda params: f"w:{params.scout_type}",
    KeyType.TIME_RANGE: lambda params: f"t:{_time(params)}",
    KeyType.QUORUM: lambda params: f"q:{params.engine_id or params.topic}",
    KeyType.JOB_STATE: lambda params: f"j:{params.job_id}",
    KeyType.JOB_DEPENDENTS: lambda params: f"d:{params.job_id}",
    KeyType.JOB_STATS_GENERAL: _stats,
    KeyType.JOB_STATS_MEDIAN: _stats_facet,
    KeyType.JOB_STATS_INDEX: _stats_facet,
    KeyType.SCHEMAS: _version("schemas"),
    KeyType.SUBSCRIPTIONS: _version("subscriptions"),
    KeyType.SUBSCRIPTION_PATTERNS: _version("transitions"),
    KeyType.HOOKS: lambda _: "hooks",
    KeyType.SIGNALS: lambda _: "signals",
    KeyType.SYMKEYS: lambda params: f"sym:keys:{params.activity_id}",
    KeyType.SYMVALS: lambda _: "sym:vals:",
    KeyType.STREAMS: lambda params: f"x:{params.topic}",
}


def validate_names(namespace: str, app_id: str) -> None:
    """Raise `InvalidArgument` unless both may stand in a key: not empty, no colon, app not the reserved ``a``."""
    if not namespace or ":" in namespace:
        raise InvalidArgument(f"namespace {namespace!r} must not be empty and must not contain ':'")
    if not app_id or ":" in app_id or app_id == RESERVED_APP_ID:
        raise InvalidArgument(f"app id {app_id!r} must not be empty, must not contain ':' and must not be 'a'")


def mint_key(namespace: str, app_id: str, key_type: KeyType, params: KeyParams) -> str:
    """The key of ``key_type`` for ``params``; ``params.app_id``, where given, wins over ``app_id``.

    Raises `NotInitialized` without a namespace, `InvalidArgument` for names that `validate_names` refuses.
    """
    if not namespace:
        raise NotInitialized("the namespace is not set: call init first")
    app_id = params.app_id or app_id
    if key_type is KeyType.HOTMESH:
        validate_names(namespace, app_id or "-")
        return namespace
    validate_names(namespace, app_id)
    if key_type is KeyType.APP:
        return f"{namespace}:{RESERVED_APP_ID}:{app_id}"
    return f"{namespace}:{app_id}:{_SUFFIXES[key_type](params)}"


def parse_key(key: str) -> ParsedKey:
    """Split a key into its parts; only the first three colons separate. ``ns:a:<app>`` is the record of an app."""
    parts = [*key.split(":", 3), "", "", ""]
    namespace, app_id, letter, rest = parts[:4]
    if app_id == RESERVED_APP_ID:
        return ParsedKey(namespace, letter, RESERVED_APP_ID, "")
    return ParsedKey(namespace, app_id, letter, rest)


def stats_bucket_key(facet_key: str) -> str:
    """The `JOB_STATS_GENERAL` key of the bucket that an index or median key belongs to."""
    return ":".join(facet_key.split(":")[:5])


def signal_target(topic: str, resolved: str) -> str:
    """The ``target`` of ``delist_signal_key`` for a hook signal."""
    return f"{escape_part(topic)}:{resolved}"


def parse_signal_target(target: str) -> tuple[str, str]:
    """``(topic, resolved)`` of a `signal_target`."""
    topic, _, resolved = target.partition(":")
    return unescape_part(topic), resolved
