"""Task tokens and page tokens: opaque to callers, checked when they come back."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ..errors import RpcError, invalid_argument
from ..runtime.keys import RunKey


class WorkflowTaskToken(msgspec.Struct, tag="w", array_like=True, forbid_unknown_fields=True):
    """A workflow task in the hands of a worker."""

    namespace: str
    workflow_id: str
    run_id: str
    scheduled_event_id: int
    started_event_id: int
    attempt: int
    started_at: int = 0

    @property
    def run(self) -> RunKey:
        """The run that the task belongs to."""
        return RunKey(self.namespace, self.workflow_id, self.run_id)


class ActivityTaskToken(msgspec.Struct, tag="a", array_like=True, forbid_unknown_fields=True):
    """An attempt of an activity in the hands of a worker."""

    namespace: str
    workflow_id: str
    run_id: str
    scheduled_event_id: int
    attempt: int

    @property
    def run(self) -> RunKey:
        """The run that the activity belongs to."""
        return RunKey(self.namespace, self.workflow_id, self.run_id)


class QueryTaskToken(msgspec.Struct, tag="q", array_like=True, forbid_unknown_fields=True):
    """A query in the hands of a worker."""

    namespace: str
    query_id: str
    asker: str


class HistoryPageToken(msgspec.Struct, tag="h", array_like=True, forbid_unknown_fields=True):
    """Where a reader of a history is. ``before``: the end of the history when the reading began."""

    namespace: str
    workflow_id: str
    run_id: str
    next_event_id: int
    before: int
    running: bool
    for_worker: bool = False
    reverse: bool = False

    @property
    def run(self) -> RunKey:
        """The run whose history it is."""
        return RunKey(self.namespace, self.workflow_id, self.run_id)


_AnyTask = WorkflowTaskToken | ActivityTaskToken | QueryTaskToken
_T = TypeVar("_T", WorkflowTaskToken, ActivityTaskToken, QueryTaskToken)


def encode(token: msgspec.Struct) -> bytes:
    """The bytes to give away."""
    return msgspec.msgpack.encode(token)


def decode_task(kind: type[_T], data: bytes, namespace: str) -> _T:
    """The task of a token. INVALID_ARGUMENT if it is none of ours, or of another namespace."""
    if not data:
        raise invalid_argument("Task token not set on request.")
    try:
        token = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise invalid_argument("Error deserializing task token.") from error
    if namespace and token.namespace != namespace:
        raise invalid_argument("Operation requested with a token from a different namespace.")
    return token


def namespace_of_task(data: bytes) -> str:
    """The namespace that a task token names; empty if it is none of ours."""
    try:
        return msgspec.msgpack.decode(data, type=_AnyTask).namespace
    except (msgspec.DecodeError, msgspec.ValidationError):
        return ""


def decode_page(data: bytes, *, run_id: str, reverse: bool) -> HistoryPageToken:
    """The place in a history that a page token stands for.

    INVALID_ARGUMENT if it is none of ours, or of another run than the one that is asked for (if any is). No other
    workflow or namespace has that run, so it is not found there.
    """
    try:
        token = msgspec.msgpack.decode(data, type=HistoryPageToken)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise _bad_page() from error
    if run_id not in ("", token.run_id):
        raise invalid_argument("RunId in the request does not match the NextPageToken.")
    if token.reverse != reverse:
        raise _bad_page()
    return token


def _bad_page() -> RpcError:
    return invalid_argument("Invalid NextPageToken.")
