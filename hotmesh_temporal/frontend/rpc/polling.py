"""What polls of workflow and activity tasks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.enums.v1 import WorkerVersioningMode
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest

from ...errors import RpcError
from .. import validate
from ..errors import Code

if TYPE_CHECKING:
    from ..server import Call

LONG_POLL_SECONDS = 60.0
_SHORTEST_DEADLINE = 2.0


def check_deadline(call: Call) -> None:
    """A long poll needs time."""
    if call.deadline is not None and call.deadline < _SHORTEST_DEADLINE:
        raise RpcError(Code.FAILED_PRECONDITION, "Context timeout is too short.")


def version_of(request: PollWorkflowTaskQueueRequest | PollActivityTaskQueueRequest) -> WorkerVersionStamp:
    """The build of the worker that polls. Versioned deployments are refused."""
    mode = request.deployment_options.worker_versioning_mode
    versioned = mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    validate.refuse(versioned, "a worker deployment with versioning (deployment_options)")
    validate.refuse(request.worker_version_capabilities.use_versioning, "build-id based worker versioning")
    return WorkerVersionStamp(build_id=request.worker_version_capabilities.build_id)
