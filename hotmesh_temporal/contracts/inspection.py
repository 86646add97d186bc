"""Extensions that let somebody look at everything a provider keeps: for verification and export, not for the engine.

They change nothing and claim nothing. A walk over several pages is not a snapshot: what is written meanwhile may be
seen or not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from .commit import OutboxEntry, TimerWrite


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """A current-run pointer as it is stored. ``run_id`` is the job id of the run that it names."""

    pointer_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message that was not disposed of, wherever it is on its way. ``attempt`` counts its deliveries so far."""

    stream: str
    message_id: str
    data: str
    attempt: int = 0


class StoreInspection(ABC):
    """What a store keeps beside runs and histories (extension). Part of `StoreService`."""

    @abstractmethod
    async def list_current_runs(self, after: str = "", limit: int = 1000) -> list[CurrentRun]:
        """Current-run pointers in order of their id, from the first one greater than ``after`` (extension).

        One whose run's time ran out is left out; one whose run is not there at all is not.
        """

    @abstractmethod
    async def list_timers(self, after: str = "", limit: int = 1000) -> list[TimerWrite]:
        """Armed timers as they were armed, claimed ones too, in order of their id, from the first one greater than
        ``after`` (extension).
        """

    @abstractmethod
    async def list_outbox(self, after: str = "", limit: int = 1000) -> list[OutboxEntry]:
        """Entries that are not done, claimed ones too, the oldest first; those added after the entry ``after``
        (extension).
        """


class StreamInspection(ABC):
    """What a stream provider keeps (extension). Part of `StreamService`."""

    @abstractmethod
    async def list_messages(self, after: str = "", limit: int = 1000) -> list[StoredMessage]:
        """Messages of all streams of the app that are ready, delayed or in flight, not dead ones (extension).

        In order of publication; those after the message id ``after``. Their delivery is not affected.
        """
