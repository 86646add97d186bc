"""A workflow as a user who changed the imports writes it; `test_plugin` loads it in the SDK's sandbox."""

from datetime import timedelta

from hotmesh_temporal.api.common.v1 import Payload  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

from hotmesh_temporal import workflow
from hotmesh_temporal.common import RetryPolicy
from hotmesh_temporal.exceptions import ApplicationError


@workflow.defn
class Sandboxed:
    """Uses a name of each import, so that none is an idle one."""

    @workflow.run
    async def run(self) -> str:
        """Never run; being loaded is the test."""
        if workflow.info().attempt > 1:
            raise ApplicationError("no")
        policy = RetryPolicy(maximum_interval=timedelta(seconds=1))
        return f"{policy}{Payload()}"
