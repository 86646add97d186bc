"""The filter language of ListWorkers and CountWorkers: SQL-like conditions on what workers say of themselves.

As a Temporal server does it, a condition that cannot be evaluated (an unknown name, an operator that is not there, a
time that is none) is no error of the request: it holds for no worker.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from ..errors import RpcError, invalid_argument
from .list_filter.nodes import Between, Both, Column, Comparison, Either, Is, Node, Paren, Value, ValueType
from .list_filter.parser import parse_query

_TEXTS: dict[str, Callable[[WorkerHeartbeat], str]] = {
    "WorkerInstanceKey": lambda worker: worker.worker_instance_key,
    "WorkerIdentity": lambda worker: worker.worker_identity,
    "HostName": lambda worker: worker.host_info.host_name,
    "TaskQueue": lambda worker: worker.task_queue,
    "DeploymentName": lambda worker: worker.deployment_version.deployment_name,
    "BuildId": lambda worker: worker.deployment_version.build_id,
    "SdkName": lambda worker: worker.sdk_name,
    "SdkVersion": lambda worker: worker.sdk_version,
    "Status": lambda worker: _status(worker),
    "WorkerStatus": lambda worker: _status(worker),
}
_TIMES = {"StartTime": "start_time", "HeartbeatTime": "heartbeat_time"}
_TEXT_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "starts_with": str.startswith,
    "not starts_with": lambda text, prefix: not text.startswith(prefix),
}
_TIME_OPERATORS: dict[str, Callable[[datetime, datetime], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# What Go's RFC 3339 takes: both parts, and a zone.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


class _CannotTell(Exception):
    """This condition cannot be evaluated."""


def _status(worker: WorkerHeartbeat) -> str:
    name = WorkerStatus.Name(worker.status) if worker.status in WorkerStatus.values() else ""
    return name.removeprefix("WORKER_STATUS_").title().replace("_", "")


class WorkerFilter:
    """A query, ready to be asked of workers. An empty one holds for all."""

    def __init__(self, query: str) -> None:
        """INVALID_ARGUMENT for a text that is no condition."""
        self._condition = _parse(query) if query else None

    def matches(self, worker: WorkerHeartbeat) -> bool:
        """Whether it holds for this worker."""
        if self._condition is None:
            return True
        try:
            return _holds(self._condition, worker)
        except _CannotTell:
            return False


def _parse(query: str) -> Node:
    try:
        tree = parse_query(query)
    except RpcError as error:
        raise invalid_argument(
            error.message.replace("invalid query: malformed SQL query", "malformed query")
        ) from error
    if tree.limit:
        raise invalid_argument("operation is not supported: 'limit' clause")
    if tree.where is None:
        raise invalid_argument("malformed query: syntax error at position 0")
    return tree.where


def _holds(node: Node, worker: WorkerHeartbeat) -> bool:
    """NOT is only there as part of an operator."""
    if isinstance(node, Paren):
        return _holds(node.inner, worker)
    if isinstance(node, Both):
        return _holds(node.left, worker) and _holds(node.right, worker)
    if isinstance(node, Either):
        return _holds(node.left, worker) or _holds(node.right, worker)
    if isinstance(node, Is) and node.what in ("null", "not null"):
        return _is_null(_name(node.left), worker) == (node.what == "null")
    if isinstance(node, Between):
        return _between(node, worker) != node.negated
    if isinstance(node, Comparison):
        return _compare(node, worker)
    raise _CannotTell


def _is_null(name: str, worker: WorkerHeartbeat) -> bool:
    if name in _TIMES:
        return not worker.HasField(_TIMES[name])  # type: ignore[arg-type]  # the names are fields of it
    return not _text(name, worker)


def _between(node: Between, worker: WorkerHeartbeat) -> bool:
    name = _name(node.left)
    if name not in _TIMES or _is_null(name, worker):
        raise _CannotTell
    return _time(node.low) <= _time_of(name, worker) <= _time(node.high)


def _compare(node: Comparison, worker: WorkerHeartbeat) -> bool:
    name, sign = _name(node.left), "!=" if node.operator == "<>" else node.operator
    if name in _TIMES:
        if sign not in _TIME_OPERATORS:
            raise _CannotTell
        return _TIME_OPERATORS[sign](_time_of(name, worker), _time(node.right))
    value = _literal(node.right)
    if sign not in _TEXT_OPERATORS or not value:
        raise _CannotTell
    return _TEXT_OPERATORS[sign](_text(name, worker), value)


def _name(node: Node) -> str:
    if not isinstance(node, Column):
        raise _CannotTell
    return node.name


def _text(name: str, worker: WorkerHeartbeat) -> str:
    if name not in _TEXTS:
        raise _CannotTell
    return _TEXTS[name](worker)


def _literal(node: Node) -> str:
    if not isinstance(node, Value) or node.type is not ValueType.STRING:
        raise _CannotTell
    return node.text


def _time_of(name: str, worker: WorkerHeartbeat) -> datetime:
    """A time that is not there is the beginning of all times."""
    found: Timestamp = getattr(worker, _TIMES[name])
    return found.ToDatetime(timezone.utc) if worker.HasField(_TIMES[name]) else _EPOCH  # type: ignore[arg-type]  # as above


def _time(node: Node) -> datetime:
    """A text, or nanoseconds since the epoch."""
    if isinstance(node, Value) and node.type is ValueType.INT:
        return _EPOCH + timedelta(microseconds=int(node.text) // 1000)
    text = _literal(node)
    if not _TIME.fullmatch(text):
        raise _CannotTell
    # Up to Python 3.10 only fractions of three or six digits are read.
    text = re.sub(r"\.(\d+)", lambda found: f".{found[1][:6]:0<6}", text)
    try:
        return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except ValueError as error:
        raise _CannotTell from error
