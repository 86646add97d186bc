"""Search attributes between their payloads and the values that a search index holds."""

from __future__ import annotations

import json
from datetime import datetime

from temporalio.api.common.v1 import Payload, SearchAttributes

from ..contracts.search import SearchValue
from ..engine.model import ExecutionState


def decode_attribute(payload: Payload) -> SearchValue | None:
    """The typed value; None for a null. A time becomes microseconds since the epoch."""
    if payload.metadata.get("encoding") == b"binary/null" or not payload.data:
        return None
    value = json.loads(payload.data)
    if payload.metadata.get("type") in (b"Datetime", b"6") and isinstance(value, str):
        return int(datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() * 1_000_000)
    return value


def search_attributes_of(state: ExecutionState) -> SearchAttributes:
    """What a reader sees: those of the workflow, the builds of its workers, and what is paused."""
    attributes = SearchAttributes.FromString(state.search_attributes)
    if state.build_ids:
        text = "[" + ",".join(f'"{each}"' for each in state.build_ids) + "]"
        payload = Payload(metadata={"encoding": b"json/plain", "type": b"KeywordList"}, data=text.encode())
        attributes.indexed_fields["BuildIds"].CopyFrom(payload)
    if state.paused_types:
        payload = Payload(
            metadata={"encoding": b"json/plain", "type": b"KeywordList"}, data=json.dumps(pauses_of(state)).encode()
        )
        attributes.indexed_fields["TemporalPauseInfo"].CopyFrom(payload)
    return attributes


def pauses_of(state: ExecutionState) -> list[str]:
    """What of the run is paused, as its search attribute ``TemporalPauseInfo`` says it."""
    return [f"property:activityType={each}" for each in state.paused_types]
