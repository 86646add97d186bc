"""The quorum: what the engines of a database tell an operator, and what an operator tells them.

Messages travel by `SubService` and may get lost; what must last (throttle rates, the engine's version) is in the store
before it is spoken of. An engine that has obeyed a message answers with its profile, so that the operator sees who did.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from .. import __version__
from ..contracts.errors import ContractError
from ..contracts.sub import SubService
from ..contracts.types import KeyType
from .keys import APP_ID, QueueKey
from .matching import Matching
from .peers import CHANNEL, Ask, AskQueue, AskWorkers, Peers
from .queue_configs import QueueConfigs
from .throttle import EVERYTHING, Throttle
from .versions import EngineVersion

_LOG = logging.getLogger(__name__)

QueueKind = Literal["workflow", "activity"]


class Call(msgspec.Struct, omit_defaults=True, tag_field="type", tag="call"):
    """What an operator says. ``originator``: the channel on which it listens to answers."""

    originator: str


class Ping(Call, tag="ping"):
    """An operator wants to know who is there."""


class ThrottleCall(Call, tag="throttle"):
    """Rates were changed. With ``guid`` only that engine is meant, and ``throttle`` and ``topic`` say to what."""

    throttle: int = 0
    topic: str | None = None
    guid: str | None = None


class RatesCall(Call, tag="rates"):
    """Rates of queues of a namespace were changed, or who shares them. ``originator``: the engine that says so."""

    namespace: str = ""


class ActivateCall(Call, tag="activate"):
    """An engine version was activated."""

    until_version: str = ""


class QueueProfile(msgspec.Struct, frozen=True):
    """A task queue that the workers of an engine poll.

    ``sticky`` names the worker's own queue if it is one, and then ``name`` is that of the queue whose tasks it takes.
    ``pollers`` are the identities of workers, ``polls`` how many requests wait right now. ``throttle``: milliseconds
    between two tasks, -1 if paused.
    """

    namespace: str
    name: str
    kind: QueueKind
    stream: str
    sticky: str = ""
    pollers: list[str] = []
    polls: int = 0
    throttle: int = 0


class EngineProfile(msgspec.Struct, frozen=True):
    """One engine: a process that uses the database. ``version`` is the package's, ``app_version`` the engine's active
    one as this process knows it, ``app_versions`` those that it could run. ``throttle``: of queues without a rate of
    their own.
    """

    engine_id: str
    host: str
    pid: int
    version: str
    app_version: str
    app_versions: list[str]
    started_at_ms: int
    throttle: int = 0
    queues: list[QueueProfile] = []


class Pong(msgspec.Struct, tag_field="type", tag="pong"):
    """An engine's answer."""

    guid: str
    profile: EngineProfile


AnyCall = Ping | ThrottleCall | ActivateCall
_AnyMessage = AnyCall | RatesCall | AskWorkers | AskQueue


class QuorumMember:
    """This process's part in the quorum."""

    def __init__(
        self,
        sub: SubService,
        engine_id: str,
        matching: Matching,
        throttle: Throttle,
        version: EngineVersion,
        peers: Peers,
        queue_configs: QueueConfigs,
    ) -> None:
        self._sub = sub
        self._engine_id = engine_id
        self._matching = matching
        self._throttle = throttle
        self._version = version
        self._peers = peers
        self._queue_configs = queue_configs
        queue_configs.announce = self._announce_rates
        self._started_at_ms = int(time.time() * 1000)
        self._answering: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen."""
        await self._sub.subscribe(KeyType.QUORUM, self._on_message, APP_ID, CHANNEL)

    async def close(self) -> None:
        """Stop listening."""
        await self._sub.unsubscribe(KeyType.QUORUM, APP_ID, CHANNEL)
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _announce_rates(self, namespace: str) -> None:
        """Have every other process look at the rates of the namespace's task queues."""
        await self._sub.publish(
            KeyType.QUORUM, msgspec.to_builtins(RatesCall(self._engine_id, namespace)), APP_ID, CHANNEL
        )

    def profile(self) -> EngineProfile:
        """Of this process, now."""
        return EngineProfile(
            engine_id=self._engine_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            app_version=self._version.active,
            app_versions=list(self._version.known),
            started_at_ms=self._started_at_ms,
            throttle=self._throttle.rate(EVERYTHING),
            queues=self._queues(),
        )

    def _queues(self) -> list[QueueProfile]:
        polled = sorted(self._matching.polled(), key=lambda queue: (queue.serves, queue.key != queue.serves))
        return [
            QueueProfile(
                namespace=queue.serves.namespace,
                name=queue.serves.name,
                kind=kind_of(queue.serves),
                stream=queue.stream,
                sticky=queue.key.name if queue.key != queue.serves else "",
                pollers=sorted(poller.identity for poller in queue.pollers),
                polls=queue.polls,
                throttle=self._throttle.rate(queue.serves.topic),
            )
            for queue in polled
        ]

    def _on_message(self, _: str, message: dict[str, Any]) -> None:
        try:
            call = msgspec.convert(message, _AnyMessage)
        except msgspec.ValidationError as error:
            _LOG.debug("a message to the quorum is of a kind that this version does not know: %s", error)
            return
        task = asyncio.get_running_loop().create_task(self._obey(call))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _obey(self, call: AnyCall | RatesCall | Ask) -> None:
        try:
            if isinstance(call, Ask):
                await self._peers.answer(call)
            elif isinstance(call, RatesCall):
                if call.originator != self._engine_id:
                    await self._queue_configs.refresh(call.namespace)
            elif await self._carry_out(call):
                pong = Pong(self._engine_id, self.profile())
                await self._sub.publish(KeyType.QUORUM, msgspec.to_builtins(pong), APP_ID, call.originator)
        except ContractError as error:
            _LOG.warning("the quorum's %s could not be obeyed: %s", type(call).__name__, error)

    async def _carry_out(self, call: AnyCall) -> bool:
        """Whether it was meant for this process."""
        if isinstance(call, ThrottleCall):
            if call.guid is None:
                await self._throttle.refresh()
            elif call.guid == self._engine_id:
                self._throttle.set_own(call.topic, call.throttle)
            return call.guid in (None, self._engine_id)
        if isinstance(call, ActivateCall):
            await self._version.refresh()
        return True


def kind_of(key: QueueKey) -> QueueKind:
    """What tasks a queue has."""
    return "activity" if key.activity else "workflow"


class Caller:
    """An operator's side: sends a call, and collects who answers."""

    def __init__(self, sub: SubService, caller_id: str) -> None:
        self._sub = sub
        self.caller_id = caller_id
        self._heard: dict[str, EngineProfile] = {}

    async def start(self) -> None:
        """Begin to listen to answers."""
        await self._sub.subscribe(KeyType.QUORUM, self._hear, APP_ID, self.caller_id)

    def _hear(self, _: str, message: dict[str, Any]) -> None:
        try:
            pong = msgspec.convert(message, Pong)
        except msgspec.ValidationError as error:
            _LOG.debug("an answer of the quorum cannot be read: %s", error)
            return
        self._heard[pong.guid] = pong.profile

    async def call(self, call: AnyCall, wait: float) -> list[EngineProfile]:
        """The profiles of the engines that answer within ``wait`` seconds, the oldest engine first."""
        return await self.call_all([call], wait)

    async def call_all(self, calls: Sequence[AnyCall], wait: float) -> list[EngineProfile]:
        """As `call`, for several at once; the last answer of each engine counts."""
        self._heard = {}
        for call in calls:
            await self._sub.publish(KeyType.QUORUM, msgspec.to_builtins(call), APP_ID, CHANNEL)
        await asyncio.sleep(wait)
        return sorted(self._heard.values(), key=lambda each: (each.started_at_ms, each.engine_id))
