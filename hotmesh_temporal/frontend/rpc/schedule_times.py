"""ListScheduleMatchingTimes. A Temporal server asks the schedule's workflow: its errors are those of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest, ListScheduleMatchingTimesResponse

from ...engine.protos import timestamp
from ...engine.schedules.spec import TooMuchExcluded
from ...engine.schedules.spec_check import instant
from ...errors import RpcError, invalid_argument, query_failed
from ...runtime.service import Runtime

if TYPE_CHECKING:
    from ..server import Call


async def list_schedule_matching_times(
    runtime: Runtime, request: ListScheduleMatchingTimesRequest, call: Call
) -> ListScheduleMatchingTimesResponse:
    """The times, with jitter, after a start and not after an end; the first thousand. Ended schedules have them too."""
    del call
    if not request.schedule_id:
        raise invalid_argument("Can't load workflow execution.  WorkflowId not set.")
    draft = await runtime.schedules.find(request.namespace, request.schedule_id, ended=True)
    if not request.HasField("start_time") or not request.HasField("end_time"):
        raise _refused("missing or invalid query")
    if draft.spec is None:
        raise _refused(f"invalid schedule: {draft.record.invalid}")
    try:
        times = draft.spec.times(instant(request.start_time), instant(request.end_time), draft.seed)
    except TooMuchExcluded as error:
        raise _refused(str(error), kind="InvalidArgument") from error
    return ListScheduleMatchingTimesResponse(start_time=[timestamp(each) for each in times])


def _refused(message: str, *, kind: str = "") -> RpcError:
    info = ApplicationFailureInfo(type=kind)
    return query_failed(message, Failure(message=message, source="GoSDK", application_failure_info=info))
