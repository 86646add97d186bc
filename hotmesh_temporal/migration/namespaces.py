"""Make a namespace on the target what it is on the source: its retention, its data, its custom search attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceResponse,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from ..runtime.namespaces import SYSTEM, NamespaceRecord
from .report import Report
from .source import Source
from .target import OPERATOR_SERVICE, Target

_REGISTERED = 1
_COLUMN = re.compile(r"(Bool|Datetime|Double|Int|Keyword|KeywordList|Text)\d\d")
"""What a server calls its columns for custom search attributes; applications give names of their own."""

_UNANSWERED = (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.NOT_FOUND)


def is_user_namespace(described: DescribeNamespaceResponse) -> bool:
    """One in which workflows of applications may be."""
    info = described.namespace_info
    return info.name != SYSTEM and info.state == _REGISTERED


async def move_namespace(
    source: Source, target: Target, described: DescribeNamespaceResponse, report: Report, *, dry_run: bool
) -> None:
    """Make it, or make it like that of the source if it is there already. What the target has beside that stays."""
    name = described.namespace_info.name
    kinds = await _attributes(source, name, report)
    found = await target.runtime.namespaces.find(name, now=True)
    report.namespaces.append(name)
    if dry_run:
        return
    await _make(target, described, found)
    if kinds:
        request = AddSearchAttributesRequest(namespace=name)
        request.search_attributes.update(kinds)  # type: ignore[arg-type]  # enum values are ints
        await target.call("AddSearchAttributes", request, service=OPERATOR_SERVICE)
        await _check_kinds(target, name, kinds, report)


async def _make(target: Target, described: DescribeNamespaceResponse, found: NamespaceRecord | None) -> None:
    info, retention = described.namespace_info, described.config.workflow_execution_retention_ttl
    if found is None:
        request = RegisterNamespaceRequest(
            namespace=info.name,
            description=info.description,
            owner_email=info.owner_email,
            workflow_execution_retention_period=retention,
        )
        request.data.update(info.data)
        await target.call("RegisterNamespace", request)
    elif found.retention != retention.ToNanoseconds():
        change = UpdateNamespaceRequest(namespace=info.name)
        change.config.workflow_execution_retention_ttl.CopyFrom(retention)
        await target.call("UpdateNamespace", change)


async def _attributes(source: Source, name: str, report: Report) -> dict[str, int]:
    """The custom search attributes of the source with their types."""
    request = ListSearchAttributesRequest(namespace=name)
    try:
        answer = await source.client.operator_service.list_search_attributes(request, retry=True)
    except RPCError as error:
        if error.status not in _UNANSWERED:
            raise
        report.notes.append(f"{name}: the source does not say which search attributes it has: add them yourself")
        return {}
    kinds: Mapping[str, int] = answer.custom_attributes
    return {attribute: kind for attribute, kind in kinds.items() if not _COLUMN.fullmatch(attribute)}


async def _check_kinds(target: Target, name: str, kinds: Mapping[str, int], report: Report) -> None:
    record = await target.runtime.namespaces.find(name, now=True)
    for attribute, kind in kinds.items():
        if record is not None and record.kinds.get(attribute) != kind:
            report.problems.append(f"{name}: search attribute {attribute} is of another type on the target")
