"""One connection to NATS that comes back by itself: requests, replies in several parts, subscriptions.

The driver's own reconnecting gives up for good when the server refuses it once (a changed password, too many
connections), and leaves callers waiting for answers that were lost. So a lost connection is replaced here: calls that
are under way fail at once, later ones wait a moment, and subscriptions are made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nats import errors as driver_errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hotmesh_temporal.contracts.errors import InvalidArgument, Unavailable

from .settings import Settings

log = logging.getLogger(__name__)

REQUEST_SECONDS = 5.0
"""How long an answer may take."""

PATIENCE_SECONDS = 3.0
"""How long a call waits for a connection that is away."""

FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0
_NO_RESPONDERS = "503"

Callback = Callable[[Msg], None]


@dataclass(slots=True, eq=False)
class Listening:
    """A subscription that outlives connections."""

    subject: str
    callback: Callback
    current: Subscription | None = None


@dataclass(slots=True)
class _Call:
    """A request that waits. ``parts``: the answer comes in several messages, the last one with a status."""

    answer: asyncio.Future[list[Msg]]
    parts: bool
    received: list[Msg] = field(default_factory=list[Msg])


def header(message: Msg, name: str) -> str:
    """A header of a message, or ""."""
    headers: Mapping[str, str] = message.headers or {}
    return headers.get(name, "")


def status_of(message: Msg) -> str:
    """The status in the headers; "" for a message with content."""
    return header(message, "Status")


class Connection:
    """See the module. All services of a backend share it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.reconnected: list[Callable[[], None]] = []
        self._client: Client | None = None
        self._there = asyncio.Event()
        self._closed = False
        self._restoring: asyncio.Task[None] | None = None
        self._listening: list[Listening] = []
        self._calls: dict[str, _Call] = {}
        self._numbers = itertools.count(1)
        self._inbox = ""
        self._last_error: Exception | None = None

    # -- life -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect. Raises `Unavailable` with what to do. Idempotent."""
        if self._client is None and self._restoring is None:
            self._closed = False
            await self._connect()

    async def close(self) -> None:
        """Disconnect; calls that wait end with `Unavailable`. Idempotent."""
        self._closed = True
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.gather(self._restoring, return_exceptions=True)
            self._restoring = None
        client, self._client = self._client, None
        self._there.clear()
        self._listening.clear()
        self._fail_calls("the connection to NATS was closed")
        if client is not None:
            await client.close()

    async def _connect(self) -> None:
        self._last_error = None
        client = Client()

        async def lost() -> None:
            self._lose(client)

        options: dict[str, Any] = {
            "connect_timeout": 3,
            **self.settings.options,
            "servers": list(self.settings.servers),
            "error_cb": self._note_error,
            "closed_cb": lost,
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0,
        }
        try:
            await client.connect(**options)
            self._inbox = client.new_inbox()
            await _subscribe(client, f"{self._inbox}.*", self._answered)
            for each in self._listening:
                await self._listen(client, each)
            await self._catch_up(client)
        except (OSError, driver_errors.Error, asyncio.TimeoutError, ValueError) as error:
            await _quietly_close(client)
            # What the server said may be followed by what became of the connection.
            noted = self._last_error if not _is_refusal(error) else error
            raise self._unreachable(noted or error) from error
        self._client = client
        self._there.set()

    async def _note_error(self, error: Exception) -> None:
        self._last_error = error
        if "permissions violation" in str(error).lower():
            log.warning("NATS refuses %s: the user needs the subjects hotmesh.>, $JS.API.> and _INBOX.>", error)
        else:
            log.debug("NATS: %s", error)

    def _unreachable(self, error: Exception) -> Unavailable:
        place, said = self.settings.place, str(error).strip() or type(error).__name__
        if _is_refusal(error):
            return Unavailable(
                f"NATS at {place} refused the login ({said}): give user and password in the URL "
                "(nats://user:password@host:4222), or the options token, user_credentials or nkeys_seed"
            )
        return Unavailable(
            f"NATS at {place} cannot be reached ({said}): start it with `nats-server -js`, or correct the address"
        )

    def _lose(self, client: Client) -> None:
        if client is not self._client or self._closed:
            return
        self._client = None
        self._there.clear()
        self._fail_calls(f"the connection to NATS at {self.settings.place} was lost before the answer came")
        log.warning("lost NATS at %s: waiting for it to come back", self.settings.place)
        self._restoring = asyncio.get_running_loop().create_task(self._restore(), name="hotmesh-nats-restore")

    async def _restore(self) -> None:
        begin, pause, reason = time.monotonic(), FIRST_PAUSE, ""
        while self._client is None:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LAST_PAUSE)
            try:
                await self._connect()
            except Unavailable as error:
                if str(error) != reason:
                    reason = str(error)
                    log.warning("still waiting for NATS: %s", reason)
            except Exception:
                # Nobody else would try again.
                log.exception("NATS could not be connected to")
        self._restoring = None
        log.warning("NATS at %s is back after %.1f s", self.settings.place, time.monotonic() - begin)
        for tell in self.reconnected:
            tell()

    async def _connected(self) -> Client:
        if self._client is None and not self._closed:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._there.wait(), PATIENCE_SECONDS)
        if self._client is None:
            raise Unavailable(f"NATS at {self.settings.place} is away; it is being waited for")
        return self._client

    @property
    def client(self) -> Client | None:
        """The driver's client, if there is a connection now."""
        return self._client

    # -- requests -----------------------------------------------------------------------------------------------

    async def request(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> Msg:
        """The answer to a request. Raises `Unavailable`: it may or may not have been carried out."""
        return (await self._call(subject, data, headers, parts=False))[0]

    async def request_parts(self, subject: str, data: bytes) -> list[Msg]:
        """An answer in parts, the last one with a status."""
        return await self._call(subject, data, None, parts=True)

    async def _call(self, subject: str, data: bytes, headers: Mapping[str, str] | None, *, parts: bool) -> list[Msg]:
        client = await self._connected()
        number, call = self._new_call(parts)
        try:
            await client.publish(subject, data, f"{self._inbox}.{number}", dict(headers) if headers else None)
            answer = await asyncio.wait_for(call.answer, REQUEST_SECONDS)
        except asyncio.TimeoutError as error:
            # The server stands still, or the driver has stopped reading, which it does not tell: begin anew.
            self._lose(client)
            await _quietly_close(client)
            raise Unavailable(f"NATS at {self.settings.place} did not answer within {REQUEST_SECONDS:g} s") from error
        except driver_errors.Error as error:
            raise Unavailable(f"NATS at {self.settings.place}: {error}") from error
        finally:
            del self._calls[number]
        if status_of(answer[0]) == _NO_RESPONDERS:
            raise Unavailable(
                f"NATS at {self.settings.place} runs without JetStream, is not ready, or has lost the stream: start it "
                "with `nats-server -js -sd DIRECTORY`, or enable jetstream in its configuration and for this account"
            )
        return answer

    def _new_call(self, parts: bool) -> tuple[str, _Call]:
        number, call = f"{next(self._numbers)}", _Call(asyncio.get_running_loop().create_future(), parts)
        self._calls[number] = call
        return number, call

    async def _catch_up(self, client: Client) -> None:
        """Wait until the server has done what it was sent so far.

        A message to ourselves comes back only then; the driver's ``flush`` may overtake what is still to be sent.
        """
        number, call = self._new_call(False)
        try:
            await client.publish(f"{self._inbox}.{number}")
            await asyncio.wait_for(call.answer, REQUEST_SECONDS)
        finally:
            del self._calls[number]

    async def _answered(self, message: Msg) -> None:
        call = self._calls.get(message.subject.rpartition(".")[2])
        if call is None or call.answer.done():
            return
        call.received.append(message)
        if not call.parts or status_of(message):
            call.answer.set_result(call.received)

    def _fail_calls(self, reason: str) -> None:
        for call in self._calls.values():
            if not call.answer.done():
                call.answer.set_exception(Unavailable(reason))

    async def api(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """One call of JetStream's API. The answer may hold an ``error``."""
        answer = await self.request(f"$JS.API.{operation}", json.dumps(request).encode())
        reply: dict[str, Any] = json.loads(answer.data)
        return reply

    # -- subscriptions ------------------------------------------------------------------------------------------

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send without an answer. Raises `Unavailable` if there is no connection."""
        client = await self._connected()
        try:
            await client.publish(subject, data, headers=dict(headers) if headers else None)
        except driver_errors.MaxPayloadError as error:
            raise InvalidArgument(f"{len(data):,} bytes are more than NATS takes at once") from error
        except driver_errors.Error as error:
            raise Unavailable(f"NATS at {self.settings.place}: {error}") from error

    async def subscribe(self, subject: str, callback: Callback) -> Listening:
        """Call ``callback`` with what is published; active when this returns."""
        client, listening = await self._connected(), Listening(subject, callback)
        self._listening.append(listening)
        try:
            await self._listen(client, listening)
            await self._catch_up(client)
        except (driver_errors.Error, asyncio.TimeoutError) as error:
            self._listening.remove(listening)
            raise Unavailable(f"NATS at {self.settings.place}: {error}") from error
        return listening

    async def unsubscribe(self, listening: Listening) -> None:
        """End it. Idempotent."""
        if listening not in self._listening:
            return
        self._listening.remove(listening)
        if listening.current is not None and self._client is not None:
            try:
                await listening.current.unsubscribe()
            except driver_errors.Error as error:
                log.debug("NATS: %s", error)

    @staticmethod
    async def _listen(client: Client, listening: Listening) -> None:
        async def deliver(message: Msg) -> None:
            listening.callback(message)

        listening.current = await _subscribe(client, listening.subject, deliver)


async def _subscribe(client: Client, subject: str, callback: Callable[[Msg], Awaitable[None]]) -> Subscription:
    driver: Any = client  # it leaves a type in the signature open
    subscription: Subscription = await driver.subscribe(subject, cb=callback)
    return subscription


def _is_refusal(error: Exception | None) -> bool:
    """The server does not accept the login."""
    return isinstance(error, driver_errors.AuthorizationError) or "authorization" in str(error).lower()


async def _quietly_close(client: Client) -> None:
    try:
        await client.close()
    except (OSError, driver_errors.Error, asyncio.TimeoutError, AttributeError) as error:
        # A client that was never connected has not all of its parts.
        log.debug("NATS: %s", error)
