"""Every limit of the service, with the Temporal server's default values.

The name in brackets is that of the server's dynamic configuration, where it has one. Sizes are bytes, durations
nanoseconds. There is one place for them, so that a test can run both servers with smaller ones.
"""

from __future__ import annotations

from dataclasses import dataclass

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be asked of one run, and of one request."""

    # Texts and payloads of requests and commands.
    id_length: int = 1000
    """Of every id and name (limit.maxIDLength)."""

    blob_size: int = 2 * 1024 * 1024
    """Of every payload (limit.blobSize.error)."""

    blob_kept: int = 512 * 1024
    """What is kept of a failure that is larger (limit.blobSize.warn)."""

    pending_failure_size: int = 4 * 1024
    """Of the failure of an attempt that is tried again (limit.mutableStateActivityFailureSize.error)."""

    message_size: int = 4 * 1024 * 1024
    """Of a whole request (the default of gRPC)."""

    memo_size: int = 2 * 1024 * 1024
    """Of a memo (limit.memoSize.error)."""

    answer_size: int = 40 * 1024 * 1024
    """Of the answer to a workflow task (as DescribeNamespace tells)."""

    search_attribute_size: int = 2 * 1024
    """Of the value of one (frontend.searchAttributesSizeOfValueLimit)."""

    search_attributes_size: int = 40 * 1024
    """Of all, with their names (frontend.searchAttributesTotalSizeLimit)."""

    links: int = 10
    """Per request (frontend.maxlinksPerRequest)."""

    link_size: int = 4000
    """(frontend.linkMaxSize)"""

    # Histories.
    history_suggest_count: int = 4 * 1024
    """Events from which on a worker is told to continue as new (limit.historyCount.suggestContinueAsNew)."""

    history_suggest_size: int = 4 * 1024 * 1024
    """The same for its size (limit.historySize.suggestContinueAsNew)."""

    history_count: int = 50 * 1024
    """Events from which on a run is terminated (limit.historyCount.error)."""

    history_size: int = 50 * 1024 * 1024
    """The same for its size (limit.historySize.error)."""

    state_size: int = 8 * 1024 * 1024
    """Of a run's stored state from which on it is terminated (limit.mutableStateSize.error)."""

    buffered_events: int = 100
    """That wait for a workflow task in flight (history.maximumBufferedEventsBatch)."""

    buffered_size: int = 2 * 1024 * 1024
    """The same for their size (history.maximumBufferedEventsSizeInBytes)."""

    # What a run may have pending.
    pending_activities: int = 2000
    """(limit.numPendingActivities.error)"""

    pending_children: int = 2000
    """(limit.numPendingChildExecutions.error)"""

    pending_signals: int = 2000
    """To other workflows (limit.numPendingSignals.error)."""

    pending_cancels: int = 2000
    """Requests to cancel other workflows (limit.numPendingCancelRequests.error)."""

    signals: int = 10_000
    """That a run takes (history.maximumSignalsPerExecution)."""

    updates: int = 2000
    """That a run takes (history.maxTotalUpdates)."""

    updates_in_flight: int = 10
    """At a time (history.maxInFlightUpdates)."""

    updates_in_flight_size: int = 20 * 1024 * 1024
    """Of their requests (history.maxInFlightUpdatePayloads)."""

    reset_points: int = 20
    """(history.maxAutoResetPoints)"""

    # Workflow tasks.
    task_timeout: int = 10 * SECOND
    """If none is given (history.defaultWorkflowTaskTimeout)."""

    task_timeout_maximum: int = 120 * SECOND

    task_heartbeat: int = 1800 * SECOND
    """How long local activities may keep one alive (history.workflowTaskHeartbeatTimeout)."""

    task_retry_minimum_attempts: int = 3
    task_retry_initial: int = 5 * SECOND
    task_retry_maximum: int = 600 * SECOND
    """(history.workflowTaskRetryMaxInterval)"""

    speculative_schedule_to_start: int = 5 * SECOND
    eager_activities: bool = True
    # Namespaces.
    shortest_retention: int = 3600 * SECOND
    """That a namespace may have (system.namespaceMinRetentionLocal)."""

    namespace_fresh: int = 30 * SECOND
    """How long a process uses what it knows of a namespace without looking (system.namespaceCacheRefreshInterval)."""

    upkeep_interval: int = 300 * SECOND
    """How often a process looks whether something is to be removed. A Temporal server has no such thing."""

    run_minimum_interval: int = SECOND
    """Between the starts of two runs of a chain (history.workflowIdReuseMinimalInterval)."""

    # Batch operations.
    batches: int = 1
    """At a time, per namespace (frontend.MaxConcurrentBatchOperationPerNamespace)."""

    batch_rate: float = 50.0
    """Operations per second of one (worker.batcherRPS)."""

    batch_concurrency: int = 5
    """Operations of one at a time (worker.batcherConcurrency)."""

    # Schedules. A Temporal server has them in its scheduler's code.
    schedule_buffer: int = 1000
    """Starts that wait, and backfills."""

    schedule_backfills: int = 10
    """Starts of a backfill at a time."""

    schedule_catchup_window: int = 365 * 86_400 * SECOND
    """If none is given."""

    schedule_catchup_minimum: int = 10 * SECOND

    schedule_retention: int = 7 * 86_400 * SECOND
    """How long a schedule is kept that has nothing to do any more."""

    schedule_notes: int = 1000
    """Length of the notes of a patch."""
