"""TLS of the served port: what clients see, renewals without a restart, and what is said of files that do not do."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import TLSConfig

from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.transport.grpc_server import GrpcListener
from hotmesh_temporal.transport.tls import InvalidTls, TlsFiles, WatchedCertificates
from tests.support.certificates import Authority, Pair
from tests.support.echo_frontend import EchoFrontend, NoBackend

COMMAND = str(Path(sys.executable).with_name("hotmesh-temporal"))
NOBODY = 65534
EMPTY_PEM = b"-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> TlsFiles:
    certificate, key = authority.server().write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    return TlsFiles(certificate, key, tmp_path / "ca.pem")


@pytest.fixture
async def address(files: TlsFiles) -> AsyncIterator[str]:
    """A port that requires client certificates."""
    frontend = EchoFrontend(NoBackend(ConnectionSpec("echo", url="echo:")))
    listener = GrpcListener(frontend, certificates=WatchedCertificates(files))
    yield await listener.start()
    await listener.close()


async def version(address: str, tls: TLSConfig | bool) -> str:
    """What the server says that it is. `RuntimeError` if there is no connection."""
    client = await asyncio.wait_for(Client.connect(address, tls=tls), 20)
    return (await client.workflow_service.get_system_info(GetSystemInfoRequest())).server_version


def config(authority: Authority, client: Pair | None = None) -> TLSConfig:
    return TLSConfig(
        server_root_ca_cert=authority.pem,
        client_cert=client and client.certificate,
        client_private_key=client and client.key,
    )


async def test_a_client_with_a_certificate_of_the_authority_comes_in(address: str, authority: Authority) -> None:
    assert await version(address, config(authority, authority.client("orders"))) == "echo"


@pytest.mark.parametrize("who", ["nobody", "stranger", "plain"])
async def test_others_do_not(address: str, authority: Authority, who: str) -> None:
    stranger = Authority("elsewhere").client("orders")
    tls = {"nobody": config(authority), "stranger": config(authority, stranger), "plain": False}[who]
    with pytest.raises(RuntimeError, match="connect"):
        await version(address, tls)


async def served_serial(address: str, authority: Authority, client: Path, key: Path) -> int:
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(client, key)
    host, port = address.split(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
    der = shown.getpeercert(binary_form=True)
    writer.close()
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


async def test_renewed_certificates_are_used_without_a_restart(
    address: str, files: TlsFiles, authority: Authority, tmp_path: Path
) -> None:
    client = authority.client("orders").write(tmp_path, "client")
    first = await served_serial(address, authority, *client)
    renewed = authority.server()
    renewed.write(tmp_path, "next")
    # As renewals do it: both are replaced whole, but not at the same moment.
    os.replace(tmp_path / "next.pem", files.certificate)
    assert await served_serial(address, authority, *client) == first
    os.replace(tmp_path / "next.key", files.key)
    second = await served_serial(address, authority, *client)
    assert second == x509.load_pem_x509_certificate(renewed.certificate).serial_number != first


def refused(files: TlsFiles) -> str:
    with pytest.raises(InvalidTls) as caught:
        WatchedCertificates(files)
    return str(caught.value)


def test_files_that_do_not_do_are_told_apart(files: TlsFiles, authority: Authority, tmp_path: Path) -> None:
    other = authority.server().write(tmp_path, "other")[1]
    assert "does not belong to the certificate" in refused(TlsFiles(files.certificate, other))
    assert "there is no file" in refused(TlsFiles(tmp_path / "gone.pem", files.key))
    assert "cannot be read: Is a directory" in refused(TlsFiles(tmp_path, files.key))
    text = tmp_path / "text.pem"
    text.write_text("hello")
    assert "is not a PEM file" in refused(TlsFiles(text, files.key))
    text.write_bytes(EMPTY_PEM)
    assert "cannot be used: " in refused(TlsFiles(text, files.key))
    assert "holds no usable certificate" in refused(TlsFiles(files.certificate, files.key, text))
    secret = serialization.load_pem_private_key(files.key.read_bytes(), None)
    locked = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    text.write_bytes(locked)
    assert "is encrypted" in refused(TlsFiles(files.certificate, text))


def test_a_file_that_may_not_be_read_is_said_to_be_so(files: TlsFiles) -> None:
    files.key.chmod(0)
    user = os.geteuid()
    # Root may read every file, so the test is somebody else meanwhile.
    os.seteuid(user or NOBODY)
    try:
        assert "may not read" in refused(files)
    finally:
        os.seteuid(user)


def test_the_server_says_what_is_wrong_and_ends(files: TlsFiles, tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        command = [COMMAND, "server", "--port", "0", "--connection", f"sqlite:///{tmp_path}/x.sqlite3", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stderr

    code, text = run("--tls-cert", str(files.certificate), "--tls-key", str(tmp_path / "gone.key"))
    assert (code, text) == (1, f"Error: --tls-key: there is no file {tmp_path}/gone.key\n")
    code, text = run("--tls-cert", str(files.certificate))
    assert (code, "--tls-cert and --tls-key are given together" in text) == (2, True)


async def test_the_temporal_cli_and_the_sdk_use_the_encrypted_port(
    files: TlsFiles, authority: Authority, tmp_path: Path
) -> None:
    client = authority.client("orders")
    certificate, key = client.write(tmp_path, "client")
    tls = ("--tls-cert", str(files.certificate), "--tls-key", str(files.key), "--tls-client-ca", str(files.client_ca))
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "server", "--port", "0", "--connection", f"sqlite:///{tmp_path}/tls.sqlite3", *tls),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    address = (await asyncio.wait_for(process.stdout.readline(), 30)).split()[2].decode()
    try:
        connected = await Client.connect(address, tls=config(authority, client))
        await connected.start_workflow("Anything", id="seen", task_queue="none")
        shown = ("--tls-ca-path", str(files.client_ca), "--tls-cert-path", str(certificate), "--tls-key-path", str(key))
        assert "Anything" in await temporal("workflow", "list", "--address", address, *shown)
        with pytest.raises(subprocess.CalledProcessError):
            await temporal("workflow", "list", "--address", address, "--command-timeout", "2s")
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def temporal(*arguments: str) -> str:
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    assert found, "the temporal command is part of the test requirements"
    command = [found, *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True, timeout=30)
    return str(done.stdout)
