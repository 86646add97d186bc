"""How long activities waited, as a histogram beside the SDK's own metrics."""

import asyncio
import socket
import urllib.request
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor, Worker

QUEUE = "custom-metric"


class WaitingTimes(Interceptor):
    """For workers."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See base class."""
        return WaitingTime(next)


class WaitingTime(ActivityInboundInterceptor):
    """Records it for each attempt."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        """See base class."""
        info = activity.info()
        meter = activity.metric_meter()
        histogram = meter.create_histogram_timedelta("my_waiting_time", "Before the start", "duration")
        waited = info.started_time - info.current_attempt_scheduled_time
        histogram.record(waited, {"workflow_type": info.workflow_type or ""})
        return await self.next.execute_activity(input)


@activity.defn
async def stamp(page: int) -> int:
    """One page."""
    return page


@workflow.defn
class OfficeWorkflow:
    """Stamps two pages."""

    @workflow.run
    async def run(self) -> int:
        pages = [
            await workflow.execute_activity(stamp, page, start_to_close_timeout=timedelta(seconds=30))
            for page in (1, 2)
        ]
        return len(pages)


def free_port() -> int:
    """One that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def metrics(address: str) -> list[str]:
    """What is there to be scraped."""
    with urllib.request.urlopen(f"http://{address}/metrics") as reply:
        return reply.read().decode().splitlines()


async def main() -> None:
    """Start the worker, run one workflow, read the metrics."""
    address = f"127.0.0.1:{free_port()}"
    runtime = Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, runtime=runtime)
    async with Worker(
        client, task_queue=QUEUE, workflows=[OfficeWorkflow], activities=[stamp], interceptors=[WaitingTimes()]
    ):
        print(await client.execute_workflow(OfficeWorkflow.run, id="custom-metric", task_queue=QUEUE), "pages")
    lines = await asyncio.to_thread(metrics, address)
    ours = [line for line in lines if line.startswith("my_waiting_time_count")]
    print(len(ours), "workflow_type" in ours[0], "OfficeWorkflow" in ours[0], ours[0].split()[-1])
    print("completed:", any(line.startswith("temporal_workflow_completed") for line in lines))


if __name__ == "__main__":
    asyncio.run(main())
