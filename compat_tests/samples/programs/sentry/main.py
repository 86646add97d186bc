"""A workflow whose activity fails twice: what Sentry would be sent is kept and shown."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import sentry_sdk
from reporting import Reporting
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from sharing import Share, divide
from temporalio.client import Client, WorkflowFailureError
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

QUEUE = "sentry"


class Kept(Transport):
    """Keeps what Sentry's client would send."""

    envelopes: list[Envelope]

    def __init__(self) -> None:
        super().__init__()
        self.envelopes = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Called by Sentry's client."""
        self.envelopes.append(envelope)


async def main() -> None:
    """Two workflows that fail."""
    kept = Kept()
    sentry_sdk.init(dsn="https://key@localhost/1", transport=kept, default_integrations=False, environment="sample")
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    # What Sentry looks for when it reports must not be imported a second time inside of the sandbox.
    shared = SandboxRestrictions.default.with_passthrough_modules("sentry_sdk", "gevent")
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Share],
        activities=[divide],
        interceptors=[Reporting()],
        workflow_runner=SandboxedWorkflowRunner(restrictions=shared),
    ):
        for amount in (100, -1):
            try:
                await client.execute_workflow(Share.run, amount, id=f"share-{amount}", task_queue=QUEUE)
            except WorkflowFailureError as error:
                print("failed:", repr(error.cause))
    for envelope in kept.envelopes:
        event = cast("dict[str, Any]", envelope.get_event())
        errors = [f"{each['type']}: {each['value']}" for each in event["exception"]["values"]]
        print(sorted(event["tags"].items()), errors[-1], event.get("contexts", {}).get("arguments"))


if __name__ == "__main__":
    asyncio.run(main())
