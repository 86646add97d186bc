"""Sends every kind of message to a lamp."""

import asyncio

from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.envconfig import ClientConfig
from workflows import QUEUE, LampWorkflow


async def main() -> None:
    """One lamp from its start to its end."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    lamp = await client.start_workflow(LampWorkflow.run, id="lamp", task_queue=QUEUE)
    print("colors:", await lamp.query(LampWorkflow.colors, True), await lamp.query("colors", False))

    print("before:", await lamp.execute_update(LampWorkflow.paint, "red"))
    try:
        await lamp.execute_update(LampWorkflow.paint, "blue")
    except WorkflowUpdateFailedError as error:
        print("refused:", error.cause)

    update = await lamp.start_update(LampWorkflow.paint_exactly, "green", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    print("parts:", await update.result())
    try:
        await lamp.execute_update(LampWorkflow.paint_exactly, "mauve")
    except WorkflowUpdateFailedError as error:
        print("failed:", error.cause, "because of", error.cause.__cause__)
    print("now:", await lamp.query(LampWorkflow.color_now))

    await lamp.signal(LampWorkflow.put_out, "Ada")
    print("end:", await lamp.result())


if __name__ == "__main__":
    asyncio.run(main())
