"""Batch operations: one operation on many executions, chosen by a query or named one by one.

The engine's own stream has a message for each, under a lease of the process that works on it. The message is written
before the batch is, as delivered to this very process: if it dies, at whatever point, another process gets the message
and goes on, or finds that nothing was begun. So nobody has to look for batches, and an idle process does nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable

from temporalio.api.enums.v1 import BatchOperationState
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

from ..contracts.commit import Ack, MessageLease
from ..contracts.errors import AlreadyDone, ContractError, InvalidArgument, NotFound
from ..contracts.search import All, Compare, Condition, Operator, Order, SearchPage, SearchService
from ..contracts.store import StoreService
from ..contracts.stream import StreamService
from ..contracts.types import InterruptOptions
from ..engine.limits import Limits
from ..errors import RpcError, WorkflowCompleted, already_started, invalid_argument, too_many_batches, unavailable
from ..errors import workflow_not_found as batch_not_found
from . import batch_record as record
from .batch_record import Batch
from .batch_work import BatchWork, Operations
from .clock import Clock
from .keys import APP_ID, ENGINE_QUEUE, TaskMessage, batch_job, encode_task
from .matching import LEASE_MS, Matching
from .namespaces import Namespaces
from .versions import EngineVersion

_LOG = logging.getLogger(__name__)

WORK = "batch"
"""The kind of the engine's work, in its messages."""

_RETRY_MS, _LONGEST_RETRY_MS = 1000, 300_000
_ORDER = (Order("CloseTime"), Order("StartTime"))


class Batches:
    """Starts, stops and shows batch operations, and carries out those whose messages come to this process."""

    def __init__(
        self,
        services: tuple[StoreService, SearchService, StreamService],
        operations: Operations,
        matching: Matching,
        namespaces: Namespaces,
        version: EngineVersion,
        clock: Clock,
        limits: Limits,
        engine_id: str,
    ) -> None:
        self._store, self._search, self._stream = services
        self._operations = operations
        self._matching = matching
        self._namespaces = namespaces
        self._version = version
        self._clock = clock
        self._limits = limits
        self._engine_id = engine_id
        self._busy: dict[asyncio.Task[None], Ack] = {}
        self._prepared = False

    async def close(self) -> None:
        """Stop working; other processes go on with what is not finished."""
        busy, self._busy = self._busy, {}
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)

    # -- for callers ------------------------------------------------------------------------------------------

    async def start(self, request: StartBatchOperationRequest) -> None:
        """Begin one. The request is a valid one. Raises ALREADY_EXISTS, RESOURCE_EXHAUSTED."""
        await self._check_number(request.namespace)
        if not self._prepared:
            await record.prepare_symbols(self._store)
            self._prepared = True
        job, started = batch_job(request.namespace, request.job_id), self._clock.now()
        ack = await self._publish(job, started)
        if not await self._store.set_state_nx(job, APP_ID, 1):
            await self._dispose(ack)
            raise await self._already_there(job, request.job_id)
        batch = Batch(job, 1, request, started)
        transaction = self._store.transaction()
        fields = record.state_of(request=record.packed(request), started=started)
        await self._store.set_state(fields, None, job, [record.SYMBOLS], {}, transaction)
        await self._search.upsert([record.document(batch)], transaction)
        await transaction.exec()
        self._begin(job, started // 1_000_000, ack)

    async def _check_number(self, namespace: str) -> None:
        name = BatchOperationState.Name(record.RUNNING)
        condition = All((_of(namespace), Compare(record.STATE_FIELD, Operator.EQ, name)))
        if sum((await self._search.count(record.NO_NAMESPACE, condition)).values()) >= self._limits.batches:
            raise too_many_batches()

    async def _publish(self, job: str, started: int) -> Ack:
        """The message that makes sure that somebody finishes what is begun now; leased to this process."""
        stream, group = self._matching.stream_of(ENGINE_QUEUE), ENGINE_QUEUE.group
        message = encode_task(TaskMessage(job, started // 1_000_000, work=WORK))
        lease = MessageLease(group, self._engine_id, LEASE_MS)
        message_ids = await self._stream.publish_messages(stream, [message], lease=lease)
        return Ack(stream, group, message_ids[0], self._engine_id, 1)

    async def _already_there(self, job: str, batch_id: str) -> RpcError:
        batch = await record.read(self._store, job)
        if batch is None:
            return unavailable(f"batch operation {batch_id} is being started; try again in a few seconds")
        message = f"Workflow execution is already running. WorkflowId: {batch_id}, RunId: {batch.run_id}."
        if batch.closed:
            message = (
                f"Workflow execution already finished. WorkflowId: {batch_id}, RunId: {batch.run_id}. "
                "Workflow Id reuse policy: reject duplicate workflow Id."
            )
        return already_started(message, batch.request_id("start"), batch.run_id, batch.run_id)

    async def stop(self, namespace: str, batch_id: str, reason: str) -> None:
        """End one; what was done stays done. Raises NOT_FOUND, also if it is over."""
        batch = await self.find(namespace, batch_id)
        try:
            await self._store.interrupt(record.TOPIC, batch.job, InterruptOptions(reason=reason))
        except NotFound:
            raise batch_not_found(batch_id) from None
        except AlreadyDone:
            raise WorkflowCompleted() from None
        await self._work_on(batch).close()

    async def find(self, namespace: str, batch_id: str) -> Batch:
        """One, with its counts as far as they are known. Raises NOT_FOUND."""
        batch = await record.read(self._store, batch_job(namespace, batch_id))
        if batch is None:
            raise batch_not_found(batch_id)
        if not batch.closed:
            batch.complete, batch.failed = await record.counts(self._store, batch)
        return batch

    async def page(self, namespace: str, size: int, token: bytes) -> SearchPage:
        """Entries of the list: the open ones first, then those that were closed last."""
        try:
            return await self._search.query(
                record.NO_NAMESPACE, _of(namespace), order=_ORDER, page_size=size, page_token=token
            )
        except InvalidArgument as error:
            raise invalid_argument(f"invalid next page token: {error}") from error

    # -- for the engine's messages ----------------------------------------------------------------------------

    async def take(self, job: str, started_ms: int, ack: Ack) -> bool:
        """A message has come whose process is gone. False if there is nothing to do (any more)."""
        self._begin(job, started_ms, ack)
        return True

    def _begin(self, job: str, started_ms: int, ack: Ack) -> None:
        task = asyncio.get_running_loop().create_task(self._supervise(job, started_ms, ack))
        self._busy[task] = ack
        task.add_done_callback(lambda done: self._busy.pop(done, None))

    async def _supervise(self, job: str, started_ms: int, ack: Ack) -> None:
        """Carry it out as long as the message's lease is ours."""
        loop = asyncio.get_running_loop()
        work, lease = loop.create_task(self._carry_out(job, started_ms)), loop.create_task(self._keep(ack))
        try:
            await asyncio.wait([work, lease], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, lease):
                task.cancel()
            await asyncio.gather(work, lease, return_exceptions=True)
            # Also when this process stops: the next one shall not have to wait for the lease to lapse.
            await self._settle(work, ack)

    async def _settle(self, work: asyncio.Task[None], ack: Ack) -> None:
        if work.cancelled():
            await _quietly(self._release(ack, 0))
            return
        error = work.exception()
        if error is None:
            await _quietly(self._dispose(ack))
            return
        if not isinstance(error, (ContractError, RpcError)):
            _LOG.error("a batch operation could not be carried out, it is tried again", exc_info=error)
        else:
            _LOG.debug("a batch operation is tried again: %s", error)
        await _quietly(self._release(ack, min(_RETRY_MS << min(ack.attempt - 1, 10), _LONGEST_RETRY_MS)))

    async def _carry_out(self, job: str, started_ms: int) -> None:
        batch = await record.read(self._store, job)
        if batch is None:
            if await record.exists(self._store, job):
                # Whoever began it died before there was anything to do, and has told nobody that it exists.
                await self._store.scrub(job)
        elif batch.started // 1_000_000 == started_ms:
            await self._work_on(batch).run()

    def _work_on(self, batch: Batch) -> BatchWork:
        return BatchWork(
            self._store,
            self._search,
            self._namespaces,
            self._operations,
            self._limits,
            self._version.active,
            batch,
        )

    async def _keep(self, ack: Ack) -> None:
        """Ends when the lease is lost."""
        lapses = time.monotonic() + LEASE_MS / 1000
        while time.monotonic() < lapses:
            await asyncio.sleep(LEASE_MS / 4000)
            try:
                if not await self._stream.extend_reservation(
                    ack.stream, ack.group, ack.message_id, ack.consumer, ack.attempt, LEASE_MS
                ):
                    return
            except ContractError as error:
                _LOG.debug("the lease of a batch operation could not be extended: %s", error)
            else:
                lapses = time.monotonic() + LEASE_MS / 1000

    async def _dispose(self, ack: Ack) -> None:
        await self._stream.ack_and_delete(
            ack.stream, ack.group, [ack.message_id], consumer=ack.consumer, attempt=ack.attempt
        )

    async def _release(self, ack: Ack, delay: int) -> None:
        released = await self._stream.release_messages(
            ack.stream, ack.group, [ack.message_id], consumer=ack.consumer, attempt=ack.attempt, delay=delay
        )
        if released and not delay:
            self._matching.arrived(ack.stream)


def _of(namespace: str) -> Condition:
    return Compare(record.NAMESPACE_FIELD, Operator.EQ, namespace)


async def _quietly(call: Awaitable[None]) -> None:
    """What cannot be done now comes about when the lease lapses."""
    try:
        await call
    except ContractError as error:
        _LOG.debug("a message of a batch operation stays until its lease lapses: %s", error)
