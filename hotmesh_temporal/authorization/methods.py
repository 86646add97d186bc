"""What each RPC does, and where: the table that roles are compared with.

It is the one of a Temporal server. A method without a row needs an administrator of the server; a test fails as soon as
the installed protocol has one.
"""

from __future__ import annotations

from .interface import Access, Scope

_WORKFLOW = "/temporal.api.workflowservice.v1.WorkflowService/"
_OPERATOR = "/temporal.api.operatorservice.v1.OperatorService/"
_TEST = "/temporal.api.testservice.v1.TestService/"

_OPEN = {
    "/grpc.health.v1.Health/": "Check Watch",
    "/grpc.reflection.v1.ServerReflection/": "ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/": "ServerReflectionInfo",
    _WORKFLOW: "GetSystemInfo",
}

_READ = """
    CountActivityExecutions CountNexusOperationExecutions CountSchedules CountWorkers CountWorkflowExecutions
    DescribeActivityExecution DescribeBatchOperation DescribeDeployment DescribeNamespace
    DescribeNexusOperationExecution DescribeSchedule DescribeTaskQueue DescribeWorker DescribeWorkerDeployment
    DescribeWorkerDeploymentVersion DescribeWorkflowExecution DescribeWorkflowRule FetchWorkerConfig
    GetCurrentDeployment GetDeploymentReachability GetWorkerBuildIdCompatibility GetWorkerTaskReachability
    GetWorkerVersioningRules GetWorkflowExecutionHistory GetWorkflowExecutionHistoryReverse ListActivityExecutions
    ListArchivedWorkflowExecutions ListBatchOperations ListClosedWorkflowExecutions ListDeployments
    ListNexusOperationExecutions ListOpenWorkflowExecutions ListScheduleMatchingTimes ListSchedules
    ListTaskQueuePartitions ListWorkerDeployments ListWorkers ListWorkflowExecutions ListWorkflowRules
    PollActivityExecution PollNexusOperationExecution PollWorkflowExecutionTimeSkipping PollWorkflowExecutionUpdate
    QueryWorkflow ScanWorkflowExecutions ValidateWorkerDeploymentVersionComputeConfig
"""

_WRITE = """
    CreateSchedule CreateWorkerDeployment CreateWorkerDeploymentVersion CreateWorkflowRule DeleteActivityExecution
    DeleteNexusOperationExecution DeleteSchedule DeleteWorkerDeployment DeleteWorkerDeploymentVersion
    DeleteWorkflowExecution DeleteWorkflowRule ExecuteMultiOperation PatchSchedule PauseActivity PauseActivityExecution
    PauseWorkflowExecution RequestCancelActivityExecution RequestCancelNexusOperationExecution
    RequestCancelWorkflowExecution ResetActivity ResetActivityExecution ResetWorkflowExecution SetCurrentDeployment
    SetWorkerDeploymentCurrentVersion SetWorkerDeploymentManager SetWorkerDeploymentRampingVersion
    SignalWithStartWorkflowExecution SignalWorkflowExecution StartActivityExecution StartBatchOperation
    StartNexusOperationExecution StartWorkflowExecution StopBatchOperation TerminateActivityExecution
    TerminateNexusOperationExecution TerminateWorkflowExecution TriggerWorkflowRule UnpauseActivity
    UnpauseActivityExecution UnpauseWorkflowExecution UpdateActivityExecutionOptions UpdateActivityOptions
    UpdateSchedule UpdateTaskQueueConfig UpdateWorkerBuildIdCompatibility UpdateWorkerConfig
    UpdateWorkerDeploymentVersionComputeConfig UpdateWorkerDeploymentVersionMetadata UpdateWorkerVersioningRules
    UpdateWorkflowExecution UpdateWorkflowExecutionOptions
"""

_TASKS = """
    PollActivityTaskQueue PollNexusTaskQueue PollWorkflowTaskQueue RecordActivityTaskHeartbeat
    RecordActivityTaskHeartbeatById RecordWorkerHeartbeat ResetStickyTaskQueue RespondActivityTaskCanceled
    RespondActivityTaskCanceledById RespondActivityTaskCompleted RespondActivityTaskCompletedById
    RespondActivityTaskFailed RespondActivityTaskFailedById RespondNexusTaskCompleted RespondNexusTaskFailed
    RespondQueryTaskCompleted RespondWorkflowTaskCompleted RespondWorkflowTaskFailed ShutdownWorker
"""

_ADMIN = "DeprecateNamespace RegisterNamespace UpdateNamespace"

_CLUSTER_READ = "GetClusterInfo GetSearchAttributes ListNamespaces"

_CLUSTER_ADMIN = """
    AddOrUpdateRemoteCluster CreateNexusEndpoint DeleteNexusEndpoint GetNexusEndpoint ListClusters ListNexusEndpoints
    RemoveRemoteCluster UpdateNexusEndpoint
"""

_TIME = "GetCurrentTime LockTimeSkipping Sleep SleepUntil UnlockTimeSkipping UnlockTimeSkippingWithSleep"


def _rows(prefix: str, names: str, scope: Scope, access: Access) -> dict[str, tuple[Scope, Access]]:
    return {prefix + name: (scope, access) for name in names.split()}


METHODS: dict[str, tuple[Scope, Access]] = {
    **_rows(_WORKFLOW, _READ, Scope.NAMESPACE, Access.READ),
    **_rows(_WORKFLOW, _WRITE + _TASKS, Scope.NAMESPACE, Access.WRITE),
    **_rows(_WORKFLOW, _ADMIN, Scope.NAMESPACE, Access.ADMIN),
    **_rows(_WORKFLOW, _CLUSTER_READ, Scope.CLUSTER, Access.READ),
    **_rows(_OPERATOR, "ListSearchAttributes", Scope.NAMESPACE, Access.READ),
    **_rows(_OPERATOR, "AddSearchAttributes DeleteNamespace RemoveSearchAttributes", Scope.NAMESPACE, Access.ADMIN),
    **_rows(_OPERATOR, _CLUSTER_ADMIN, Scope.CLUSTER, Access.ADMIN),
    **_rows(_TEST, _TIME, Scope.CLUSTER, Access.ADMIN),
}
METHODS.update(
    (prefix + name, (Scope.CLUSTER, Access.OPEN)) for prefix, names in _OPEN.items() for name in names.split()
)

OF_WORKERS = frozenset(_WORKFLOW + name for name in _TASKS.split()) | {
    # A worker asks for these before it polls, and when a history is too long for one message.
    _WORKFLOW + "DescribeNamespace",
    _WORKFLOW + "GetWorkflowExecutionHistory",
}
"""What a worker needs, and nothing else."""


def path_of(name: str) -> str:
    """The path of a method of the workflow service."""
    return _WORKFLOW + name


def needs(method: str) -> tuple[Scope, Access]:
    """What a method needs; of one that is not known, an administrator of the server."""
    return METHODS.get(method, (Scope.CLUSTER, Access.ADMIN))
