"""Lists and counts of executions; the older ways of listing too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    ListArchivedWorkflowExecutionsRequest,
    ListArchivedWorkflowExecutionsResponse,
    ListClosedWorkflowExecutionsRequest,
    ListClosedWorkflowExecutionsResponse,
    ListOpenWorkflowExecutionsRequest,
    ListOpenWorkflowExecutionsResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    ScanWorkflowExecutionsRequest,
    ScanWorkflowExecutionsResponse,
)

from ...contracts.search import All, Compare, Condition, Operator
from ...engine.attribute_values import KEYWORD, KIND_NAMES, encoded
from ...engine.context import Namespace
from ...engine.protos import moment
from ...engine.search_attributes import kind_of
from ...errors import RpcError, invalid_argument
from ...runtime.service import Runtime
from ...runtime.visibility import RUNNING
from ..list_filter import WITHOUT_DIVISION, ListFilter, parse
from ..list_filter.values import STATUS, STATUSES
from .pages import Paged, page_of

if TYPE_CHECKING:
    from ..server import Call

_RUNNING = STATUSES[1]


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
    """One page of the executions that match."""
    del call
    query = await parse_query(runtime, request.query, request.namespace)
    found = await _page(runtime, request, query.condition, request.page_size)
    return ListWorkflowExecutionsResponse(executions=found.entries, next_page_token=found.token)


async def scan_workflow_executions(
    runtime: Runtime, request: ScanWorkflowExecutionsRequest, call: Call
) -> ScanWorkflowExecutionsResponse:
    """The same as list. It is deprecated; on a Temporal server it may come in another order."""
    del call
    query = await parse_query(runtime, request.query, request.namespace)
    found = await _page(runtime, request, query.condition, request.page_size)
    return ScanWorkflowExecutionsResponse(executions=found.entries, next_page_token=found.token)


async def list_open_workflow_executions(
    runtime: Runtime, request: ListOpenWorkflowExecutionsRequest, call: Call
) -> ListOpenWorkflowExecutionsResponse:
    """One page of the executions that run: all, or those of a type or with an id."""
    del call
    parts = [WITHOUT_DIVISION, RUNNING, *_older_filters(runtime, request)]
    found = await _page(runtime, request, All(tuple(parts)), request.maximum_page_size)
    return ListOpenWorkflowExecutionsResponse(executions=found.entries, next_page_token=found.token)


async def list_closed_workflow_executions(
    runtime: Runtime, request: ListClosedWorkflowExecutionsRequest, call: Call
) -> ListClosedWorkflowExecutionsResponse:
    """One page of the closed executions: all, or those of a type, with an id or with a status."""
    del call
    parts = [WITHOUT_DIVISION, Compare(STATUS, Operator.NE, _RUNNING), *_older_filters(runtime, request)]
    if request.HasField("status_filter"):
        status = STATUSES.get(request.status_filter.status)
        if status in (None, STATUSES[0], _RUNNING):
            raise invalid_argument("StatusFilter must be specified and must be not Running.")
        parts.append(Compare(STATUS, Operator.EQ, status))
    found = await _page(runtime, request, All(tuple(parts)), request.maximum_page_size)
    return ListClosedWorkflowExecutionsResponse(executions=found.entries, next_page_token=found.token)


async def list_archived_workflow_executions(
    runtime: Runtime, request: ListArchivedWorkflowExecutionsRequest, call: Call
) -> ListArchivedWorkflowExecutionsResponse:
    """There is no archive, as on a Temporal server that has none."""
    del runtime, request, call
    raise invalid_argument("Cluster is not configured for visibility archival.")


def _older_filters(
    runtime: Runtime, request: ListOpenWorkflowExecutionsRequest | ListClosedWorkflowExecutionsRequest
) -> Iterator[Condition]:
    if request.HasField("start_time_filter"):
        given = request.start_time_filter
        earliest = moment(given.earliest_time)
        latest = moment(given.latest_time) if given.HasField("latest_time") else runtime.clock.now()
        if earliest > latest:
            raise invalid_argument("EarliestTime in StartTimeFilter should not be larger than LatestTime.")
        yield Compare("StartTime", Operator.BETWEEN, [earliest // 1000, latest // 1000])
    if request.HasField("execution_filter"):
        yield Compare("WorkflowId", Operator.EQ, request.execution_filter.workflow_id)
    if request.HasField("type_filter"):
        yield Compare("WorkflowType", Operator.EQ, request.type_filter.name)


class _Found(NamedTuple):
    entries: list[WorkflowExecutionInfo]
    token: bytes


async def _page(runtime: Runtime, request: Paged, condition: Condition, size: int) -> _Found:
    documents, token = await page_of(runtime, request, condition, size)
    namespace = await runtime.namespaces.view(request.namespace)
    return _Found([_entry(each.data, namespace) for each in documents], token)


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
