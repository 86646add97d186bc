"""Calls of scripts: one round trip each, repeated only where that changes nothing."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hotmesh_temporal.contracts import keys as key_rules
from hotmesh_temporal.contracts.errors import NotInitialized

from . import durability
from .driver import exceptions
from .errors import DRIVER_ERRORS, contract_error, is_lost, is_refused, problem_error
from .keys import root_of
from .pool import NotSent, Pool
from .scripts import Script, script_for
from .settings import Settings

PATIENCE_S = 15.0
"""How long a call that may be repeated waits for a server that is away."""

LONGEST_PAUSE_S = 1.0

log = logging.getLogger(__name__)

Call = tuple[str, Sequence[Any]]
_encoder = msgspec.msgpack.Encoder()


class Database:
    """One server, and the app that its calls are about."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sender = secrets.token_hex(6)
        self.database_id = ""
        self._names = ("", "")
        self._root = ""
        self._pool: Pool | None = None
        self._opening: asyncio.Lock | None = None
        self.published: Callable[[list[str]], None] | None = None

    # -- names ------------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, str]:
        """Namespace and app. Raises `NotInitialized` before `bind`."""
        if not self._root:
            raise NotInitialized("call init first")
        return self._names

    @property
    def root(self) -> str:
        """What every key of the app begins with. Raises `NotInitialized` before `bind`."""
        if not self._root:
            raise NotInitialized("call init first")
        return self._root

    async def bind(self, namespace: str, app_id: str) -> None:
        """Connect, check the server and bind the names. Idempotent."""
        key_rules.validate_names(namespace, app_id)
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._root and self._names == (namespace, app_id):
                return
            await self._check_server()
            self._names, self._root = (namespace, app_id), root_of(self.settings.prefix, namespace, app_id)
            self.database_id = (await self.call("database", secrets.token_hex(4), repeatable=True)).decode()

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        if self._pool is not None:
            await self._pool.close()

    @property
    def pool(self) -> Pool:
        """The connections; made on the loop that first asks."""
        if self._pool is None:
            self._pool = Pool(self.settings)
        return self._pool

    async def _check_server(self) -> None:
        place = self.settings.place
        try:
            if await durability.check(self.pool, place, self.settings.wait_replicas):
                await self.pool.learn_nodes()
        except NotSent as error:
            raise contract_error(error.__cause__ or error, place) from error.__cause__
        except DRIVER_ERRORS as error:
            raise contract_error(error, place) from error

    # -- calls ------------------------------------------------------------------------------------------------

    async def call(self, name: str, *arguments: Any, repeatable: bool = False) -> Any:
        """The result of one call. ``repeatable``: it may be sent again when its outcome is unknown."""
        return (await self.run([(name, arguments)], repeatable=repeatable))[0]

    async def run(self, calls: Sequence[Call], *, repeatable: bool = False) -> list[Any]:
        """Run calls as one: all or none is applied. Raises what the first of them that cannot be reports."""
        root = self.root
        try:
            payload = _encoder.encode(calls)
        except (TypeError, ValueError, OverflowError) as error:
            raise contract_error(error, self.settings.place) from error
        script = script_for({name for name, _ in calls})
        code, result = await self._patiently(script, root, payload, repeatable)
        if code == 0:
            raise problem_error(result)
        return result

    async def send(self, channel: str, message: bytes) -> None:
        """Publish to a channel."""
        try:
            await self.pool.execute("PUBLISH", channel, message)
        except NotSent as refused:
            cause = refused.__cause__ or refused
            raise contract_error(cause, self.settings.place) from cause
        except DRIVER_ERRORS as error:
            raise contract_error(error, self.settings.place) from error

    async def _patiently(self, script: Script, root: str, payload: bytes, repeatable: bool) -> Any:
        """Wait for a server that is away, if nothing was done or doing it again changes nothing."""
        deadline, pause, place = time.monotonic() + PATIENCE_S, 0.02, self.settings.place
        while True:
            try:
                return await self._evaluate(script, root, payload, 0 if repeatable else self.settings.wait_replicas)
            except NotSent as refused:
                cause = refused.__cause__ or refused
                failure = contract_error(cause, place)
                if not is_lost(cause):
                    raise failure from cause
            except DRIVER_ERRORS as error:
                failure = contract_error(error, place)
                if not is_refused(error) and not (repeatable and is_lost(error)):
                    raise failure from error
            if time.monotonic() + pause > deadline:
                raise failure
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _evaluate(self, script: Script, root: str, payload: bytes, replicas: int) -> Any:
        arguments = (1, root, payload, self.sender)
        try:
            return await self.pool.execute("EVALSHA", script.digest, *arguments, replicas=replicas)
        except exceptions.NoScriptError:
            return await self.pool.execute("EVAL", script.text, *arguments, replicas=replicas)


def blob(data: bytes) -> msgspec.Raw:
    """Bytes as an argument: as MessagePack's text, because the unpacker of Redis 6 does not know its binary type."""
    return msgspec.Raw(b"\xdb" + len(data).to_bytes(4, "big") + data)


def texts(values: Sequence[bytes]) -> list[str]:
    """Stored texts."""
    return [value.decode() for value in values]


def pairs(flat: Sequence[bytes]) -> dict[str, str]:
    """A hash, as a flat list of fields and values."""
    return {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}


def flat(entries: Any) -> list[Any]:
    """Undo `pairs`: fields and values in one list."""
    return [part for entry in entries.items() for part in entry]


def rows(values: Sequence[Any], width: int) -> list[Sequence[Any]]:
    """Cut a flat list into rows."""
    return [values[i : i + width] for i in range(0, len(values), width)]
