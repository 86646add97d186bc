"""API keys, and client certificates by their common name: who they are is in a TOML file.

    [[key]]
    name = "orders"
    hash = "sha256:9f86d081884c7d65…"
    permissions = ["orders:write"]
    expires = 2027-01-31T00:00:00Z          # if it shall end by itself

    [[certificate]]
    common_name = "billing-worker"
    permissions = ["billing:worker"]

The file has no key, only their hashes. That of a random key of 256 bits cannot be turned back, so it needs no salt and
no slow function. Keys are made by ``hotmesh-temporal api-key new``.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, cast

from .files import WatchedFile
from .interface import Claims, Credentials, InvalidCredentials, Role
from .permissions import claims_of, parse_permission

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX = "hmk_"
"""What every key begins with, so that it is known as one, here and by those who look for keys in the wrong places."""

_RANDOM_BYTES = 32
_HASH = "sha256:"
_SIZE = len(_HASH) + 64


def new_key() -> str:
    """A key that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def hash_of(key: str) -> str:
    """What the file has instead of the key."""
    return _HASH + hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """One key or certificate. ``name``: the subject of the claims."""

    name: str
    claims: Claims
    expires: datetime | None = None

    def check(self) -> Claims:
        """The claims. Raises `InvalidCredentials` if its time is over."""
        if self.expires is not None and datetime.now(timezone.utc) >= self.expires:
            raise InvalidCredentials(f"{self.name} has expired on {self.expires:%Y-%m-%d %H:%M} UTC")
        return self.claims


@dataclass(frozen=True)
class Entries:
    """What a file says: the keys by their hash, the certificates by their common name."""

    keys: dict[str, Entry] = field(default_factory=dict[str, Entry])
    certificates: dict[str, Entry] = field(default_factory=dict[str, Entry])


class ApiKeys:
    """The `Authenticator` of the keys and certificates of a file. Raises `InvalidAccess` if it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, parse)

    async def authenticate(self, credentials: Credentials) -> Claims | None:
        """See `Authenticator.authenticate`."""
        entries = self._file.current()
        if credentials.bearer.startswith(PREFIX):
            entry = entries.keys.get(hash_of(credentials.bearer))
            if entry is None:
                raise InvalidCredentials("there is no such API key")
            return entry.check()
        if credentials.certificate and not credentials.authorization:
            entry = entries.certificates.get(credentials.common_name)
            return entry and entry.check()
        return None


def parse(content: bytes) -> Entries:
    """Understand a file. Raises `ValueError`."""
    table = tomllib.loads(content.decode())
    unknown = set(table) - {"key", "certificate"}
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]!r} is not known; there are [[key]] and [[certificate]]")
    entries = Entries()
    for number, given in enumerate(_tables(table, "key"), 1):
        where = f"[[key]] number {number}"
        _insert(entries.keys, _hash(given, where), _entry(given, "name", where, {"hash"}), where)
    for number, given in enumerate(_tables(table, "certificate"), 1):
        where = f"[[certificate]] number {number}"
        entry = _entry(given, "common_name", where, set())
        _insert(entries.certificates, entry.name, entry, where)
    return entries


def _insert(entries: dict[str, Entry], key: str, entry: Entry, where: str) -> None:
    if key in entries:
        raise ValueError(f"{where} is there twice: the other is {entries[key].name!r}")
    entries[key] = entry


def _tables(table: dict[str, Any], name: str) -> list[dict[str, Any]]:
    given = table.get(name, [])
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in cast("list[object]", given)):
        raise ValueError(f"{name} has to be written as [[{name}]]")
    return cast("list[dict[str, Any]]", given)


def _entry(given: dict[str, Any], name: str, where: str, more: set[str]) -> Entry:
    unknown = set(given) - {name, "permissions", "expires", *more}
    if unknown:
        raise ValueError(f"{where} has {sorted(unknown)[0]!r}, which is not known")
    subject = given.get(name)
    if not isinstance(subject, str) or not subject:
        raise ValueError(f"{where} needs a {name}")
    return Entry(subject, claims_of(subject, _permissions(given, where)), _expires(given, where))


def _permissions(given: dict[str, Any], where: str) -> list[tuple[str, Role]]:
    texts = given.get("permissions")
    if not isinstance(texts, list) or not texts:
        raise ValueError(f'{where} needs permissions, such as ["orders:write"]')
    try:
        return [parse_permission(str(each)) for each in cast("list[object]", texts)]
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _expires(given: dict[str, Any], where: str) -> datetime | None:
    value = given.get("expires")
    if value is None:
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    raise ValueError(f"{where}: expires has to be a date without quotes, such as 2027-01-31T00:00:00Z")


def _hash(given: dict[str, Any], where: str) -> str:
    value = given.get("hash")
    if not isinstance(value, str) or not value.startswith(_HASH) or len(value) != _SIZE:
        raise ValueError(f"{where} needs a hash, as `hotmesh-temporal api-key new` prints it")
    return value
