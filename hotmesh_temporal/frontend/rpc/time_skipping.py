"""The test service: a clock that can be put forward. Only engines that were started for tests have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.empty_pb2 import Empty
from temporalio.api.testservice.v1 import (
    GetCurrentTimeResponse,
    LockTimeSkippingRequest,
    LockTimeSkippingResponse,
    SleepRequest,
    SleepResponse,
    SleepUntilRequest,
    UnlockTimeSkippingRequest,
    UnlockTimeSkippingResponse,
)

from ...engine.protos import moment, nanos, timestamp
from ...errors import unimplemented
from ...runtime.service import Runtime
from ...runtime.virtual_time import VirtualTime

if TYPE_CHECKING:
    from ..server import Call


async def lock_time_skipping(
    runtime: Runtime, request: LockTimeSkippingRequest, call: Call
) -> LockTimeSkippingResponse:
    """Let time pass at its own pace; counted."""
    del request, call
    _clock(runtime).lock()
    return LockTimeSkippingResponse()


async def unlock_time_skipping(
    runtime: Runtime, request: UnlockTimeSkippingRequest, call: Call
) -> UnlockTimeSkippingResponse:
    """Take one lock back; see `VirtualTime.unlock`."""
    del request, call
    _clock(runtime).unlock()
    return UnlockTimeSkippingResponse()


async def sleep(runtime: Runtime, request: SleepRequest, call: Call) -> SleepResponse:
    """Answer when so much of the clock's time has passed, skipped or not."""
    del call
    clock = _clock(runtime)
    await clock.sleep_until(clock.now() + nanos(request.duration))
    return SleepResponse()


async def sleep_until(runtime: Runtime, request: SleepUntilRequest, call: Call) -> SleepResponse:
    """Answer at a time of the clock; at once if that is over."""
    del call
    await _clock(runtime).sleep_until(moment(request.timestamp))
    return SleepResponse()


async def unlock_time_skipping_with_sleep(runtime: Runtime, request: SleepRequest, call: Call) -> SleepResponse:
    """`sleep` with one lock less meanwhile."""
    clock = _clock(runtime)
    clock.unlock()
    try:
        return await sleep(runtime, request, call)
    finally:
        clock.lock()


async def get_current_time(runtime: Runtime, request: Empty, call: Call) -> GetCurrentTimeResponse:
    """What the clock says."""
    del request, call
    return GetCurrentTimeResponse(time=timestamp(_clock(runtime).now()))


def _clock(runtime: Runtime) -> VirtualTime:
    if runtime.virtual_time is None:
        raise unimplemented(
            "this engine keeps real time: one whose time can be skipped is started by "
            "hotmesh_temporal.testing.WorkflowEnvironment.start_time_skipping()"
        )
    return runtime.virtual_time
