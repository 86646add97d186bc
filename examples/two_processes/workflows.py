"""What the worker and the client of this example share."""

from datetime import timedelta

from hotmesh_temporal import activity, workflow

TASK_QUEUE = "approvals"


@activity.defn
async def publish(title: str) -> str:
    return f"published {title!r}"


@workflow.defn
class Approval:
    """Publishes an article once somebody has approved it."""

    def __init__(self) -> None:
        self._approved_by: str | None = None

    @workflow.run
    async def run(self, title: str) -> str:
        await workflow.wait_condition(lambda: self._approved_by is not None)
        done = await workflow.execute_activity(publish, title, start_to_close_timeout=timedelta(seconds=10))
        return f"{done}, approved by {self._approved_by}"

    @workflow.signal
    def approve(self, name: str) -> None:
        self._approved_by = name

    @workflow.query
    def state(self) -> str:
        return "approved" if self._approved_by else "waiting for approval"
