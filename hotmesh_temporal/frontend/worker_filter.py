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
from sqlglot import exp, parse_one
from sqlglot.errors import ParseError, SqlglotError
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from ..errors import RpcError, invalid_argument

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
_TEXT_OPERATORS: dict[type[exp.Expr], Callable[[str, str], bool]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.StartsWith: str.startswith,
}
_TIME_OPERATORS: dict[type[exp.Expr], Callable[[datetime, datetime], bool]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}
_PREFIX = re.compile(r"([`\w]+)\s+(NOT\s+)?STARTS_WITH\s+('(?:[^']|'')*'|\"[^\"]*\")", re.IGNORECASE)
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


def _parse(query: str) -> exp.Expr:
    text = _PREFIX.sub(lambda found: f"{found[2] or ''}STARTS_WITH({found[1]}, {found[3]})", query)
    try:
        tree = parse_one(f"SELECT 1 FROM t WHERE {text}", read="mysql")
    except SqlglotError as error:
        raise _malformed(error) from error
    where = tree.args.get("where")
    if not isinstance(tree, exp.Select) or where is None:
        raise _malformed(None)
    if tree.args.get("limit") is not None:
        raise invalid_argument("operation is not supported: 'limit' clause")
    return where.this


def _malformed(error: SqlglotError | None) -> RpcError:
    where = error.errors[0].get("col") if isinstance(error, ParseError) and error.errors else None
    return invalid_argument(f"malformed query: syntax error at position {where or 0}")


def _holds(node: exp.Expr, worker: WorkerHeartbeat) -> bool:
    if isinstance(node, exp.Paren):
        return _holds(node.this, worker)
    if isinstance(node, exp.And):
        return _holds(node.left, worker) and _holds(node.right, worker)
    if isinstance(node, exp.Or):
        return _holds(node.left, worker) or _holds(node.right, worker)
    if isinstance(node, exp.Not):
        return _holds_not(node.this, worker)
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        return _is_null(_name(node.this), worker)
    if isinstance(node, exp.Between):
        return _between(node, worker)
    return _compare(node, worker)


def _holds_not(node: exp.Expr, worker: WorkerHeartbeat) -> bool:
    """NOT is only there as part of an operator: IS NOT NULL, NOT BETWEEN, NOT STARTS_WITH."""
    if isinstance(node, (exp.Is, exp.Between, exp.StartsWith)):
        return not _holds(node, worker)
    raise _CannotTell


def _is_null(name: str, worker: WorkerHeartbeat) -> bool:
    if name in _TIMES:
        return not worker.HasField(_TIMES[name])  # type: ignore[arg-type]  # the names are fields of it
    return not _text(name, worker)


def _between(node: exp.Between, worker: WorkerHeartbeat) -> bool:
    name = _name(node.this)
    if name not in _TIMES or _is_null(name, worker):
        raise _CannotTell
    return _time(node.args["low"]) <= _time_of(name, worker) <= _time(node.args["high"])


def _compare(node: exp.Expr, worker: WorkerHeartbeat) -> bool:
    if not isinstance(node, (exp.Binary, exp.StartsWith)):
        raise _CannotTell
    name = _name(node.this)
    if name in _TIMES:
        if type(node) not in _TIME_OPERATORS:
            raise _CannotTell
        return _TIME_OPERATORS[type(node)](_time_of(name, worker), _time(node.expression))
    value = _literal(node.expression)
    if type(node) not in _TEXT_OPERATORS or not value:
        raise _CannotTell
    return _TEXT_OPERATORS[type(node)](_text(name, worker), value)


def _name(node: exp.Expr) -> str:
    if not isinstance(node, exp.Column):
        raise _CannotTell
    return node.name


def _text(name: str, worker: WorkerHeartbeat) -> str:
    if name not in _TEXTS:
        raise _CannotTell
    return _TEXTS[name](worker)


def _literal(node: exp.Expr) -> str:
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise _CannotTell
    return node.name


def _time_of(name: str, worker: WorkerHeartbeat) -> datetime:
    """A time that is not there is the beginning of all times."""
    found: Timestamp = getattr(worker, _TIMES[name])
    return found.ToDatetime(timezone.utc) if worker.HasField(_TIMES[name]) else _EPOCH  # type: ignore[arg-type]  # as above


def _time(node: exp.Expr) -> datetime:
    """A text, or nanoseconds since the epoch."""
    if isinstance(node, exp.Literal) and node.is_int:
        return _EPOCH + timedelta(microseconds=int(node.name) // 1000)
    text = _literal(node)
    if not _TIME.fullmatch(text):
        raise _CannotTell
    # Up to Python 3.10 only fractions of three or six digits are read.
    text = re.sub(r"\.(\d+)", lambda found: f".{found[1][:6]:0<6}", text)
    try:
        return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except ValueError as error:
        raise _CannotTell from error
