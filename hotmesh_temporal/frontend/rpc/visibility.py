"""Lists and counts of executions; the older ways of listing too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
)

from ...contracts.errors import InvalidArgument
from ...engine.attribute_values import KEYWORD, KIND_NAMES, encoded
from ...engine.context import Namespace
from ...engine.search_attributes import kind_of
from ...errors import RpcError, invalid_argument
from ...runtime.service import Runtime
from ..list_filter import ListFilter, parse
from ..list_filter.values import STATUSES

if TYPE_CHECKING:
    from ..server import Call

_DEFAULT_PAGE, _LARGEST_PAGE = 1000, 1000


async def parse_query(runtime: Runtime, text: str, namespace: str) -> ListFilter:
    """The filter of a query text. INVALID_ARGUMENT for what is not understood."""
    view = await runtime.namespaces.view(namespace)
    try:
        return parse(text, view)
    except RpcError:
        # A search attribute may just have been added by another process.
        now = await runtime.namespaces.view(namespace, now=True)
        if now is view:
            raise
        return parse(text, now)


async def list_workflow_executions(
    runtime: Runtime, request: ListWorkflowExecutionsRequest, call: Call
) -> ListWorkflowExecutionsResponse:
    """One page of the executions that match, the newest first."""
    del call
    query = await parse_query(runtime, request.query, request.namespace)
    size = min(request.page_size, _LARGEST_PAGE) if request.page_size > 0 else _DEFAULT_PAGE
    try:
        page = await runtime.search.query(
            request.namespace, query.condition, page_size=size, page_token=request.next_page_token
        )
    except InvalidArgument as error:
        raise invalid_argument(f"invalid next page token: {error}") from error
    namespace = await runtime.namespaces.view(request.namespace)
    return ListWorkflowExecutionsResponse(
        executions=[_entry(each.data, namespace) for each in page.documents],
        next_page_token=page.next_page_token,
    )


def _entry(data: bytes, namespace: Namespace) -> WorkflowExecutionInfo:
    """A list entry, without search attributes that the namespace does not have any more."""
    info = WorkflowExecutionInfo.FromString(data)
    fields = info.search_attributes.indexed_fields
    for name, payload in list(fields.items()):
        kind = kind_of(name, namespace)
        if kind is None or payload.metadata.get("type") != KIND_NAMES[kind].encode():
            del fields[name]
    return info


async def count_workflow_executions(
    runtime: Runtime, request: CountWorkflowExecutionsRequest, call: Call
) -> CountWorkflowExecutionsResponse:
    """How many executions match, in all or per status."""
    del call
    query = await parse_query(runtime, request.query, request.namespace)
    counts = await runtime.search.count(request.namespace, query.condition, group_by=query.group_by or None)
    response = CountWorkflowExecutionsResponse(count=sum(counts.values()))
    if query.group_by:
        for value in sorted(counts, key=_group_order):
            response.groups.add(count=counts[value]).group_values.append(encoded(str(value or ""), KEYWORD))
    return response


def _group_order(value: object) -> tuple[int, str]:
    """Statuses by their numbers, everything else by its text."""
    return next((number for number, name in STATUSES.items() if name == value), 0), str(value or "")
