"""A batch whose window moves on whenever a child reports; each run takes one page of records."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker
from temporalio.workflow import ParentClosePolicy

QUEUE = "batch-sliding-window"


@dataclass
class Batch:
    """How far it is."""

    records: int
    page: int
    window: int
    next: int = 0
    done: int = 0
    open: list[int] = field(default_factory=list[int])
    runs: int = 1


@workflow.defn
class RecordWorkflow:
    """One record; it outlives the run of the batch that has started it."""

    @workflow.run
    async def run(self, batch_id: str, record: int) -> None:
        # Every third one is not done when the batch continues as new.
        await workflow.sleep(timedelta(seconds=3 if record % 3 == 2 else 0.1))
        batch = workflow.get_external_workflow_handle_for(BatchWorkflow.run, batch_id)
        await batch.signal(BatchWorkflow.report, record)


@workflow.defn
class BatchWorkflow:
    """Starts the children."""

    @workflow.init
    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    @workflow.run
    async def run(self, batch: Batch) -> list[int]:
        end = min(batch.next + batch.page, batch.records)
        while batch.next < end:
            await workflow.wait_condition(lambda: len(batch.open) < batch.window)
            await self._start(batch.next)
            batch.next += 1
        if batch.next < batch.records:
            # What is open now is reported to the next run. A run of less than a second would be followed by a pause.
            await workflow.sleep(timedelta(seconds=1.2))
            batch.runs += 1
            workflow.continue_as_new(batch)
        await workflow.wait_condition(lambda: not batch.open)
        # They have reported; a moment later they have ended as well.
        await workflow.sleep(timedelta(seconds=1))
        return [batch.done, batch.runs]

    async def _start(self, record: int) -> None:
        self.batch.open.append(record)
        own = workflow.info().workflow_id
        await workflow.start_child_workflow(
            RecordWorkflow.run,
            args=[own, record],
            id=f"{own}/{record}",
            parent_close_policy=ParentClosePolicy.ABANDON,
        )

    @workflow.signal
    def report(self, record: int) -> None:
        """A record is done."""
        if record in self.batch.open:
            self.batch.open.remove(record)
            self.batch.done += 1


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[BatchWorkflow, RecordWorkflow]):
        batch = Batch(records=9, page=3, window=2)
        done, runs = await client.execute_workflow(BatchWorkflow.run, batch, id="batch", task_queue=QUEUE)
        print(f"{done} records in {runs} runs")


if __name__ == "__main__":
    asyncio.run(main())
