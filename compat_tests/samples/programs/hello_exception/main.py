"""What a client sees of an error that an activity raises."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

QUEUE = "hello-exception"


@activity.defn
async def open_safe(code: int) -> str:
    """Fails, for a reason."""
    try:
        raise KeyError(code)
    except KeyError as error:
        raise ApplicationError("the safe stays shut", code, type="WrongCode", non_retryable=True) from error


@workflow.defn
class BankWorkflow:
    """Lets the error through."""

    @workflow.run
    async def run(self, code: int) -> str:
        return await workflow.execute_activity(
            open_safe,
            code,
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_attempts=2),
        )


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[BankWorkflow], activities=[open_safe]):
        try:
            await client.execute_workflow(BankWorkflow.run, 1234, id="hello-exception", task_queue=QUEUE)
        except WorkflowFailureError as error:
            cause: BaseException | None = error
            while cause is not None:
                print(f"{type(cause).__name__}: {cause}")
                if isinstance(cause, ActivityError):
                    print(f"  activity {cause.activity_type}, {cause.retry_state}")
                if isinstance(cause, ApplicationError):
                    print(f"  type {cause.type}, details {cause.details}, retried: {not cause.non_retryable}")
                cause = cause.__cause__


if __name__ == "__main__":
    asyncio.run(main())
