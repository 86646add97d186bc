"""The options of ``hotmesh-temporal server`` that say who may reach the port, and how."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hotmesh_temporal.authorization.files import InvalidAccess
from hotmesh_temporal.transport.interface import Frontend, Gate, Listener
from hotmesh_temporal.transport.tls import TlsFiles, WatchedCertificates

from .groups import option

_Command = TypeVar("_Command", bound=Callable[..., object])

if TYPE_CHECKING:
    from hotmesh_temporal.authorization import Authenticator
    from hotmesh_temporal.authorization.token_keys import KeySource

_HTTP = "HTTP"
_TLS = "Encryption"
_WHO = "Who may do what (without any of these, everybody may do everything)"
# With HS256 whoever can check a token can also make one, so it is for those who ask for it.
_ALGORITHMS = ["RS256", "ES256", "RS384", "RS512", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA", "HS256"]


@dataclass(frozen=True)
class Access:
    """The values of these options, as they were given."""

    http_port: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    api_keys: Path | None = None
    jwt_keys: str | None = None
    jwt_audience: str = ""
    jwt_issuer: str = ""
    jwt_algorithm: tuple[str, ...] = ()
    jwt_permissions_claim: str = "permissions"
    authenticator: str | None = None
    authorizer: str | None = None

    def certificates(self) -> WatchedCertificates | None:
        """The certificates to serve with; None for a port that is not encrypted. Raises `transport.tls.InvalidTls`."""
        if self.tls_cert is None or self.tls_key is None:
            if self.tls_cert or self.tls_key or self.tls_client_ca:
                raise click.UsageError("--tls-cert and --tls-key are given together (--tls-client-ca needs both)")
            return None
        return WatchedCertificates(TlsFiles(self.tls_cert, self.tls_key, self.tls_client_ca))

    def http_listener(
        self, frontend: Frontend, host: str, certificates: WatchedCertificates | None, gate: Gate | None
    ) -> Listener | None:
        """What serves HTTP and JSON; None if that was not asked for. Raises `InvalidAccess`."""
        if self.http_port is None:
            return None
        try:
            from hotmesh_temporal.http_api.listener import HttpListener
        except ImportError as error:
            raise InvalidAccess("--http-port needs aiohttp: pip install 'hotmesh-temporal[server]'") from error
        return HttpListener(frontend, host=host, port=self.http_port, certificates=certificates, gate=gate)

    async def gate(self) -> Gate | None:
        """What requests have to pass; None if everybody may do everything. Raises `InvalidAccess`."""
        if not (self.api_keys or self.jwt_keys or self.authenticator or self.authorizer):
            return None
        from hotmesh_temporal.authorization.gate import Gate as RoleGate

        own = _made("--authorizer", self.authorizer) if self.authorizer else None
        return RoleGate(await self._authenticators(), own)

    async def _authenticators(self) -> list[Authenticator]:
        found: list[Authenticator] = []
        if self.authenticator:
            found.append(_made("--authenticator", self.authenticator))
        if self.api_keys:
            from hotmesh_temporal.authorization.api_keys import ApiKeys

            found.append(ApiKeys(self.api_keys))
        if self.jwt_keys:
            found.append(await self._tokens(self.jwt_keys))
        return found

    async def _tokens(self, where: str) -> Authenticator:
        try:
            from hotmesh_temporal.authorization import json_web_tokens, token_keys
        except ImportError as error:
            raise InvalidAccess("--jwt-keys needs PyJWT: pip install 'hotmesh-temporal[server]'") from error
        keys: KeySource
        if "://" in where:
            keys = token_keys.KeyUrl(where)
            await keys.load()
        else:
            keys = token_keys.KeyFile(Path(where))
        algorithms = self.jwt_algorithm or json_web_tokens.DEFAULT_ALGORITHMS
        rules = json_web_tokens.TokenRules(self.jwt_audience, self.jwt_issuer, algorithms, self.jwt_permissions_claim)
        return json_web_tokens.JsonWebTokens(keys, rules)


def _made(option: str, name: str) -> Any:
    """An object of the user's class ``package.module:Class``, also of a module in the working directory."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise InvalidAccess(f"{option}: {name} is not of the form package.module:Class")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        raise InvalidAccess(f"{option}: {name} cannot be made: {error}") from error


_OPTIONS = (
    option(
        _HTTP,
        "--http-port",
        type=click.IntRange(0, 65535),
        metavar="PORT",
        help="Serve HTTP and JSON there; 0 picks one.",
    ),
    option(_TLS, "--tls-cert", type=Path, metavar="FILE", help="PEM certificate of this server; clients then use TLS."),
    option(_TLS, "--tls-key", type=Path, metavar="FILE", help="Its private key, without a password."),
    option(_TLS, "--tls-client-ca", type=Path, metavar="FILE", help="Require client certificates of this authority."),
    option(_WHO, "--api-keys", type=Path, metavar="FILE", help="TOML file of `hotmesh-temporal api-key new`."),
    option(_WHO, "--jwt-keys", metavar="URL|FILE", help="Keys of JSON Web Tokens: a JWKS, or a PEM public key."),
    option(_WHO, "--jwt-audience", default="", metavar="TEXT", help="What 'aud' of a token has to be."),
    option(_WHO, "--jwt-issuer", default="", metavar="TEXT", help="What 'iss' of a token has to be."),
    option(
        _WHO,
        "--jwt-algorithm",
        type=click.Choice(_ALGORITHMS),
        metavar="NAME",
        multiple=True,
        help="May be given several times.  [default: RS256 and ES256]",
    ),
    option(
        _WHO,
        "--jwt-permissions-claim",
        default="permissions",
        show_default=True,
        metavar="NAME",
        help="Where a token has its permissions, such as orders:write.",
    ),
    option(_WHO, "--authenticator", metavar="MODULE:CLASS", help="Your own class that says who a caller is."),
    option(_WHO, "--authorizer", metavar="MODULE:CLASS", help="Your own class that says what a caller may do."),
)


def access_options(command: _Command) -> _Command:
    """Add them; `Access(**values)` takes their values."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command
