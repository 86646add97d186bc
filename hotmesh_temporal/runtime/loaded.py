"""A run in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.api.history.v1 import HistoryEvent

from ..contracts.commit import EventBatch
from ..engine.model import ExecutionState


@dataclass(slots=True)
class Loaded:
    """A run as it is at ``revision``. ``tail`` are its last batches of events, without a gap up to the end."""

    job_id: str
    revision: int
    state: ExecutionState
    data: bytes
    origin: HistoryEvent
    tail: list[EventBatch] = field(default_factory=list[EventBatch])
    size: int = 0
    """About how many bytes it takes in memory; set when it is cached."""
