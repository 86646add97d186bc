"""Certificates of the served ports: checked before they are used, and read again when their files change."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

_LOG = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


class InvalidTls(ValueError):
    """The certificates cannot be used. The text names the file, and says what to do."""


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of a server.

    ``certificate``: the server's own, followed by those that lead to its authority. ``key``: its private key, without
    a password. ``client_ca``: when given, each client must show a certificate that one of these authorities signed.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def stamp(self) -> _Stamp:
        """What changes whenever a file is written or replaced. Raises `OSError` if one is gone."""
        paths = (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))
        return tuple((at.st_mtime_ns, at.st_size, at.st_ino) for at in map(os.stat, paths))


@dataclass(frozen=True)
class Certificates:
    """The contents of `TlsFiles`, found to fit together."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None
    context: ssl.SSLContext


def load(files: TlsFiles) -> Certificates:
    """Read the files and check them. Raises `InvalidTls`."""
    certificate = _read(files.certificate, "--tls-cert")
    key = _read(files.key, "--tls-key")
    client_ca = _read(files.client_ca, "--tls-client-ca") if files.client_ca else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_pair(context, files)
    if files.client_ca:
        _load_authorities(context, files.client_ca)
    return Certificates(certificate, key, client_ca, context)


class WatchedCertificates:
    """The certificates of some files; whoever asks gets those that the files have now.

    A renewal that cannot be used (half written, or a key that does not fit) is logged once, and the last good one
    stays. Raises `InvalidTls` if there is no good one to begin with.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._current = load(files)
        self._seen = self._stamp()

    def current(self) -> Certificates:
        """The certificates to use for the next connection."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            self._renew()
        return self._current

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For grpcio, which asks for the certificates at each connection."""
        given = self._current
        first = _grpc_configuration(given)

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            current = self.current()
            if current is given:
                return None
            given = current
            return _grpc_configuration(current)

        required = self._files.client_ca is not None
        create: Callable[..., grpc.ServerCredentials] = grpc.dynamic_ssl_server_credentials
        return create(first, fetch, require_client_authentication=required)

    def ssl_context(self) -> ssl.SSLContext:
        """For servers of the standard library's kind. Each handshake goes on with the certificates of its time."""
        outer = load(self._files).context

        def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
            del name, context
            connection.context = self.current().context

        outer.sni_callback = choose
        return outer

    def _stamp(self) -> _Stamp:
        try:
            return self._files.stamp()
        except OSError:
            return ()

    def _renew(self) -> None:
        try:
            self._current = load(self._files)
        except InvalidTls as error:
            _LOG.warning("the changed certificates are not used: %s", error)
        else:
            _LOG.info("the certificates in %s were read again", self._files.certificate)


def _grpc_configuration(certificates: Certificates) -> grpc.ServerCertificateConfiguration:
    create: Callable[..., grpc.ServerCertificateConfiguration] = grpc.ssl_server_certificate_configuration
    return create([(certificates.key, certificates.certificate)], root_certificates=certificates.client_ca)


def _read(path: Path, option: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidTls(f"{option}: there is no file {path}") from error
    except PermissionError as error:
        raise InvalidTls(f"{option}: this process may not read {path}; check its owner and mode") from error
    except OSError as error:
        raise InvalidTls(f"{option}: {path} cannot be read: {error.strerror}") from error
    if b"-----BEGIN" not in content:
        raise InvalidTls(f"{option}: {path} is not a PEM file (one with '-----BEGIN …' lines)")
    return content


def _load_pair(context: ssl.SSLContext, files: TlsFiles) -> None:
    def no_password() -> str:
        raise InvalidTls(f"--tls-key: {files.key} is encrypted; give a key without a password")

    try:
        context.load_cert_chain(files.certificate, files.key, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InvalidTls(
                f"the key in {files.key} does not belong to the certificate in {files.certificate}"
            ) from error
        raise InvalidTls(f"{files.certificate} and {files.key} cannot be used: {_reason(error)}") from error


def _load_authorities(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise InvalidTls(f"--tls-client-ca: {path} holds no usable certificate: {_reason(error)}") from error
    context.verify_mode = ssl.CERT_REQUIRED


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
