"""The keys that tokens are signed with: a JWKS (RFC 7517) by URL or file, or a PEM file with one public key."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.error import URLError

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt import algorithms

from .files import InvalidAccess, WatchedFile

_LOG = logging.getLogger(__name__)

_REFRESH_SECONDS = 300.0
_AGAIN_SECONDS = 10.0
_TIMEOUT_SECONDS = 10.0
_MAX_BYTES = 1 << 20


class KeySource(Protocol):
    """Where keys are."""

    async def find(self, key_id: str) -> Sequence[jwt.PyJWK]:
        """The keys of this id; all of them if it is empty."""
        ...


class KeyFile:
    """The keys of a file, read again when it changes. Raises `InvalidAccess` if it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, parse_keys)

    async def find(self, key_id: str) -> Sequence[jwt.PyJWK]:
        """See `KeySource.find`. A single key without an id is meant by every id."""
        keys = self._file.current()
        if len(keys) == 1 and keys[0].key_id is None:
            return keys
        return _chosen(keys, key_id)


class KeyUrl:
    """The keys of a URL. They are asked for again from time to time, and when a token names one that is not known.

    What was known stays in force while the URL cannot be reached. Call `load` first.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(("https://", "http://")):
            raise InvalidAccess(f"{url} is neither an http(s) URL nor a file")
        self._url = url
        self._keys: Sequence[jwt.PyJWK] = ()
        self._asked_at = 0.0
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Ask for them now. Raises `InvalidAccess` if they cannot be had."""
        self._asked_at = time.monotonic()
        self._keys = await asyncio.to_thread(_fetch, self._url)

    async def find(self, key_id: str) -> Sequence[jwt.PyJWK]:
        """See `KeySource.find`."""
        found = _chosen(self._keys, key_id)
        if self._is_due(found):
            async with self._lock:
                if self._is_due(_chosen(self._keys, key_id)):
                    await self._reload()
            found = _chosen(self._keys, key_id)
        return found

    def _is_due(self, found: Sequence[jwt.PyJWK]) -> bool:
        return time.monotonic() - self._asked_at > (_REFRESH_SECONDS if found else _AGAIN_SECONDS)

    async def _reload(self) -> None:
        try:
            await self.load()
        except InvalidAccess as error:
            _LOG.warning("the keys of tokens could not be read again: %s", error)


def _chosen(keys: Sequence[jwt.PyJWK], key_id: str) -> Sequence[jwt.PyJWK]:
    return [each for each in keys if not key_id or each.key_id == key_id]


def _fetch(url: str) -> Sequence[jwt.PyJWK]:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            content = response.read(_MAX_BYTES)
    except (URLError, OSError) as error:
        raise InvalidAccess(f"{url} cannot be read: {getattr(error, 'reason', error)}") from error
    try:
        return parse_keys(content)
    except ValueError as error:
        raise InvalidAccess(f"{url}: {error}") from error


def parse_keys(content: bytes) -> Sequence[jwt.PyJWK]:
    """Understand a JWKS, a public key or a certificate. Raises `ValueError`."""
    if b"-----BEGIN" in content:
        return [_of_pem(content)]
    try:
        given: Any = json.loads(content)
        listed = list(given["keys"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("it is neither a JWKS (JSON with 'keys') nor a PEM file") from error
    found = [key for key in map(_of_jwk, listed) if key is not None]
    if not found:
        raise ValueError("it has no key to verify signatures with")
    return found


def _of_jwk(given: Any) -> jwt.PyJWK | None:
    """A key; None for one that is for something else, or of a kind that is not known."""
    if not isinstance(given, dict):
        return None
    key = cast("dict[str, Any]", given)
    if key.get("use", "sig") != "sig":
        return None
    try:
        return jwt.PyJWK.from_dict(key)
    except jwt.PyJWTError as error:
        _LOG.info("a key of a JWKS is passed over: %s", error)
        return None


def _of_pem(content: bytes) -> jwt.PyJWK:
    try:
        if b"BEGIN CERTIFICATE" in content:
            key = load_pem_x509_certificate(content).public_key()
        else:
            key = load_pem_public_key(content)
    except ValueError as error:
        raise ValueError("it has no public key that can be read; a private key does not belong here") from error
    return jwt.PyJWK.from_dict(_jwk_of(key))


def _jwk_of(key: object) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPublicKey):
        return algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return algorithms.ECAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return algorithms.OKPAlgorithm.to_jwk(key, as_dict=True)
    raise ValueError("its key is neither RSA nor EC nor Ed25519")
