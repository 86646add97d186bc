"""Store contract, part 4: routing tables, hook signals, work lists, time hooks and throttles.

The routing tables are keyed by app version; its id must be the app of ``init``, else `InvalidArgument`. Writing
merges entry by entry, an empty map is a no-op, an unknown version reads as empty. Values are JSON and come back as
they were.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from .types import AppVersion, HookSignal, StringMap, ThrottleOptions, TimeHookTask, Transaction


class RoutingStore(ABC):
    """What a compiled app version consists of."""

    @abstractmethod
    async def get_schema(self, activity_id: str, app_version: AppVersion) -> Any:
        """The schema of one activity, or None."""

    @abstractmethod
    async def get_schemas(self, app_version: AppVersion) -> dict[str, Any]:
        """Activity id to schema."""

    @abstractmethod
    async def set_schemas(self, schemas: Mapping[str, Any], app_version: AppVersion) -> None:
        """Merge schemas."""

    @abstractmethod
    async def set_subscriptions(self, subscriptions: StringMap, app_version: AppVersion) -> bool:
        """Merge ``topic -> trigger activity id``. True."""

    @abstractmethod
    async def get_subscriptions(self, app_version: AppVersion) -> dict[str, str]:
        """Topic to trigger activity id."""

    @abstractmethod
    async def get_subscription(self, topic: str, app_version: AppVersion) -> str | None:
        """The trigger activity id of one topic, or None."""

    @abstractmethod
    async def set_transitions(self, transitions: Mapping[str, Any], app_version: AppVersion) -> None:
        """Merge ``.<activity id> -> transitions``."""

    @abstractmethod
    async def get_transitions(self, app_version: AppVersion) -> dict[str, Any]:
        """``.<activity id>`` to transitions."""

    @abstractmethod
    async def set_hook_rules(self, hook_rules: Mapping[str, Sequence[Any]]) -> None:
        """Merge ``topic -> rules`` of the app (not per version). An empty list of rules removes the topic."""

    @abstractmethod
    async def get_hook_rules(self) -> dict[str, list[Any]]:
        """Topic to hook rules."""


class SignalStore(ABC):
    """Hook signals: who waits for ``(topic, resolved)``. All parts may hold any text."""

    @abstractmethod
    async def set_hook_signal(self, hook: HookSignal, transaction: Transaction | None = None) -> bool:
        """Register the waiter for ``hook.expire`` seconds (at least 1; HotMesh raises it to 3600, here it is kept).

        True: ``hook.job_id`` is the waiter (registering the same one again is fine and keeps the first time). False:
        another one waits already, and stays.
        """

    @abstractmethod
    async def get_hook_signal(self, topic: str, resolved: str) -> str | None:
        """The waiter, which stays registered; None if there is none or its time ran out."""

    @abstractmethod
    async def delete_hook_signal(self, topic: str, resolved: str) -> int:
        """Remove the waiter. 1 for exactly one of racing callers (the signal is consumed by that one), else 0."""

    @abstractmethod
    async def delist_signal_key(self, key: str, target: str) -> None:
        """Remove the waiter of ``target`` (``keys.signal_target``); ``key`` is ``mint_key(SIGNALS)``. Idempotent.

        Raises `InvalidArgument` for any other key.
        """


class WorkListStore(ABC):
    """Work lists: signal every job id of an index list (`JOB_STATS_INDEX`, see ``set_stats``), one at a time."""

    @abstractmethod
    async def add_task_queues(self, keys: Sequence[str]) -> None:
        """Queue work items, in this order; one that is queued already keeps its place. ``[]`` is a no-op."""

    @abstractmethod
    async def get_active_task_queue(self) -> str | None:
        """The work item that was queued first, or None. It stays queued."""

    @abstractmethod
    async def process_task_queue(self, source_key: str, destination_key: str) -> str | None:
        """Move the first id of the source list to the end of the destination list and return it; None if it is empty.

        Atomic: each id goes to exactly one caller, in order.
        """

    @abstractmethod
    async def delete_processed_task_queue(
        self, work_item_key: str, key: str, processed_key: str, scrub: bool = False
    ) -> None:
        """End a work item: remove it from the queue, and if this call removed it, tidy up in the same step.

        ``scrub``: drop the processed list and the counters of its bucket (``keys.stats_bucket_key(key)``). Else put the
        processed ids back, before what is left in ``key``. A caller that did not remove the item changes nothing.
        """


class TimeHookStore(ABC):
    """Time hooks: wake a job at a time. Apart from the timers of ``ExecutionStore``, though a provider may share code.

    ``deletion_time`` is in milliseconds since the epoch and is compared with the provider's clock.
    """

    @abstractmethod
    async def register_time_hook(
        self,
        job_id: str,
        gid: str,
        activity_id: str,
        type: str,
        deletion_time: int,
        dad: str,
        transaction: Transaction | None = None,
    ) -> None:
        """Arm a time hook for ``deletion_time``; one in the past is due at once.

        Two hooks are the same if all six values are; arming it again changes nothing. Ids may hold any text.
        """

    @abstractmethod
    async def get_next_task(self, list_key: str | None = None, *, lease_ms: int = 60_000) -> TimeHookTask | bool:
        """Claim the due hook with the lowest time (then in order of arming); nothing is returned before it is due.

        With ``list_key`` (``mint_key(TIME_RANGE, time_value=deletion_time)``) only of that time. True: that list has no
        due hook left, ask again without it. False: nothing is due. At least once: a claimed hook that is not acked
        comes back ``lease_ms`` (extension) after the claim; before that nobody else gets it.
        """

    @abstractmethod
    async def ack_time_hook(self, task: TimeHookTask) -> bool:
        """Remove a claimed hook for good. False if it was claimed again since, or is gone (extension)."""


class ThrottleStore(ABC):
    """Throttle rates that outlive a process. Milliseconds between two reads of a consumer."""

    @abstractmethod
    async def set_throttle_rate(self, options: ThrottleOptions) -> None:
        """Store the rate of a topic; without a topic: the rate of everything, removing those of topics in the same
        step.

        With ``guid`` nothing is stored (such a rate travels by sub only). -1 is kept and means paused. Raises
        `InvalidArgument` for a number that is not in -1..2**31-1.
        """

    @abstractmethod
    async def get_throttle_rates(self) -> dict[str, str]:
        """Topic to rate as stored, the rate of everything under ``:``; ``{}`` if none."""

    @abstractmethod
    async def get_throttle_rate(self, topic: str) -> int:
        """The topic's own rate, else that of everything (also for the topic ``:``), else 0. Paused: `MAX_DELAY_MS`."""
