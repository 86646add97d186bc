"""JSON Web Tokens (RFC 7519) of an identity provider, as a Temporal server takes them by default.

``sub`` says who it is, ``permissions`` is a list of ``namespace:role``. The signature has to be by one of the keys of
the provider, the token in its time; audience and issuer are compared where they are given.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import jwt

from .interface import Claims, Credentials, InvalidCredentials, Role
from .permissions import claims_of, parse_permission
from .token_keys import KeySource

_LOG = logging.getLogger(__name__)

DEFAULT_ALGORITHMS = ("RS256", "ES256")
"""Those of a Temporal server."""


@dataclass(frozen=True)
class TokenRules:
    """What a token has to be. ``audience`` and ``issuer`` are not compared when they are empty."""

    audience: str = ""
    issuer: str = ""
    algorithms: Sequence[str] = DEFAULT_ALGORITHMS
    permissions_claim: str = "permissions"


class JsonWebTokens:
    """The `Authenticator` of tokens."""

    def __init__(self, keys: KeySource, rules: TokenRules | None = None) -> None:
        self._keys = keys
        self._rules = rules or TokenRules()

    async def authenticate(self, credentials: Credentials) -> Claims | None:
        """See `Authenticator.authenticate`."""
        token = credentials.bearer
        if not token:
            return None
        try:
            header = jwt.get_unverified_header(token)
            keys = await self._keys.find(str(header.get("kid", "")))
            content = self._verified(token, keys)
        except jwt.PyJWTError as error:
            raise InvalidCredentials(f"a token was refused: {error}") from error
        subject = content.get("sub")
        if not isinstance(subject, str):
            raise InvalidCredentials("a token was refused: it has no 'sub'")
        return claims_of(subject, self._permissions(content))

    def _verified(self, token: str, keys: Sequence[jwt.PyJWK]) -> dict[str, Any]:
        """The content, if one of the keys has signed it: there are several when the token names none."""
        failure: jwt.PyJWTError = jwt.InvalidTokenError("none of the provider's keys is the one that it names")
        for key in keys:
            try:
                return self._decoded(token, key)
            except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.InvalidKeyError) as error:
                failure = error
        raise failure

    def _decoded(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        rules = self._rules
        decode: Any = jwt.decode
        return decode(
            token,
            key.key,
            algorithms=[each for each in rules.algorithms if _fits(each, key)],
            audience=rules.audience or None,
            issuer=rules.issuer or None,
            options={"verify_aud": bool(rules.audience)},
        )

    def _permissions(self, content: dict[str, Any]) -> list[tuple[str, Role]]:
        given = content.get(self._rules.permissions_claim)
        found: list[tuple[str, Role]] = []
        for each in cast("list[object]", given) if isinstance(given, list) else []:
            try:
                found.append(parse_permission(str(each)))
            except ValueError as error:
                _LOG.warning("a permission of %s is ignored: %s", content.get("sub"), error)
        return found


_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP", "HS": "oct"}


def _fits(algorithm: str, key: jwt.PyJWK) -> bool:
    """Whether a key is of the kind that an algorithm needs: a public key must never be taken for a shared secret."""
    return _FAMILIES[algorithm[:2]] == key.key_type
