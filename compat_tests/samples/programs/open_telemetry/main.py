"""One trace over client, workflow, child and activities, with spans of the program's own."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.opentelemetry.workflow import completed_span
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "open-telemetry"


class Counted(IdGenerator):
    """Ids in the order in which they are asked for, so that every run writes the same."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def generate_span_id(self) -> int:
        """The next number."""
        return next(self._numbers)

    def generate_trace_id(self) -> int:
        """The next number."""
        return next(self._numbers)


@activity.defn
async def bake(loaf: int) -> str:
    """Has a span of its own inside the activity's."""
    with trace.get_tracer(__name__).start_as_current_span("oven"):
        return f"loaf {loaf}"


@workflow.defn
class Oven:
    """Bakes one loaf."""

    @workflow.run
    async def run(self, loaf: int) -> str:
        """The loaf."""
        completed_span("kneaded", attributes={"loaf": loaf})
        return await workflow.execute_activity(bake, loaf, start_to_close_timeout=timedelta(seconds=30))


@workflow.defn
class Bakery:
    """Bakes what is ordered until it closes."""

    def __init__(self) -> None:
        self.closed = False

    @workflow.run
    async def run(self) -> str:
        """When it closes."""
        await workflow.wait_condition(lambda: self.closed)
        return "closed"

    @workflow.update
    async def order(self, loaf: int) -> str:
        """Bake one."""
        return await workflow.execute_child_workflow(Oven.run, loaf, id=f"oven-{loaf}")

    @workflow.query
    def is_closed(self) -> bool:
        """Whether it is."""
        return self.closed

    @workflow.signal
    def close(self) -> None:
        """Close."""
        self.closed = True


async def main() -> None:
    """Order, ask, close; then draw the spans."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(id_generator=Counted())
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, interceptors=[TracingInterceptor()])
    async with Worker(client, task_queue=QUEUE, workflows=[Bakery, Oven], activities=[bake]):
        with trace.get_tracer(__name__).start_as_current_span("customer"):
            bakery = await client.start_workflow(Bakery.run, id="bakery", task_queue=QUEUE)
            # From here on the workflow has begun: no two spans are made at the same time.
            print("closed:", await bakery.query(Bakery.is_closed))
            print(await bakery.execute_update(Bakery.order, 7, id="order-7"))
            await bakery.signal(Bakery.close)
            print(await bakery.result())
    finished = spans.get_finished_spans()
    contexts = [span.get_span_context() for span in finished]
    print(len({context.trace_id for context in contexts if context}), "trace")
    _draw(finished, None, "")


def _draw(spans: tuple[ReadableSpan, ...], parent: int | None, indent: str) -> None:
    """The spans under another, as a tree."""
    children = [span for span in spans if (span.parent.span_id if span.parent else None) == parent]
    for span in sorted(children, key=lambda span: span.name):
        context = span.get_span_context()
        assert context is not None
        print(f"{indent}{span.name} ({span.kind.name.lower()}) {sorted(span.attributes or {})}")
        _draw(spans, context.span_id, indent + "  ")


if __name__ == "__main__":
    asyncio.run(main())
