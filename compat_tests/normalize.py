"""Turns recorded values into JSON that is equal on two servers exactly if they behaved alike.

What is normalized, and why, is listed in README.md; everything else is compared as it is.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, cast

import google.rpc.status_pb2
import temporalio.api.errordetails.v1  # pyright: ignore[reportUnusedImport]  (registers the types of details)
import temporalio.exceptions
from google.protobuf import descriptor_pool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.common.v1 import Payload
from temporalio.service import RPCError

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
HEX = re.compile(r"\b[0-9a-f]{32}\b")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
FAR_RUN = re.compile(r"^\d{6,}s$")
"""The wait for a run of a cron schedule that is weeks away: it depends on the second in which it is computed."""
COMPUTED_DURATION = re.compile(r"^\d+\.\d{4,}s$")
POSITION = re.compile(r"position \d+")
JITTER_FROM_ATTEMPT = 4
LONG_TEXT = 4000

VARYING_FIELDS = {
    "task_id": "<task id>",
    "history_size_bytes": "<size>",
    "execution_duration": "<duration>",
    "state_transition_count": "<count>",
    "task_token": "<token>",
    "next_page_token": "<token>",
}
"""Fields whose value says nothing about behaviour; only that they are set is compared."""

CLOCK_FIELDS = {"seconds", "nanos"}
"""How the SDK's local activity markers write times and durations into payloads."""

HINTS = {"poller_scaling_decision", "backlog_count_hint"}
"""Fields that are left out: advice to pollers by the momentary load, not behaviour."""

DEADLINE = {
    ("CANCELLED", "Timeout expired"),
    ("DEADLINE_EXCEEDED", "context deadline exceeded"),
    ("DEADLINE_EXCEEDED", "query timed out before a worker could process it"),
}
"""How a call ends whose deadline has passed: by whether its client or the server sees it first."""

FAILURE_FIELDS = (
    "type",
    "details",
    "non_retryable",
    "category",
    "next_retry_delay",
    "retry_state",
    "activity_type",
    "activity_id",
    "scheduled_event_id",
    "started_event_id",
    "identity",
    "last_heartbeat_details",
    "workflow_id",
    "workflow_type",
    "run_id",
    "status",
)


class Normalizer:
    """Replaces the names of one run of a scenario; the same value always gets the same placeholder."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = sorted(names.items(), key=lambda item: -len(item[0]))
        self._seen: dict[str, str] = {}
        self._counts = Counter[str]()

    def __call__(self, value: Any) -> Any:
        """`value` as plain JSON data."""
        return self._walk(plain(value))

    def _walk(self, value: Any, name: str = "uuid") -> Any:
        """`value` under the field `name`, which names the placeholders of the UUIDs first seen in it."""
        if isinstance(value, str):
            return self._text(value, name)
        if isinstance(value, list):
            return [self._walk(item, name) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            items = cast("dict[str, Any]", value)
            if items.keys() == CLOCK_FIELDS:
                return "<time>"
            return {self._text(k): self._field(k, v) for k, v in items.items() if k not in HINTS}
        return value

    def _field(self, name: str, value: Any) -> Any:
        if name in VARYING_FIELDS and value:
            return VARYING_FIELDS[name]
        if name == "core_used_flags":
            return sorted(value)
        if name == "current_retry_interval":
            return _tenths(value)
        if name == "workflow_task_scheduled_event_attributes":
            value = _without_jitter(value)
        if name == "workflow_execution_started_event_attributes":
            value = _without_pause(value)
        return self._walk(value, name)

    def _text(self, text: str, name: str = "uuid") -> str:
        for own, placeholder in self._names:
            text = text.replace(own, placeholder)
        if TIME.match(text):
            return "<time>"
        if COMPUTED_DURATION.match(text) or (name == "first_workflow_task_backoff" and FAR_RUN.match(text)):
            return "<computed>"
        text = UUID.sub(self._placeholder(name), HEX.sub("<hex>", text))
        text = POSITION.sub("position <n>", text)
        if len(text) > LONG_TEXT:
            return f"<{len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}>"
        return text

    def _placeholder(self, kind: str) -> Callable[[re.Match[str]], str]:
        def replace(match: re.Match[str]) -> str:
            if match[0] not in self._seen:
                self._counts[kind] += 1
                self._seen[match[0]] = f"<{kind} {self._counts[kind]}>"
            return self._seen[match[0]]

        return replace


def _tenths(duration: str) -> str:
    """A duration that the server measured between two of its clock readings, to a tenth of a second."""
    return f"{float(duration.rstrip('s')):.1f}s"


def _without_jitter(attributes: dict[str, Any]) -> dict[str, Any]:
    """The timeout of a workflow task grows at random from its fourth attempt on."""
    if attributes.get("attempt", 1) < JITTER_FROM_ATTEMPT:
        return attributes
    return {**attributes, "start_to_close_timeout": "<computed>"}


def _without_pause(attributes: dict[str, Any]) -> dict[str, Any]:
    """A run that continues another waits for the rest of a second, not at all if that one took longer."""
    if attributes.get("initiator") != "CONTINUE_AS_NEW_INITIATOR_WORKFLOW":
        return attributes
    return {"first_workflow_task_backoff": "<computed>", **attributes}


def plain(value: Any) -> Any:
    """`value` as data of dicts, lists, strings and numbers, with payloads decoded."""
    if isinstance(value, Message):
        return _message(value)
    if isinstance(value, BaseException):
        return describe_error(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return "<time>"
    if isinstance(value, timedelta):
        return f"{value.total_seconds()}s"
    return _container(value)


def _container(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in cast("Sequence[Any]", value)]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return f"{type(value).__name__}: {value}"


def _message(message: Message) -> Any:
    if isinstance(message, Payload):
        return _payload(MessageToDict(message))
    return _decode_payloads(MessageToDict(message, preserving_proto_field_name=True))


def _decode_payloads(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode_payloads(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, Any]", value)
    if isinstance(items.get("metadata"), dict) and "encoding" in items["metadata"]:
        return _payload(items)
    return {k: _decode_payloads(v) for k, v in items.items()}


def _payload(payload: Mapping[str, Any]) -> Any:
    """The metadata as text and the data as JSON where it is JSON, so that names inside of it are found."""
    metadata = {k: base64.b64decode(v).decode() for k, v in sorted(payload["metadata"].items())}
    return {**metadata, "data": _data(base64.b64decode(payload.get("data", "")))}


def _data(data: bytes) -> Any:
    try:
        return json.loads(data) if data else ""
    except ValueError:
        return {"bytes": base64.b64encode(data).decode()}


def describe_error(error: BaseException) -> Any:
    """Type, message, the fields that Temporal's errors carry, and the chain of causes."""
    known: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, RPCError) and (error.status.name, str(error)) in DEADLINE:
        known["message"] = "<deadline>"
    elif isinstance(error, RPCError):
        known |= {"status": error.status.name, "details": _status_details(error)}
    elif isinstance(error, temporalio.exceptions.TemporalError):
        for name in FAILURE_FIELDS:
            if (value := getattr(error, name, None)) not in (None, ()):
                known[name] = plain(value)
    if isinstance(error, temporalio.exceptions.TimeoutError):
        known["timeout"] = plain(error.type)
    if error.__cause__ is not None:
        known["cause"] = describe_error(error.__cause__)
    return known


def _status_details(error: RPCError) -> Any:
    status = google.rpc.status_pb2.Status.FromString(error.raw_grpc_status or b"")
    return [{"type": any_.type_url, **_any(any_.type_url, any_.value)} for any_ in status.details]


def _any(type_url: str, value: bytes) -> dict[str, Any]:
    name = type_url.rsplit("/", 1)[-1]
    message: Message = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))()
    message.ParseFromString(value)
    return cast("dict[str, Any]", _message(message))
