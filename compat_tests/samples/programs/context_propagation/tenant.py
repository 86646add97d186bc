"""Whom all this is done for: a context variable, and interceptors that take it along."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import temporalio.client
import temporalio.worker
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter, default

HEADER = "tenant"
tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class HasHeaders(Protocol):
    """What all inputs of interceptors have."""

    headers: Mapping[str, Payload]


def send(input: HasHeaders, converter: PayloadConverter) -> None:
    """Write the tenant into the headers."""
    input.headers = {**input.headers, HEADER: converter.to_payload(tenant.get())}


@contextmanager
def received(input: HasHeaders, converter: PayloadConverter) -> Generator[None]:
    """For the time of a call, the tenant is that of its headers."""
    if HEADER not in input.headers:
        yield
        return
    token = tenant.set(converter.from_payload(input.headers[HEADER], str))
    try:
        yield
    finally:
        tenant.reset(token)


class Tenants(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """For clients and their workers."""

    def intercept_client(self, next: temporalio.client.OutboundInterceptor) -> temporalio.client.OutboundInterceptor:
        """See base class."""
        return FromClient(next)

    def intercept_activity(
        self, next: temporalio.worker.ActivityInboundInterceptor
    ) -> temporalio.worker.ActivityInboundInterceptor:
        """See base class."""
        return IntoActivity(next)

    def workflow_interceptor_class(
        self, input: temporalio.worker.WorkflowInterceptorClassInput
    ) -> type[temporalio.worker.WorkflowInboundInterceptor]:
        """See base class."""
        return IntoWorkflow


class FromClient(temporalio.client.OutboundInterceptor):
    """Starts and signals."""

    async def start_workflow(
        self, input: temporalio.client.StartWorkflowInput
    ) -> temporalio.client.WorkflowHandle[Any, Any]:
        """See base class."""
        send(input, default().payload_converter)
        return await super().start_workflow(input)

    async def signal_workflow(self, input: temporalio.client.SignalWorkflowInput) -> None:
        """See base class."""
        send(input, default().payload_converter)
        await super().signal_workflow(input)


class IntoActivity(temporalio.worker.ActivityInboundInterceptor):
    """The other end of `FromWorkflow`."""

    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:
        """See base class."""
        with received(input, activity.payload_converter()):
            return await self.next.execute_activity(input)


class IntoWorkflow(temporalio.worker.WorkflowInboundInterceptor):
    """Runs and signals."""

    def init(self, outbound: temporalio.worker.WorkflowOutboundInterceptor) -> None:
        """See base class."""
        self.next.init(FromWorkflow(outbound))

    async def execute_workflow(self, input: temporalio.worker.ExecuteWorkflowInput) -> Any:
        """See base class."""
        with received(input, workflow.payload_converter()):
            return await self.next.execute_workflow(input)

    async def handle_signal(self, input: temporalio.worker.HandleSignalInput) -> None:
        """See base class."""
        with received(input, workflow.payload_converter()):
            await self.next.handle_signal(input)


class FromWorkflow(temporalio.worker.WorkflowOutboundInterceptor):
    """Activities."""

    def start_activity(self, input: temporalio.worker.StartActivityInput) -> workflow.ActivityHandle[Any]:
        """See base class."""
        send(input, workflow.payload_converter())
        return self.next.start_activity(input)
