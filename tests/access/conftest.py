"""Two tenants of one server: "mine", whose key the tests have, and "theirs", where something is going on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hotmesh_temporal.authorization.api_keys import ApiKeys, hash_of, new_key
from hotmesh_temporal.authorization.gate import Gate
from hotmesh_temporal.transport.grpc_server import GrpcListener
from tests.access.support import MINE, THEIRS, Caller, Tenant, add_namespace
from tests.quorum.conftest import engine_on

PERMISSIONS = {
    "mine": ["mine:write"],
    "reader": ["mine:read"],
    "worker": ["mine:worker"],
    "admin": ["mine:admin"],
    "both": ["mine:write", "theirs:write"],
    "operator": ["temporal-system:admin"],
    "auditor": ["temporal-system:read"],
}


class Server:
    """A served port with a gate, and the keys to it."""

    def __init__(self, address: str, keys: dict[str, str]) -> None:
        self.address = address
        self.keys = keys


@pytest_asyncio.fixture
async def theirs(tmp_path: Path) -> AsyncIterator[Tenant]:
    """An engine with both namespaces, and what goes on in theirs."""
    frontend = engine_on(tmp_path / "two.sqlite3")
    await frontend.start()
    for name in (MINE, THEIRS):
        await add_namespace(frontend, name)
    yield await Tenant.busy(frontend)
    await frontend.close()


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Where the keys of `server` are written down."""
    return tmp_path / "keys.toml"


def write_keys(path: Path, keys: dict[str, str]) -> None:
    """Write the file of some of these keys."""
    path.write_text(
        "\n".join(
            f'[[key]]\nname = "{name}"\nhash = "{hash_of(key)}"\npermissions = {PERMISSIONS[name]}\n'
            for name, key in keys.items()
        )
    )


@pytest_asyncio.fixture
async def server(theirs: Tenant, keys_file: Path) -> AsyncIterator[Server]:
    """The engine of both, served to those who have a key."""
    keys = {name: new_key() for name in PERMISSIONS}
    write_keys(keys_file, keys)
    listener = GrpcListener(theirs.frontend, gate=Gate([ApiKeys(keys_file)]))
    yield Server(await listener.start(), keys)
    await listener.close()


@pytest_asyncio.fixture
async def as_whom(server: Server) -> AsyncIterator[dict[str, Caller]]:
    """Callers by the name of their key; "nobody" has none, "forger" one that nobody gave out."""
    headers = {name: f"Bearer {key}" for name, key in server.keys.items()} | {"nobody": "", "forger": "Bearer hmk_x"}
    callers = {name: Caller(server.address, header) for name, header in headers.items()}
    yield callers
    for caller in callers.values():
        await caller.close()
