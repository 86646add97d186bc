"""``hotmesh-temporal server`` with keys: the SDK, the temporal CLI, certificates as identities, own classes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from temporalio import workflow
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode, TLSConfig
from temporalio.worker import Worker

from hotmesh_temporal import authorization
from hotmesh_temporal.authorization.api_keys import hash_of, new_key
from hotmesh_temporal.authorization.files import InvalidAccess
from hotmesh_temporal.authorization.methods import path_of
from hotmesh_temporal.cli.access import Access
from hotmesh_temporal.errors import Code, RpcError
from hotmesh_temporal.transport.inspection import open_handlers, reflection
from hotmesh_temporal.transport.interface import Peer
from tests.quorum.conftest import engine_on
from tests.support.certificates import Authority

COMMAND = str(Path(sys.executable).with_name("hotmesh-temporal"))

OWN_CLASSES = '''
from hotmesh_temporal.authorization import Access, Claims, Decision


class ByHeader:
    """Trusts a proxy that says who it is."""

    async def authenticate(self, credentials):
        name = credentials.metadata.get("x-user")
        return Claims(str(name)) if name else None


class OnlyAda:
    async def authorize(self, claims, target):
        if target.access is Access.OPEN or (claims and claims.subject == "ada"):
            return Decision(True)
        return Decision(False, "you are not Ada")
'''


@workflow.defn(sandboxed=False)
class Nothing:
    @workflow.run
    async def run(self) -> str:
        return "done"


@asynccontextmanager
async def served(folder: Path, *arguments: str) -> AsyncGenerator[str]:
    """The address of a server."""
    command = [COMMAND, "server", "--port", "0", "--connection", f"sqlite:///{folder}/x.sqlite3", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=folder)
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 30)).split()[2].decode()
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


def temporal(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    assert found, "the temporal command is part of the test requirements"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    return subprocess.run([found, *arguments], capture_output=True, text=True, timeout=30, check=False, env=environment)


async def test_an_application_with_a_key_and_one_with_a_certificate(tmp_path: Path) -> None:
    authority, writer, worker = Authority(), new_key(), new_key()
    certificate, key = authority.server().write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "keys.toml").write_text(
        f'[[key]]\nname = "w"\nhash = "{hash_of(writer)}"\npermissions = ["default:write"]\n'
        f'[[key]]\nname = "k"\nhash = "{hash_of(worker)}"\npermissions = ["default:worker"]\n'
        '[[certificate]]\ncommon_name = "auditor"\npermissions = ["default:read"]\n'
    )
    files = ("--tls-cert", str(certificate), "--tls-key", str(key), "--tls-client-ca", str(tmp_path / "ca.pem"))
    auditor = authority.client("auditor")
    tls = TLSConfig(authority.pem, client_cert=auditor.certificate, client_private_key=auditor.key)
    async with served(tmp_path, *files, "--api-keys", str(tmp_path / "keys.toml")) as address:
        starter = await Client.connect(address, api_key=writer, tls=tls)
        polling = await Client.connect(address, api_key=worker, tls=tls)
        async with Worker(polling, task_queue="q", workflows=[Nothing]):
            assert await starter.execute_workflow(Nothing.run, id="w", task_queue="q") == "done"
        with pytest.raises(RPCError, match="Request unauthorized") as caught:
            await polling.start_workflow(Nothing.run, id="x", task_queue="q", run_timeout=timedelta(minutes=1))
        assert caught.value.status == RPCStatusCode.PERMISSION_DENIED
        with pytest.raises(RuntimeError, match="Request unauthorized"):
            await Client.connect(address, api_key="hmk_wrong", tls=tls)
        # Without a key it is the certificate that says who it is.
        paths = auditor.write(tmp_path, "auditor")
        shown = ["--tls-ca-path", str(tmp_path / "ca.pem"), "--tls-cert-path", str(paths[0])]
        shown += ["--tls-key-path", str(paths[1]), "--address", address]
        listed = await asyncio.to_thread(temporal, "workflow", "list", *shown)
        assert "Nothing" in listed.stdout
        ended = await asyncio.to_thread(temporal, "workflow", "signal", "-w", "w", "--name", "s", *shown)
        assert "Request unauthorized" in ended.stderr
        by_key = await asyncio.to_thread(temporal, "workflow", "list", "--api-key", writer, *shown)
        assert "Nothing" in by_key.stdout


async def test_http_beside_grpc(tmp_path: Path) -> None:
    command = [COMMAND, "server", "--port", "0", "--http-port", "0", "--connection", f"sqlite:///{tmp_path}/x.sqlite3"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    ready = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    found = re.search(r"and HTTP on (127\.0\.0\.1:\d+);", ready)
    assert found, ready
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{found[1]}/cluster") as reply:
            assert (reply.status, (await reply.json())["clusterName"]) == (200, "active")
        # Who waits when the server is told to stop gets an answer.
        run = f"http://{found[1]}/api/v1/namespaces/default/workflows/w"
        await session.post(run, json={"workflowType": {"name": "W"}, "taskQueue": {"name": "q"}, "requestId": "r"})
        waiting = asyncio.ensure_future(session.get(f"{run}/history?waitNewEvent=true&historyEventFilterType=2"))
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        async with await asyncio.wait_for(waiting, 10) as reply:
            assert (reply.status, "nextPageToken" in await reply.json()) == (200, True)
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_classes_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN_CLASSES)
    own = ("--authenticator", "mine:ByHeader", "--authorizer", "mine:OnlyAda")
    async with served(tmp_path, *own) as address:
        ada = await Client.connect(address, rpc_metadata={"x-user": "ada"})
        eve = await Client.connect(address, rpc_metadata={"x-user": "eve"})
        request = ListWorkflowExecutionsRequest(namespace="default")
        assert not (await ada.workflow_service.list_workflow_executions(request)).executions
        with pytest.raises(RPCError) as caught:
            await eve.workflow_service.list_workflow_executions(request)
        assert b"you are not Ada" in caught.value.raw_grpc_status


async def test_tokens_and_keys_side_by_side(tmp_path: Path) -> None:
    """What the options ask for is what counts: audience, the name of the claim, and whose keys."""
    private, key = ec.generate_private_key(ec.SECP256R1()), new_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "public.pem").write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, form))
    (tmp_path / "keys.toml").write_text(
        f'[[key]]\nname = "k"\nhash = "{hash_of(key)}"\npermissions = ["default:read"]\n'
    )
    access = Access(
        api_keys=tmp_path / "keys.toml",
        jwt_keys=str(tmp_path / "public.pem"),
        jwt_audience="orders",
        jwt_permissions_claim="roles",
    )
    gate = await access.gate()
    assert gate is not None

    def token(**content: object) -> str:
        return jwt.encode({"sub": "ada", "aud": "orders", "roles": ["default:write"], **content}, private, "ES256")

    async def status(given: str, path: str) -> int:
        try:
            request = ListWorkflowExecutionsRequest(namespace="default")
            await gate.admit(path_of(path), request, {"authorization": f"Bearer {given}"}, Peer())
        except RpcError as error:
            return error.code
        return 0

    reads, writes, denied = "ListWorkflowExecutions", "StartWorkflowExecution", Code.PERMISSION_DENIED
    assert [await status(token(), each) for each in (reads, writes)] == [0, 0]
    assert [await status(key, each) for each in (reads, writes)] == [0, denied]
    for wrong in (token(aud="billing"), token(roles=[]), token(roles=["other:admin"]), "hmk_x", "x.y.z"):
        assert await status(wrong, reads) == denied


async def test_what_cannot_be_used_is_said_at_the_start() -> None:
    cases = {
        "none.toml cannot be read: No such file or directory": Access(api_keys=Path("none.toml")),
        "none.json cannot be read: No such file or directory": Access(jwt_keys="none.json"),
        "http://127.0.0.1:1/ cannot be read: ": Access(jwt_keys="http://127.0.0.1:1/"),
        "--authorizer: mine is not of the form package.module:Class": Access(authorizer="mine"),
        "--authorizer: nowhere:Class cannot be made: No module named": Access(authorizer="nowhere:Class"),
        "--authenticator: io:StringI cannot be made: ": Access(authenticator="io:StringI"),
    }
    for text, access in cases.items():
        with pytest.raises(InvalidAccess) as caught:
            await access.gate()
        assert str(caught.value).startswith(text)
    assert await Access().gate() is None


async def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The extra `server` is not there for everybody; what needs nothing of it goes on without."""
    for module in ("token_keys", "json_web_tokens"):
        monkeypatch.delattr(authorization, module, raising=False)  # or it is found there when another test has used it
        monkeypatch.setitem(sys.modules, f"hotmesh_temporal.authorization.{module}", None)
    monkeypatch.setitem(sys.modules, "hotmesh_temporal.http_api.listener", None)
    monkeypatch.setitem(sys.modules, "grpc_reflection.v1alpha", None)
    with pytest.raises(InvalidAccess, match=r"--jwt-keys needs PyJWT: pip install 'hotmesh-temporal\[server\]'"):
        await Access(jwt_keys="keys.json").gate()
    frontend = engine_on(tmp_path / "x.sqlite3")
    with pytest.raises(InvalidAccess, match=r"--http-port needs aiohttp: pip install 'hotmesh-temporal\[server\]'"):
        Access(http_port=0).http_listener(frontend, "127.0.0.1", None, None)
    assert reflection() is None
    assert len(open_handlers(frontend)) == 1


def test_the_server_ends_with_what_is_wrong(tmp_path: Path) -> None:
    command = [COMMAND, "server", "--port", "0", "--connection", f"sqlite:///{tmp_path}/x.sqlite3"]
    done = subprocess.run(
        [*command, "--api-keys", "none.toml"], capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (1, "Error: none.toml cannot be read: No such file or directory\n")
