"""Search attributes of a namespace: add, remove, list (operator service), and GetSearchAttributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    AddSearchAttributesResponse,
    ListSearchAttributesRequest,
    ListSearchAttributesResponse,
    RemoveSearchAttributesRequest,
    RemoveSearchAttributesResponse,
)
from temporalio.api.workflowservice.v1 import GetSearchAttributesRequest, GetSearchAttributesResponse

from ...engine.search_attributes import PREDEFINED, SYSTEM
from ...errors import invalid_argument, namespace_not_found
from ...runtime.attribute_symbols import COLUMNS, columns_of
from ...runtime.service import Runtime

if TYPE_CHECKING:
    from ..server import Call

_OWN_PREFIX = "Temporal"
"""Names that begin so are the service's own."""


async def add_search_attributes(
    runtime: Runtime, request: AddSearchAttributesRequest, call: Call
) -> AddSearchAttributesResponse:
    """Give the namespace search attributes. One that it has is left as it is, whatever its type."""
    del call
    if not request.search_attributes:
        raise invalid_argument("SearchAttributes are not set on request.")
    _check_namespace(request.namespace)
    for name, kind in request.search_attributes.items():
        if name in SYSTEM or name in PREDEFINED or name.startswith(_OWN_PREFIX):
            raise invalid_argument(f"Search attribute {name} is reserved by system.")
        if kind not in IndexedValueType.values():
            raise invalid_argument(f"Unknown search attribute type: {kind}.")
    await runtime.namespaces.add_attributes(request.namespace, dict(request.search_attributes))
    return AddSearchAttributesResponse()


async def remove_search_attributes(
    runtime: Runtime, request: RemoveSearchAttributesRequest, call: Call
) -> RemoveSearchAttributesResponse:
    """Take search attributes away from the namespace. Runs keep their values, and nobody sees them any more."""
    del call
    if not request.search_attributes:
        raise invalid_argument("SearchAttributes are not set on request.")
    _check_namespace(request.namespace)
    columns = {column for kind in COLUMNS for column in columns_of(kind)}
    custom = await runtime.namespaces.view(request.namespace, now=True)
    for name in request.search_attributes:
        if name in SYSTEM or name in PREDEFINED or (name in columns and name not in custom.attributes):
            raise invalid_argument(f"Unable to remove non-custom search attributes: {name}.")
    await runtime.namespaces.remove_attributes(request.namespace, list(request.search_attributes))
    return RemoveSearchAttributesResponse()


async def list_search_attributes(
    runtime: Runtime, request: ListSearchAttributesRequest, call: Call
) -> ListSearchAttributesResponse:
    """The search attributes of the namespace, right now, and those that every namespace has."""
    del call
    _check_namespace(request.namespace)
    record = await runtime.namespaces.find(request.namespace, now=True)
    if record is None:
        raise namespace_not_found(request.namespace)
    return ListSearchAttributesResponse(
        custom_attributes=_kinds(record.kinds), system_attributes=_kinds({**SYSTEM, **PREDEFINED})
    )


async def get_search_attributes(
    runtime: Runtime, request: GetSearchAttributesRequest, call: Call
) -> GetSearchAttributesResponse:
    """What every namespace has, and the columns that custom attributes can get on a Temporal server."""
    del runtime, request, call
    columns = {column: kind for kind in COLUMNS for column in columns_of(kind)}
    return GetSearchAttributesResponse(keys=_kinds({**SYSTEM, **PREDEFINED, **columns}))


def _check_namespace(name: str) -> None:
    if not name:
        raise invalid_argument("Namespace is not set on request.")


def _kinds(kinds: dict[str, int]) -> dict[str, IndexedValueType.ValueType]:
    return {name: IndexedValueType.ValueType(kind) for name, kind in kinds.items()}
