"""Keeps a secret."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

QUEUE = "encryption"


@workflow.defn
class SecretWorkflow:
    """Says it backwards."""

    @workflow.run
    async def run(self, secret: str) -> str:
        if not secret:
            raise ApplicationError("there is no secret", secret, type="NoSecret")
        return secret[::-1]
