"""The records of one app: a stream of JetStream that is used as a map from message to its last record.

Everything is one request, or several that are sent without waiting for each other. There are no consumers in the
server, so a queue costs nothing but its messages.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from nats.aio.msg import Msg

from hotmesh_temporal.contracts.errors import MessageTooLarge, Unavailable
from hotmesh_temporal.contracts.keys import validate_names

from .connection import Connection, header, status_of
from .names import Names
from .records import Record, State, read_record, time_ms

log = logging.getLogger(__name__)

MAX_MESSAGE_SIZE = 1_000_000
_HEADER_ROOM = 16 * 1024
"""What the server's limit of a message must leave for headers."""

_DEDUP_NS = 600 * 10**9
"""How long JetStream remembers the id of a message that is gone: longer than a relay tries again blindly."""

_NOT_FOUND = "404"
_TOO_MANY = "413"
_ALL_AT_ONCE = 1000
_PAGE_BYTES = 4_000_000
_WRONG_LAST = 10071
_GONE = {10043, 10037, 10057}
_EXISTS_DIFFERENTLY = 10058
_OLD = (2, 11)


class Log:
    """See the module. ``names`` are those of `bind`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.names: Names | None = None
        self._offset_ms = 0
        self._binding = asyncio.Lock()
        connection.reconnected.append(self._set_clock_soon)
        self._background: set[asyncio.Task[Any]] = set()

    async def bind(self, namespace: str, app_id: str) -> Names:
        """Make the JetStream stream of the app exist. Idempotent; safe for many processes at once."""
        validate_names(namespace, app_id)
        async with self._binding:
            names = self.names
            if names is None or (names.namespace, names.app_id) != (namespace, app_id):
                names = Names(namespace, app_id)
                await self.connection.open()
                self._check_server()
                await self._create(names)
                self.names = names
                await self._set_clock()
        return names

    def _check_server(self) -> None:
        client, place = self.connection.client, self.connection.settings.place
        if client is None:
            raise Unavailable(f"NATS at {place} is away")
        version = client.connected_server_version
        if (version.major, version.minor) < _OLD:
            raise Unavailable(f"NATS at {place} is {version}: version 2.11 or newer is needed")
        if client.max_payload < MAX_MESSAGE_SIZE + _HEADER_ROOM:
            raise Unavailable(
                f"NATS at {place} takes messages of {client.max_payload:,} bytes only: "
                "set max_payload to 1MB or more in its configuration"
            )

    async def _create(self, names: Names) -> None:
        config = {
            "name": names.log,
            "description": "Task queues of hotmesh-temporal: the last record of each message",
            "subjects": names.kept,
            "retention": "limits",
            "discard": "old",
            "storage": "file",
            "num_replicas": self.connection.settings.replicas,
            "max_msgs_per_subject": 1,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_age": 0,
            "max_consumers": -1,
            "duplicate_window": _DEDUP_NS,
            "allow_direct": True,
        }
        reply = await self.connection.api(f"STREAM.CREATE.{names.log}", config)
        # One that exists with settings of an administrator's is as good, if it keeps what it must.
        if reply.get("error", {}).get("err_code") == _EXISTS_DIFFERENTLY:
            reply = await self.connection.api(f"STREAM.INFO.{names.log}", {})
        _check_config(_checked(reply, self.connection.settings.place)["config"], names)

    # -- time ---------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """The server's time, as far as it can be told from here."""
        return time.time_ns() // 1_000_000 + self._offset_ms

    async def _set_clock(self) -> None:
        """The clocks of several machines may differ; what counts for leases is the server's."""
        names = self._bound()
        before = time.time_ns() // 1_000_000
        reply = await self.connection.api(f"STREAM.INFO.{names.log}", {})
        after = time.time_ns() // 1_000_000
        offset = time_ms(_checked(reply, self.connection.settings.place)["ts"]) - (before + after) // 2
        # Less than the request took cannot be told from nothing.
        self._offset_ms = offset if abs(offset) > after - before + 1 else 0

    def _set_clock_soon(self) -> None:
        async def set_clock() -> None:
            try:
                await self._set_clock()
            except Unavailable as error:
                log.debug("the clock of NATS could not be read: %s", error)

        if self.names is not None:
            task = asyncio.get_running_loop().create_task(set_clock())
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    # -- changing -----------------------------------------------------------------------------------------------

    async def put(
        self, subject: str, data: bytes, state: State, last: int | None, dedup_id: str = ""
    ) -> tuple[int, bool] | None:
        """Publish a record if the last one of the subject is ``last`` (0: there is none; None: in any case).

        Returns its sequence number and whether it is new (else a message with this ``dedup_id`` came before); None if
        the last one is another.
        """
        headers = state.headers()
        if last is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(last)
        if dedup_id:
            headers["Nats-Msg-Id"] = dedup_id
        reply = json.loads((await self.connection.request(subject, data, headers)).data)
        if reply.get("error", {}).get("err_code") == _WRONG_LAST:
            return None
        return int(_checked(reply, self.connection.settings.place)["seq"]), not reply.get("duplicate", False)

    async def delete(self, seq: int) -> bool:
        """Delete a record. False if it is not there: gone, or replaced by another one."""
        request = {"seq": seq, "no_erase": True}
        reply = await self.connection.api(f"STREAM.MSG.DELETE.{self._bound().log}", request)
        if reply.get("error", {}).get("err_code") in _GONE:
            return False
        _checked(reply, self.connection.settings.place)
        return True

    async def purge(self, subjects: str) -> int:
        """Delete every record of these subjects; how many there were."""
        reply = await self.connection.api(f"STREAM.PURGE.{self._bound().log}", {"filter": subjects})
        return int(_checked(reply, self.connection.settings.place)["purged"])

    # -- reading ------------------------------------------------------------------------------------------------

    async def last(self, subject: str) -> Record | None:
        """The record of a subject."""
        request = json.dumps({"last_by_subj": subject}).encode()
        answer = await self.connection.request(f"$JS.API.DIRECT.GET.{self._bound().log}", request)
        if status_of(answer) == _NOT_FOUND:
            return None
        return read_record(answer, self._bound())

    async def page(self, subjects: str, size: int, after: int = 0) -> tuple[list[Record], int]:
        """Records of these subjects after the record number ``after``, in order, and how many there are beyond."""
        request = {"next_by_subj": subjects, "seq": after + 1, "batch": size, "max_bytes": _PAGE_BYTES}
        answer = await self._get(request)
        if status_of(answer[0]) == _NOT_FOUND:
            return [], 0
        left = int(header(answer[-1], "Nats-Num-Pending") or 0)
        return [read_record(each, self._bound()) for each in answer if not status_of(each)], left

    async def pages(self, subjects: str, size: int = 500, after: int = 0) -> AsyncIterator[list[Record]]:
        """All records of these subjects after the record number ``after``. Not a snapshot."""
        left = 1
        while left:
            page, left = await self.page(subjects, size, after)
            if not page:
                return
            yield page
            after = page[-1].seq

    async def all_of(self, subjects: Sequence[str]) -> list[Record] | None:
        """Every record of several groups of subjects by one request; None if there are too many for that."""
        answer = await self._get({"multi_last": list(subjects), "batch": _ALL_AT_ONCE})
        if status_of(answer[0]) == _NOT_FOUND:
            return []
        left = int(header(answer[-1], "Nats-Num-Pending") or 0)
        if status_of(answer[0]) == _TOO_MANY or left:
            return None
        return [read_record(each, self._bound()) for each in answer if not status_of(each)]

    async def count(self, subjects: str) -> int:
        """How many records there are."""
        page, left = await self.page(subjects, 1)
        return len(page) + left

    async def _get(self, request: dict[str, Any]) -> list[Msg]:
        return await self.connection.request_parts(
            f"$JS.API.DIRECT.GET.{self._bound().log}", json.dumps(request).encode()
        )

    def _bound(self) -> Names:
        assert self.names is not None, "the services check this"
        return self.names


def check_size(message: str) -> bytes:
    """The message as bytes. Raises `MessageTooLarge`."""
    data = message.encode("utf-8", "surrogatepass")
    if len(data) > MAX_MESSAGE_SIZE:
        raise MessageTooLarge(f"the message has {len(data):,} bytes; NATS takes {MAX_MESSAGE_SIZE:,}")
    return data


def _checked(reply: dict[str, Any], place: str) -> dict[str, Any]:
    """The reply. Raises `Unavailable` for an error."""
    error = reply.get("error")
    if error is None:
        return reply
    said, code = error.get("description", "unknown error"), error.get("err_code", 0)
    if code in (10039, 10076):
        raise Unavailable(
            f"JetStream is off at NATS {place} ({said}): start the server with `nats-server -js -sd DIRECTORY`, "
            "or enable it in the configuration and for this account"
        )
    raise Unavailable(f"JetStream at {place} refused the request: {said} (error {code})")


def _check_config(config: dict[str, Any], names: Names) -> None:
    wanted = {"max_msgs_per_subject": 1, "allow_direct": True, "retention": "limits"}
    wrong = {name: value for name, value in wanted.items() if config.get(name) != value}
    if wrong or not set(names.kept) <= set(config.get("subjects") or ()):
        raise Unavailable(
            f"the JetStream stream {names.log!r} has settings that cannot work: it needs the subjects "
            f"{', '.join(names.kept)} and {wrong or 'nothing else'}; correct it with `nats stream edit`"
        )
