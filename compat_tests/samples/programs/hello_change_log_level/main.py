"""A filter of the log finds the failures of workflow tasks by their mark, and makes errors of them."""

import asyncio
import io
import logging

from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "hello-change-log-level"
MARK = "__temporal_error_identifier"
mistakes = ["a slip of the pen"]


class TaskFailuresAreErrors(logging.Filter):
    """Raises the level of what the SDK calls WorkflowTaskFailure, and lets nothing else through."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, MARK, "") != "WorkflowTaskFailure":
            return False
        record.levelno, record.levelname = logging.ERROR, "ERROR"
        record.exc_info = None
        record.msg, record.args = "a workflow task failed", ()
        return True


def set_up_logging() -> io.StringIO:
    """Everything goes through the filter, and is kept."""
    kept = io.StringIO()
    handler = logging.StreamHandler(kept)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.addFilter(TaskFailuresAreErrors())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    return kept


@workflow.defn
class ScribeWorkflow:
    """Fails once, by a mistake in its code."""

    @workflow.run
    async def run(self) -> str:
        if mistakes:
            raise RuntimeError(mistakes.pop())
        return "written"


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    kept = set_up_logging()
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    # Without the sandbox, so that the second attempt knows of the first one.
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=QUEUE, workflows=[ScribeWorkflow], workflow_runner=runner):
        print(await client.execute_workflow(ScribeWorkflow.run, id="hello-log-level", task_queue=QUEUE))
    print(kept.getvalue(), end="")


if __name__ == "__main__":
    asyncio.run(main())
