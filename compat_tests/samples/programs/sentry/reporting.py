"""An interceptor that reports every error of a workflow or an activity to Sentry, once."""

from __future__ import annotations

from typing import Any

from temporalio import activity, workflow
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

with workflow.unsafe.imports_passed_through():
    import sentry_sdk


class _Activities(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        with sentry_sdk.isolation_scope() as scope:
            scope.set_tag("temporal.activity", info.activity_type)
            scope.set_tag("temporal.workflow", info.workflow_id or "")
            scope.set_tag("temporal.attempt", info.attempt)
            try:
                return await super().execute_activity(input)
            except Exception:
                scope.set_context("arguments", {"values": list(input.args)})
                scope.capture_exception()
                raise


class _Workflows(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        info = workflow.info()
        with sentry_sdk.isolation_scope() as scope:
            scope.set_tag("temporal.type", info.workflow_type)
            scope.set_tag("temporal.workflow", info.workflow_id)
            try:
                return await super().execute_workflow(input)
            except Exception:
                # Sentry reads the clock and the environment, which workflow code must not.
                if not workflow.unsafe.is_replaying():
                    with workflow.unsafe.sandbox_unrestricted():
                        scope.capture_exception()
                raise


class Reporting(Interceptor):
    """Give it to a worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Around each activity."""
        return _Activities(super().intercept_activity(next))

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """Around each workflow."""
        return _Workflows
