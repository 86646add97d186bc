"""What the service does not do yet: every RPC that is neither here nor in ``dispatch.HANDLERS`` is a mistake."""

from __future__ import annotations

_GROUPS: dict[str, tuple[str, ...]] = {
    "worker versioning and deployments are not there yet": (
        "UpdateWorkerBuildIdCompatibility",
        "GetWorkerBuildIdCompatibility",
        "UpdateWorkerVersioningRules",
        "GetWorkerVersioningRules",
        "GetWorkerTaskReachability",
        "DescribeDeployment",
        "DescribeWorkerDeploymentVersion",
        "ListDeployments",
        "GetDeploymentReachability",
        "GetCurrentDeployment",
        "SetCurrentDeployment",
        "SetWorkerDeploymentCurrentVersion",
        "DescribeWorkerDeployment",
        "DeleteWorkerDeployment",
        "DeleteWorkerDeploymentVersion",
        "SetWorkerDeploymentRampingVersion",
        "ListWorkerDeployments",
        "CreateWorkerDeployment",
        "CreateWorkerDeploymentVersion",
        "UpdateWorkerDeploymentVersionComputeConfig",
        "ValidateWorkerDeploymentVersionComputeConfig",
        "UpdateWorkerDeploymentVersionMetadata",
        "SetWorkerDeploymentManager",
    ),
    "Nexus operations are not there yet": (
        "PollNexusTaskQueue",
        "RespondNexusTaskCompleted",
        "RespondNexusTaskFailed",
        "StartNexusOperationExecution",
        "DescribeNexusOperationExecution",
        "PollNexusOperationExecution",
        "ListNexusOperationExecutions",
        "CountNexusOperationExecutions",
        "RequestCancelNexusOperationExecution",
        "TerminateNexusOperationExecution",
        "DeleteNexusOperationExecution",
    ),
    "workflow rules are not there yet": (
        "CreateWorkflowRule",
        "DescribeWorkflowRule",
        "DeleteWorkflowRule",
        "ListWorkflowRules",
        "TriggerWorkflowRule",
    ),
    "settings of workers are not there yet": (
        "FetchWorkerConfig",
        "UpdateWorkerConfig",
        "PollWorkflowExecutionTimeSkipping",
    ),
    "standalone activities are not there yet": (
        "StartActivityExecution",
        "DescribeActivityExecution",
        "PollActivityExecution",
        "ListActivityExecutions",
        "CountActivityExecutions",
        "RequestCancelActivityExecution",
        "TerminateActivityExecution",
        "DeleteActivityExecution",
    ),
    "operator commands are not there yet": (
        "AddOrUpdateRemoteCluster",
        "RemoveRemoteCluster",
        "GetNexusEndpoint",
        "CreateNexusEndpoint",
        "UpdateNexusEndpoint",
        "DeleteNexusEndpoint",
        "ListNexusEndpoints",
    ),
}

NOT_YET: dict[str, str] = {method: reason for reason, methods in _GROUPS.items() for method in methods}
"""RPC to the reason that the caller is told."""
