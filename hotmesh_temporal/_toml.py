"""The connection that the Temporal environment configuration names, if it names one.

Either the profile's address is a database URL, or the profile has a table of ours, which the SDK passes over:

    [profile.default.hotmesh]
    connection = "postgresql://…"         # or: store = "…", stream = "…", sub = "…"
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_Table = Mapping[str, Any]


def configured_connection(environ: Mapping[str, str]) -> str | _Table | None:
    """A URL, or a mapping from service to URL, or None.

    Raises:
        ValueError, RuntimeError, OSError: The configuration cannot be read.
    """
    if environ.get("TEMPORAL_ADDRESS"):
        return _if_database(environ["TEMPORAL_ADDRESS"])
    profile = _profile(environ)
    return _own_table(profile) or _if_database(str(profile.get("address") or ""))


def _profile(environ: Mapping[str, str]) -> _Table:
    path = _config_file(environ)
    if path is None:
        return {}
    profiles = _table(tomllib.loads(path.read_text()), "profile")
    return _table(profiles, environ.get("TEMPORAL_PROFILE") or "default")


def _own_table(profile: _Table) -> str | _Table | None:
    own = dict(_table(profile, "hotmesh"))
    connection = own.pop("connection", None)
    if connection is not None and own:
        raise ValueError("[profile.….hotmesh] has either a connection or the services by name, not both")
    return cast("str | None", connection) or own or None


def _config_file(environ: Mapping[str, str]) -> Path | None:
    if environ.get("TEMPORAL_CONFIG_FILE"):
        return Path(environ["TEMPORAL_CONFIG_FILE"])
    path = _config_folder(environ) / "temporalio" / "temporal.toml"
    return path if path.is_file() else None


def _config_folder(environ: Mapping[str, str]) -> Path:
    """Where the SDK looks: the user's configuration folder on this platform."""
    home = Path(environ.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(environ.get("APPDATA") or home / "AppData" / "Roaming")
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config")


def _table(of: _Table, name: str) -> _Table:
    found = of.get(name, {})
    if not isinstance(found, Mapping):
        raise ValueError(f"{name!r} must be a table")
    return cast(_Table, found)


def _if_database(address: str) -> str | None:
    return address if is_database_url(address) else None


def is_database_url(address: str) -> bool:
    """Whether what stands where a Temporal address is expected is a database; ``host:port``, ``http(s)://`` are not."""
    scheme, separator, _ = address.partition("://")
    return bool(separator) and scheme.lower() not in ("http", "https")
