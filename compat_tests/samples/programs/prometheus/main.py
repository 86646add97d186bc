"""A worker that serves its metrics, and a look at them."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.envconfig import ClientConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker

QUEUE = "prometheus"
SHOWN = (
    "temporal_workflow_completed",
    "temporal_workflow_failed",
    "temporal_workflow_endtoend_latency_count",
    "temporal_activity_execution_latency_count",
    "temporal_activity_execution_failed",
    "temporal_activity_succeed_endtoend_latency_count",
    "temporal_local_activity_execution_latency_count",
    "temporal_worker_start",
    "bottles_filled",
)
LABELS = ("workflow_type", "activity_type", "task_queue", "size")


@activity.defn
async def fill(bottle: int) -> int:
    """Fails at the first attempt for bottle 2."""
    if bottle == 2 and activity.info().attempt == 1:
        raise RuntimeError("the bottle was not clean")
    activity.metric_meter().create_counter("bottles_filled", "Bottles.").add(1, {"size": "small"})
    return bottle


@activity.defn
async def clean() -> None:
    """A local activity."""


@workflow.defn
class Fill:
    """Fills some bottles."""

    @workflow.run
    async def run(self, bottles: int) -> int:
        """How many."""
        limit, retry = timedelta(seconds=30), RetryPolicy(initial_interval=timedelta(milliseconds=50))
        await workflow.execute_local_activity(clean, start_to_close_timeout=limit)
        for bottle in range(bottles):
            await workflow.execute_activity(fill, bottle, start_to_close_timeout=limit, retry_policy=retry)
        return bottles


async def main() -> None:
    """Run workflows, then read the metrics as Prometheus would."""
    address = f"127.0.0.1:{_free_port()}"
    runtime = Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, runtime=runtime)
    async with Worker(client, task_queue=QUEUE, workflows=[Fill], activities=[fill, clean]):
        for number in range(2):
            print(await client.execute_workflow(Fill.run, 3, id=f"fill-{number}", task_queue=QUEUE))
        page = await asyncio.to_thread(_read, f"http://{address}/metrics")
    print("\n".join(sorted(filter(None, map(_shown, page.splitlines())))))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _read(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


def _shown(line: str) -> str:
    """A sample of one of the shown metrics, with the labels that are the same everywhere."""
    name, _, rest = line.partition("{")
    if name not in SHOWN:
        return ""
    labels, _, value = rest.partition("} ")
    kept = sorted(label for label in labels.split(",") if label.partition("=")[0] in LABELS)
    return f"{name} {' '.join(kept)}: {value}"


if __name__ == "__main__":
    asyncio.run(main())
