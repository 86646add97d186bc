"""Ask a workflow: hand a query to a worker that knows the run, and bring its answer back.

A worker of this process gets the query directly. Otherwise it goes through the task queue's stream; the process whose
worker answers sends the reply to the stream of the process that asked. A query is not state: if a process dies, the
asker's deadline ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from temporalio.api.enums.v1 import QueryResultType
from temporalio.api.query.v1 import WorkflowQuery, WorkflowQueryResult
from temporalio.api.workflowservice.v1 import RespondQueryTaskCompletedRequest

from ..contracts.errors import ContractError, MessageTooLarge
from ..contracts.stream import StreamService
from ..contracts.types import STREAM_GROUP_ENGINE, KeyParams, KeyType
from ..errors import invalid_argument
from .clock import Clock
from .hints import Hints
from .keys import QueueKey, TaskMessage, encode_task, run_key
from .matching import Matching

_LOG = logging.getLogger(__name__)

_LOOK_SECONDS = (0.2, 0.5, 1.0)
_BATCH = 20


class Reply(msgspec.Struct):
    """A worker's answer on its way to the process that asked."""

    namespace: str
    query_id: str
    answer: bytes


@dataclass(slots=True)
class Asked:
    """A query that waits for its answer, which only comes from workers of its namespace."""

    namespace: str
    query_id: str
    answer: asyncio.Future[RespondQueryTaskCompletedRequest] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(slots=True)
class Attached(Asked):
    """A query that goes along with a workflow task."""

    query: WorkflowQuery = field(default_factory=WorkflowQuery)


def _as_answer(result: WorkflowQueryResult) -> RespondQueryTaskCompletedRequest:
    return RespondQueryTaskCompletedRequest(
        completed_type=result.result_type,
        query_result=result.answer if result.HasField("answer") else None,
        error_message=result.error_message,
        failure=result.failure if result.HasField("failure") else None,
    )


def _reply(namespace: str, query_id: str, answer: RespondQueryTaskCompletedRequest) -> str:
    return msgspec.msgpack.encode(Reply(namespace, query_id, answer.SerializeToString())).hex()


class Queries:
    """Queries asked by, and answered in, this process."""

    def __init__(self, stream: StreamService, matching: Matching, clock: Clock, engine_id: str) -> None:
        self._stream = stream
        self._matching = matching
        self._clock = clock
        self._engine_id = engine_id
        self._asked: dict[str, Asked] = {}
        self._attached: dict[str, dict[str, Attached]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        self.hints: Hints = None  # type: ignore[assignment]  # set by the service that owns both

    # -- with a workflow task -----------------------------------------------------------------------------------

    @contextmanager
    def attach(self, job_id: str, query: WorkflowQuery) -> Generator[Attached, None, None]:
        """Let the query travel with the run's next workflow task, if a worker of this process takes it."""
        attached = Attached(run_key(job_id).namespace, self._clock.new_id(), query=query)
        self._attached.setdefault(job_id, {})[attached.query_id] = attached
        try:
            yield attached
        finally:
            queries = self._attached[job_id]
            del queries[attached.query_id]
            if not queries:
                del self._attached[job_id]

    def attached(self, job_id: str) -> dict[str, WorkflowQuery]:
        """What a workflow task of the run carries along."""
        return {each.query_id: each.query for each in self._attached.get(job_id, {}).values()}

    def answer_attached(self, job_id: str, results: Mapping[str, WorkflowQueryResult]) -> None:
        """A worker answered its task, and the queries that came with it."""
        queries = self._attached.get(job_id, {})
        for query_id, result in results.items():
            if query_id in queries and not queries[query_id].answer.done():
                queries[query_id].answer.set_result(_as_answer(result))

    # -- on their own -------------------------------------------------------------------------------------------

    @property
    def inbox(self) -> str:
        """The stream that replies for this process come by."""
        return self._inbox_of(self._engine_id)

    def _inbox_of(self, engine_id: str) -> str:
        return self._stream.mint_key(KeyType.STREAMS, KeyParams(topic=f"q/{engine_id}"))

    async def close(self) -> None:
        """Stop; whoever still waits is told by its deadline."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            try:
                await self._stream.delete_stream(self.inbox)
            except ContractError as error:
                _LOG.debug("the stream of replies stays behind: %s", error)

    async def ask(
        self, queue: QueueKey, job_id: str, query: WorkflowQuery, timeout: float
    ) -> RespondQueryTaskCompletedRequest | None:
        """The answer of a worker of ``queue``, or None after ``timeout`` seconds."""
        asked = Asked(queue.namespace, self._clock.new_id())
        self._asked[asked.query_id] = asked
        try:
            await self._send(queue, job_id, asked.query_id, query, timeout)
            await asyncio.wait([asked.answer], timeout=timeout)
            return asked.answer.result() if asked.answer.done() else None
        finally:
            del self._asked[asked.query_id]

    async def _send(self, queue: QueueKey, job_id: str, query_id: str, query: WorkflowQuery, timeout: float) -> None:
        expires = self._clock.now_ms() + int(timeout * 1000)
        message = encode_task(
            TaskMessage(
                job_id, query=query_id, asker=self._engine_id, request=query.SerializeToString(), expires_at_ms=expires
            )
        )
        offer = self._matching.offer(queue, message)
        if offer.waiter is not None:
            self._matching.published(offer, "")
            return
        self._read_replies()
        try:
            await self._stream.publish_messages(offer.stream, [message])
        except MessageTooLarge as error:
            raise invalid_argument(f"the query cannot be handed to a worker of another process: {error}") from error
        self._matching.published(offer, "")

    async def answer(self, namespace: str, asker: str, query_id: str, answer: RespondQueryTaskCompletedRequest) -> bool:
        """A worker of this process has answered. False if nobody in this process waits for it any more."""
        if asker == self._engine_id:
            return self._deliver(namespace, query_id, answer)
        inbox = self._inbox_of(asker)
        try:
            await self._stream.publish_messages(inbox, [_reply(namespace, query_id, answer)])
        except MessageTooLarge as error:
            failed = RespondQueryTaskCompletedRequest(
                completed_type=QueryResultType.QUERY_RESULT_TYPE_FAILED,
                error_message=f"the answer cannot be brought to the process that asked: {error}",
            )
            await self._stream.publish_messages(inbox, [_reply(namespace, query_id, failed)])
        self.hints.say(inbox)
        return True

    def hinted(self, topic: str) -> None:
        """Another process has answered."""
        if topic == self.inbox:
            self._look.set()

    def _deliver(self, namespace: str, query_id: str, answer: RespondQueryTaskCompletedRequest) -> bool:
        """False if nobody waits for it; a worker of another namespace has made up its token."""
        asked = self._asked.get(query_id)
        if asked is None or asked.answer.done() or asked.namespace != namespace:
            return False
        asked.answer.set_result(answer)
        return True

    def _read_replies(self) -> None:
        if self._reader is None or self._reader.done():
            self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        """Look for replies while queries are out; hints make it quick, the looks in between make it sure."""
        looks = 0
        while self._asked:
            try:
                messages = await self._stream.consume_messages(
                    self.inbox, STREAM_GROUP_ENGINE, self._engine_id, batch_size=_BATCH, auto_ack=True
                )
            except ContractError as error:
                _LOG.debug("replies could not be read: %s", error)
                messages = []
            for message in messages:
                reply = msgspec.msgpack.decode(bytes.fromhex(message.data), type=Reply)
                self._deliver(
                    reply.namespace, reply.query_id, RespondQueryTaskCompletedRequest.FromString(reply.answer)
                )
            if messages:
                looks = 0
                continue
            pause = _LOOK_SECONDS[min(looks, len(_LOOK_SECONDS) - 1)]
            looks += 1
            try:
                await asyncio.wait_for(self._look.wait(), pause)
            except asyncio.TimeoutError:
                continue
            self._look.clear()
