"""Every RPC of Temporal's services is answered, or refused with a reason; none is forgotten."""

from __future__ import annotations

import pytest
from temporalio.api.operatorservice.v1 import service_pb2 as operator_service
from temporalio.api.testservice.v1 import service_pb2 as test_service
from temporalio.api.workflowservice.v1 import service_pb2 as workflow_service

from hotmesh_temporal.errors import Code, RpcError
from hotmesh_temporal.frontend.dispatch import HANDLERS, handler_of
from hotmesh_temporal.frontend.unimplemented import NOT_YET

SERVICES = {
    "workflow": workflow_service.DESCRIPTOR.services_by_name["WorkflowService"],
    "operator": operator_service.DESCRIPTOR.services_by_name["OperatorService"],
    "test": test_service.DESCRIPTOR.services_by_name["TestService"],
}
METHODS = [(name, method.name) for name, service in SERVICES.items() for method in service.methods]


@pytest.mark.parametrize(("service", "method"), METHODS)
def test_answered_or_refused(service: str, method: str) -> None:
    assert (method in HANDLERS[service]) != (method in NOT_YET)


@pytest.mark.parametrize("service", SERVICES)
def test_only_methods_that_exist_are_answered(service: str) -> None:
    assert set(HANDLERS[service]) <= {method.name for method in SERVICES[service].methods}


def test_a_refusal_names_the_method_and_the_reason() -> None:
    method, reason = next(iter(NOT_YET.items()))
    with pytest.raises(RpcError, match=method) as refused:
        handler_of("workflow", method)
    assert refused.value.code == Code.UNIMPLEMENTED
    assert reason in refused.value.message


def test_what_is_in_no_service_is_refused() -> None:
    with pytest.raises(RpcError, match="no such method"):
        handler_of("workflow", "MakeCoffee")
