"""What every request has to pass first: its namespace exists, and is in a state that allows it."""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.message import Message
from temporalio.api.enums.v1 import NamespaceState

from ..errors import invalid_argument, namespace_in_wrong_state, namespace_not_found
from ..runtime.namespaces import DELETED, DEPRECATED, REGISTERED, NamespaceRecord
from ..runtime.service import Runtime
from .validate import ID_LENGTH

_OPEN_TO_ALL = frozenset({"RegisterNamespace", "DescribeNamespace", "ListNamespaces", "DeleteNamespace"})
"""They look at the name themselves."""

_OWN_WORDS = frozenset(
    {
        "UpdateNamespace", "DeprecateNamespace",
        "AddSearchAttributes", "RemoveSearchAttributes", "ListSearchAttributes",
    }
)  # fmt: skip
"""They have words of their own for a request without a namespace."""

_STARTS = frozenset({"StartWorkflowExecution", "SignalWithStartWorkflowExecution"})
"""What a deprecated namespace does not allow any more."""

_STATE_NAMES = {REGISTERED: "Registered", DEPRECATED: "Deprecated", DELETED: "Deleted"}

_NAMED: dict[type[Message], bool] = {}
"""Which requests name a namespace."""


async def admit(runtime: Runtime, method: str, request: Any) -> None:
    """Raise INVALID_ARGUMENT, NOT_FOUND or FAILED_PRECONDITION unless the request may come in."""
    kind = cast("type[Message]", type(request))
    named = _NAMED.get(kind)
    if named is None:
        named = _NAMED[kind] = "namespace" in kind.DESCRIPTOR.fields_by_name
    if not named or method in _OPEN_TO_ALL:
        return
    name: str = request.namespace
    if not name:
        # An answer to a task may leave it out: its token knows it.
        if method in _OWN_WORDS or "task_token" in kind.DESCRIPTOR.fields_by_name:
            return
        raise invalid_argument("Namespace is empty.")
    record = runtime.namespaces.fresh(name) or await _find(runtime, name)
    if record.state != REGISTERED:
        _check_state(record, method)


async def _find(runtime: Runtime, name: str) -> NamespaceRecord:
    if len(name.encode()) > ID_LENGTH:
        raise invalid_argument("Namespace length exceeds limit.")
    record = await runtime.namespaces.find(name)
    if record is None:
        raise namespace_not_found(name)
    return record


def _check_state(record: NamespaceRecord, method: str) -> None:
    allowed = (REGISTERED,) if method in _STARTS else (REGISTERED, DEPRECATED)
    if record.state not in allowed:
        names = " or ".join(_STATE_NAMES[each] for each in allowed)
        raise namespace_in_wrong_state(
            record.name,
            NamespaceState.ValueType(record.state),
            [NamespaceState.ValueType(each) for each in allowed],
            f"Namespace has invalid state: {_STATE_NAMES[record.state]}. Must be {names}.",
        )
