"""The frontend: every request to the service comes through `Frontend.call`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from ..contracts.backend import Backend
from ..contracts.errors import ContractError, TransactionError, Unavailable
from ..engine.limits import Limits
from ..errors import RpcError, message_too_large, unavailable, unimplemented
from ..runtime.registered import WorkerTypes
from ..runtime.service import Runtime
from ..runtime.virtual_time import VirtualTime
from . import fields
from .admission import admit
from .batch_operations import BatchOperations
from .current import REQUEST, WITHIN
from .dispatch import handler_of
from .errors import Code
from .schedule_starts import ScheduleStarts

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """What surrounds a request. ``deadline``: seconds until the caller gives up, None if it never does."""

    metadata: Mapping[str, str | bytes]
    deadline: float | None

    def wait(self, longest: float, margin: float = 1.0) -> float:
        """How long a long poll may last, so that an empty answer still reaches the caller."""
        if self.deadline is None:
            return longest
        return max(min(longest, self.deadline - margin), 0.0)


class Frontend:
    """The Temporal service on one backend."""

    def __init__(
        self,
        backend: Backend,
        *,
        engine_id: str | None = None,
        limits: Limits | None = None,
        virtual_time: VirtualTime | None = None,
    ) -> None:
        self.runtime = Runtime(backend, engine_id=engine_id, limits=limits, virtual_time=virtual_time)
        self.runtime.batch_operations = BatchOperations(self.runtime)
        self.runtime.schedule_starts = ScheduleStarts(self.runtime)
        self._closed = False

    async def start(self) -> None:
        """Open the backend and begin to work. Raises ``contracts.errors.Unavailable`` if it cannot be reached."""
        await self.runtime.start()

    async def close(self) -> None:
        """Stop. Idempotent."""
        if not self._closed:
            self._closed = True
            await self.runtime.close()

    def drain(self, seconds: float) -> None:
        """See ``transport.interface.Drains``."""
        self.runtime.draining.begin(seconds)

    def end_long_polls(self) -> None:
        """See ``transport.interface.Drains``."""
        self.runtime.draining.end_long_polls()

    def register_types(self, types: WorkerTypes) -> None:
        """See ``transport.interface.KnowsTypes``."""
        self.runtime.registry.register(types)

    async def call(
        self,
        service: str,
        method: str,
        request: Message,
        *,
        metadata: Mapping[str, str | bytes],
        deadline: float | None,
    ) -> Message:
        """Answer one request; see ``transport.interface.Frontend``."""
        REQUEST.set((method, request))
        handler = handler_of(service, method)
        largest = self.runtime.limits.message_size
        if request.ByteSize() > largest:
            raise message_too_large(largest)
        try:
            await admit(self.runtime, method, request)
            wrong = fields.refusal(request)
            if wrong is not None:
                raise unimplemented(wrong)
            way, about = WITHIN.get(), Call(metadata, deadline)
            if way is not None:
                return await self.runtime.joining.within(way, lambda runtime: handler(runtime, request, about))
            return await handler(self.runtime, request, about)
        except (RpcError, TransactionError, asyncio.CancelledError):
            raise
        except Unavailable as error:
            raise unavailable(str(error)) from error
        except ContractError as error:
            _LOG.exception("%s failed", method)
            raise RpcError(Code.INTERNAL, f"{method}: {error}") from error
        except Exception as error:
            _LOG.exception("%s failed", method)
            raise RpcError(Code.INTERNAL, f"{method}: internal error, see the log: {type(error).__name__}") from error
