"""What is stored of a batch operation, and how to read and write it.

A batch is a HotMesh job. Its state has the request and the progress of choosing the executions; its status is the
semaphore: one for the choosing, and one for each chosen execution that nothing was done to yet. 0 means that it is
completed, a negative one that it was interrupted. The chosen ones are an index list of the statistics, with counters
beside it in the same bucket, and what was done to each is a mark in the job's ledger.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

from temporalio.api.batch.v1 import BatchOperationInfo
from temporalio.api.enums.v1 import BatchOperationState, BatchOperationType
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

from ..contracts.errors import NotFound
from ..contracts.search import SearchDocument, SearchValue
from ..contracts.store import StoreService
from ..contracts.symbols import RESERVED_SLOTS, symbol_key
from ..contracts.types import AppVersion, KeyParams, KeyType
from ..engine.protos import timestamp
from .keys import APP_ID, batch_of_job

RUNNING = BatchOperationState.BATCH_OPERATION_STATE_RUNNING
COMPLETED = BatchOperationState.BATCH_OPERATION_STATE_COMPLETED
FAILED = BatchOperationState.BATCH_OPERATION_STATE_FAILED

TOPIC = "batch"
SYMBOLS = f"${TOPIC}"
_PATHS = ("request", "started", "closed", "cursor", "chosen", "total", "complete", "failed", "outcome")
_FIELDS = [f"data/{name}" for name in _PATHS]
_ERROR = "metadata/err"
_SLOTS = RESERVED_SLOTS + 26

COMPLETE_FACET, FAILED_FACET, LIST_FACET = "complete", "failed", "executions"

OPERATION_TYPES = {
    "termination_operation": BatchOperationType.BATCH_OPERATION_TYPE_TERMINATE_WORKFLOW,
    "signal_operation": BatchOperationType.BATCH_OPERATION_TYPE_SIGNAL_WORKFLOW,
    "cancellation_operation": BatchOperationType.BATCH_OPERATION_TYPE_CANCEL_WORKFLOW,
    "deletion_operation": BatchOperationType.BATCH_OPERATION_TYPE_DELETE_WORKFLOW,
    "reset_operation": BatchOperationType.BATCH_OPERATION_TYPE_RESET_WORKFLOW,
    "update_workflow_options_operation": BatchOperationType.BATCH_OPERATION_TYPE_UPDATE_WORKFLOW_EXECUTION_OPTIONS,
    "unpause_activities_operation": BatchOperationType.BATCH_OPERATION_TYPE_UNPAUSE_ACTIVITY,
    "reset_activities_operation": BatchOperationType.BATCH_OPERATION_TYPE_RESET_ACTIVITY,
    "update_activity_options_operation": BatchOperationType.BATCH_OPERATION_TYPE_UPDATE_ACTIVITY_OPTIONS,
}
"""By the name of the request's field."""


class Item(NamedTuple):
    """One chosen execution. Without a ``run_id`` its current run is meant, whichever that is by then."""

    number: int
    workflow_id: str
    run_id: str

    def text(self) -> str:
        """As it stands in the list."""
        return json.dumps(self, ensure_ascii=False)


def item_of(text: str) -> Item:
    """Undo `Item.text`."""
    return Item(*json.loads(text))


@dataclass(slots=True)
class Batch:
    """A batch operation as it was read. ``started`` and ``closed`` are in nanoseconds, ``closed`` 0 while it is open.

    ``cursor`` says how far choosing has come. ``complete`` and ``failed`` are final once it is closed; ``outcome`` is
    the state that it ended in, ``error`` why it was interrupted.
    """

    job: str
    status: int
    request: StartBatchOperationRequest
    started: int
    closed: int = 0
    cursor: str = ""
    chosen: bool = False
    total: int = 0
    complete: int = 0
    failed: int = 0
    outcome: int = 0
    error: str = ""

    @property
    def namespace(self) -> str:
        """Where it works."""
        return batch_of_job(self.job)[0]

    @property
    def batch_id(self) -> str:
        """The id that its caller gave it."""
        return batch_of_job(self.job)[1]

    @property
    def run_id(self) -> str:
        """What a Temporal server would call the run of its workflow; another batch of the same id has another."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"hotmesh-temporal:{self.job}/{self.started}"))

    def request_id(self, of: object) -> str:
        """The request id of something that is done for it: the same whenever it is tried."""
        return str(uuid.uuid5(uuid.UUID(self.run_id), str(of)))

    @property
    def operation(self) -> str:
        """The name of the request's field that says what to do."""
        return self.request.WhichOneof("operation") or ""

    @property
    def state(self) -> BatchOperationState.ValueType:
        """For its caller. One that was interrupted is running until that is noted."""
        return BatchOperationState.ValueType(self.outcome) if self.closed else RUNNING

    @property
    def work_item(self) -> str:
        """Its entry in the queue of work items."""
        return self.job

    @property
    def bucket(self) -> tuple[str, str]:
        """``(job key, date)`` of its list and counters; another batch of the same id, later, has its own."""
        return self.job, str(self.started)


def list_key(store: StoreService, batch: Batch) -> str:
    """Of the executions that nobody has taken yet."""
    job_key, date_time = batch.bucket
    return store.mint_key(KeyType.JOB_STATS_INDEX, KeyParams(job_key=job_key, date_time=date_time, facet=LIST_FACET))


def taken_key(store: StoreService, batch: Batch) -> str:
    """Of those that a process took, done with or not."""
    return f"{list_key(store, batch)}:processed"


async def counts(store: StoreService, batch: Batch) -> tuple[int, int]:
    """How many are completed and failed so far; nearly exact while processes die, exact otherwise."""
    job_key, date_time = batch.bucket
    key = store.mint_key(KeyType.JOB_STATS_GENERAL, KeyParams(job_key=job_key, date_time=date_time))
    found = (await store.get_job_stats([key]))[key]
    return int(found.get(COMPLETE_FACET, 0)), int(found.get(FAILED_FACET, 0))


# -- the job's state ---------------------------------------------------------------------------------------------------


async def prepare_symbols(store: StoreService) -> None:
    """Make sure that the fields of a batch have symbols, without which a state is not stored."""
    known = await store.get_symbols(SYMBOLS)
    if all(path in known for path in _FIELDS):
        return
    free, _, known = await store.reserve_symbol_range(SYMBOLS, _SLOTS, "JOB")
    missing = [path for path in _FIELDS if path not in known]
    await store.add_symbols(SYMBOLS, {path: symbol_key(free + offset) for offset, path in enumerate(missing)})


def state_of(**fields: Any) -> dict[str, Any]:
    """Some fields of a batch as a state to merge."""
    return {"data": fields}


def packed(request: StartBatchOperationRequest) -> str:
    """The request as a field."""
    return base64.b64encode(request.SerializeToString()).decode()


async def read(store: StoreService, job: str) -> Batch | None:
    """The batch; None if there is none, or only its beginning (see `Batches.start`)."""
    try:
        state, status = await store.get_state(job, {SYMBOLS: [*_FIELDS, _ERROR]}, {})
    except NotFound:
        return None
    data = dict[str, Any](state.get("data", {}))
    if "request" not in data:
        return None
    request = StartBatchOperationRequest.FromString(base64.b64decode(data.pop("request")))
    error = state.get("metadata", {}).get("err", {})
    return Batch(job, status, request, error=error.get("message", ""), **data)


async def exists(store: StoreService, job: str) -> bool:
    """There is such a job, maybe only its beginning."""
    try:
        await store.get_status(job, APP_ID)
    except NotFound:
        return False
    return True


# -- the list of batches -----------------------------------------------------------------------------------------------

NO_NAMESPACE = ""
"""Where documents are that are not of executions."""

NAMESPACE_FIELD, STATE_FIELD = "BatchNamespace", "BatchState"


def info(batch: Batch) -> BatchOperationInfo:
    """What a list says of it."""
    entry = BatchOperationInfo(
        job_id=batch.batch_id,
        state=batch.state,
        start_time=timestamp(batch.started),
        operation_type=OPERATION_TYPES[batch.operation],
    )
    if batch.closed:
        entry.close_time.CopyFrom(timestamp(batch.closed))
    return entry


def document(batch: Batch) -> SearchDocument:
    """Its entry in the list of batches."""
    fields: dict[str, SearchValue] = {
        NAMESPACE_FIELD: batch.namespace,
        STATE_FIELD: BatchOperationState.Name(batch.state),
        "StartTime": batch.started // 1000,
    }
    if batch.closed:
        fields["CloseTime"] = batch.closed // 1000
    return SearchDocument(batch.job, NO_NAMESPACE, fields, info(batch).SerializeToString())


def app_version(version: str) -> AppVersion:
    """The app under which lists and counters are written."""
    return AppVersion(APP_ID, version)
