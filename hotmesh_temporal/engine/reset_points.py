"""The points that a run can be reset to by build: the first workflow task that each build of the worker completed."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.workflow.v1 import ResetPointInfo, ResetPoints

from .model import ExecutionState
from .protos import timestamp


@dataclass(frozen=True, slots=True)
class Build:
    """Which build of a worker: by its build id, by the checksum that older SDKs report, or neither."""

    build_id: str = ""
    binary_checksum: str = ""


def note(state: ExecutionState, build: Build, completed_id: int, now: int, limit: int) -> bool:
    """A worker of this build has completed a task. At most ``limit`` points are kept, the newest ones.

    True if the search attribute ``BuildIds`` has changed by that.
    """
    is_new = _note_build(state, build.build_id)
    points = ResetPoints.FromString(state.reset_points)
    if any(Build(each.build_id, each.binary_checksum) == build for each in points.points):
        return is_new
    points.points.append(
        ResetPointInfo(
            run_id=state.run_id,
            first_workflow_task_completed_id=completed_id,
            create_time=timestamp(now),
            resettable=True,
            build_id=build.build_id,
            binary_checksum=build.binary_checksum,
        )
    )
    del points.points[:-limit]
    state.reset_points = points.SerializeToString()
    return is_new


def _note_build(state: ExecutionState, build_id: str) -> bool:
    """The builds of the workers that worked on the run, as search attribute ``BuildIds``."""
    names = ["unversioned", *([f"unversioned:{build_id}"] if build_id else [])]
    new = [name for name in names if name not in state.build_ids]
    state.build_ids.extend(new)
    return bool(new)
