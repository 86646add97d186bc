"""The options of ``hotmesh-temporal server`` that say who may reach the port, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from hotmesh_temporal.transport.tls import TlsFiles, WatchedCertificates

from .groups import option

_Command = TypeVar("_Command", bound=Callable[..., object])

_TLS = "Encryption"


@dataclass(frozen=True)
class Access:
    """The values of these options, as they were given."""

    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None

    def certificates(self) -> WatchedCertificates | None:
        """The certificates to serve with; None for a port that is not encrypted. Raises `transport.tls.InvalidTls`."""
        if self.tls_cert is None or self.tls_key is None:
            if self.tls_cert or self.tls_key or self.tls_client_ca:
                raise click.UsageError("--tls-cert and --tls-key are given together (--tls-client-ca needs both)")
            return None
        return WatchedCertificates(TlsFiles(self.tls_cert, self.tls_key, self.tls_client_ca))


_OPTIONS = (
    option(_TLS, "--tls-cert", type=Path, metavar="FILE", help="PEM certificate of this server; clients then use TLS."),
    option(_TLS, "--tls-key", type=Path, metavar="FILE", help="Its private key, without a password."),
    option(_TLS, "--tls-client-ca", type=Path, metavar="FILE", help="Require client certificates of this authority."),
)


def access_options(command: _Command) -> _Command:
    """Add them; `Access(**values)` takes their values."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command
