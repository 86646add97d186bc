"""Which function answers which RPC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from ..errors import unimplemented
from ..runtime.service import Runtime
from .rpc import (
    activity_execution_operations,
    activity_operations,
    activity_tasks,
    batch,
    cancel,
    describe,
    execution_options,
    history,
    multi_operation,
    namespaces,
    query,
    reset,
    schedule_times,
    schedules,
    search_attributes,
    signal,
    start,
    system,
    task_queue_config,
    task_queues,
    time_skipping,
    update,
    visibility,
    worker,
    workers,
    workflow_tasks,
)
from .unimplemented import NOT_YET

if TYPE_CHECKING:
    from .server import Call

Handler = Callable[[Runtime, Any, "Call"], Awaitable[Message]]

HANDLERS: dict[str, dict[str, Handler]] = {
    "workflow": {
        "StartWorkflowExecution": start.start_workflow_execution,
        "SignalWorkflowExecution": signal.signal_workflow_execution,
        "SignalWithStartWorkflowExecution": signal.signal_with_start_workflow_execution,
        "RequestCancelWorkflowExecution": cancel.request_cancel_workflow_execution,
        "TerminateWorkflowExecution": cancel.terminate_workflow_execution,
        "DeleteWorkflowExecution": cancel.delete_workflow_execution,
        "ResetWorkflowExecution": reset.reset_workflow_execution,
        "UpdateWorkflowExecution": update.update_workflow_execution,
        "PollWorkflowExecutionUpdate": update.poll_workflow_execution_update,
        "ExecuteMultiOperation": multi_operation.execute_multi_operation,
        "QueryWorkflow": query.query_workflow,
        "RespondQueryTaskCompleted": query.respond_query_task_completed,
        "PollWorkflowTaskQueue": workflow_tasks.poll_workflow_task_queue,
        "RespondWorkflowTaskCompleted": workflow_tasks.respond_workflow_task_completed,
        "RespondWorkflowTaskFailed": workflow_tasks.respond_workflow_task_failed,
        "PollActivityTaskQueue": activity_tasks.poll_activity_task_queue,
        "RecordActivityTaskHeartbeat": activity_tasks.record_activity_task_heartbeat,
        "RecordActivityTaskHeartbeatById": activity_tasks.record_activity_task_heartbeat_by_id,
        "RespondActivityTaskCompleted": activity_tasks.respond_activity_task_completed,
        "RespondActivityTaskCompletedById": activity_tasks.respond_activity_task_completed_by_id,
        "RespondActivityTaskFailed": activity_tasks.respond_activity_task_failed,
        "RespondActivityTaskFailedById": activity_tasks.respond_activity_task_failed_by_id,
        "RespondActivityTaskCanceled": activity_tasks.respond_activity_task_canceled,
        "RespondActivityTaskCanceledById": activity_tasks.respond_activity_task_canceled_by_id,
        "UpdateWorkflowExecutionOptions": execution_options.update_workflow_execution_options,
        "PauseWorkflowExecution": execution_options.pause_workflow_execution,
        "UnpauseWorkflowExecution": execution_options.unpause_workflow_execution,
        "PauseActivity": activity_operations.pause_activity,
        "UnpauseActivity": activity_operations.unpause_activity,
        "ResetActivity": activity_operations.reset_activity,
        "UpdateActivityOptions": activity_operations.update_activity_options,
        "PauseActivityExecution": activity_execution_operations.pause_activity_execution,
        "UnpauseActivityExecution": activity_execution_operations.unpause_activity_execution,
        "ResetActivityExecution": activity_execution_operations.reset_activity_execution,
        "UpdateActivityExecutionOptions": activity_execution_operations.update_activity_execution_options,
        "GetWorkflowExecutionHistory": history.get_workflow_execution_history,
        "GetWorkflowExecutionHistoryReverse": history.get_workflow_execution_history_reverse,
        "DescribeWorkflowExecution": describe.describe_workflow_execution,
        "ListWorkflowExecutions": visibility.list_workflow_executions,
        "ListOpenWorkflowExecutions": visibility.list_open_workflow_executions,
        "ListClosedWorkflowExecutions": visibility.list_closed_workflow_executions,
        "ListArchivedWorkflowExecutions": visibility.list_archived_workflow_executions,
        "ScanWorkflowExecutions": visibility.scan_workflow_executions,
        "CountWorkflowExecutions": visibility.count_workflow_executions,
        "StartBatchOperation": batch.start_batch_operation,
        "StopBatchOperation": batch.stop_batch_operation,
        "DescribeBatchOperation": batch.describe_batch_operation,
        "ListBatchOperations": batch.list_batch_operations,
        "CreateSchedule": schedules.create_schedule,
        "DescribeSchedule": schedules.describe_schedule,
        "UpdateSchedule": schedules.update_schedule,
        "PatchSchedule": schedules.patch_schedule,
        "DeleteSchedule": schedules.delete_schedule,
        "ListSchedules": schedules.list_schedules,
        "CountSchedules": schedules.count_schedules,
        "ListScheduleMatchingTimes": schedule_times.list_schedule_matching_times,
        "DescribeNamespace": namespaces.describe_namespace,
        "ListNamespaces": namespaces.list_namespaces,
        "RegisterNamespace": namespaces.register_namespace,
        "UpdateNamespace": namespaces.update_namespace,
        "DeprecateNamespace": namespaces.deprecate_namespace,
        "GetSearchAttributes": search_attributes.get_search_attributes,
        "GetSystemInfo": system.get_system_info,
        "GetClusterInfo": system.get_cluster_info,
        "DescribeTaskQueue": task_queues.describe_task_queue,
        "ListTaskQueuePartitions": task_queues.list_task_queue_partitions,
        "UpdateTaskQueueConfig": task_queue_config.update_task_queue_config,
        "ResetStickyTaskQueue": worker.reset_sticky_task_queue,
        "ShutdownWorker": worker.shutdown_worker,
        "RecordWorkerHeartbeat": workers.record_worker_heartbeat,
        "ListWorkers": workers.list_workers,
        "CountWorkers": workers.count_workers,
        "DescribeWorker": workers.describe_worker,
    },
    "operator": {
        "DeleteNamespace": namespaces.delete_namespace,
        "AddSearchAttributes": search_attributes.add_search_attributes,
        "RemoveSearchAttributes": search_attributes.remove_search_attributes,
        "ListSearchAttributes": search_attributes.list_search_attributes,
        "ListClusters": system.list_clusters,
    },
    "test": {
        "LockTimeSkipping": time_skipping.lock_time_skipping,
        "UnlockTimeSkipping": time_skipping.unlock_time_skipping,
        "Sleep": time_skipping.sleep,
        "SleepUntil": time_skipping.sleep_until,
        "UnlockTimeSkippingWithSleep": time_skipping.unlock_time_skipping_with_sleep,
        "GetCurrentTime": time_skipping.get_current_time,
    },
    "health": {"Check": system.check_health},
}


def handler_of(service: str, method: str) -> Handler:
    """The function that answers an RPC. UNIMPLEMENTED for those that are not there (yet)."""
    handler = HANDLERS.get(service, {}).get(method)
    if handler is None:
        reason = NOT_YET.get(method, "no such method")
        raise unimplemented(f"{method} is not implemented by hotmesh-temporal: {reason}")
    return handler
