"""What the engine knows of one run: plain data, stored as MessagePack.

Times are nanoseconds since the Unix epoch (0: not set), durations nanoseconds (0: none). Payloads are kept as
serialized protobuf and never looked into. A run is more than its history in exactly these points, as on a Temporal
server: attempts, heartbeats and failures of pending activities, the attempt of the workflow task, buffered events.
"""

from __future__ import annotations

import msgspec

STATE_VERSION = 1

# temporal.api.enums.v1.WorkflowExecutionStatus
RUNNING = 1
COMPLETED = 2
FAILED = 3
CANCELED = 4
TERMINATED = 5
CONTINUED_AS_NEW = 6
TIMED_OUT = 7


class WorkflowTask(msgspec.Struct, omit_defaults=True):
    """The pending workflow task: scheduled, and started once ``started_at`` is set.

    With ``attempt`` > 1 it is transient: its events are not in the history until it completes. A ``speculative`` one
    only brings updates to a worker: it leaves no events if nothing comes of it.
    """

    scheduled_event_id: int
    attempt: int
    scheduled_at: int
    original_scheduled_at: int
    timeout: int
    queue: str
    sticky: bool = False
    schedule_deadline: int = 0
    started_event_id: int = 0
    started_at: int = 0
    request_id: str = ""
    identity: str = ""
    worker_version: bytes = b""
    history_size: int = 0
    suggest_continue_as_new: bool = False
    suggest_reasons: list[int] = []
    speculative: bool = False

    @property
    def unwritten(self) -> bool:
        """Its events are not in the history (yet): the task is transient or speculative."""
        return self.attempt > 1 or self.speculative


class Activity(msgspec.Struct, omit_defaults=True):
    """A pending activity. Its input stays in the history, in its scheduled event.

    ``original``: the ``ActivityOptions`` that it was scheduled with, once they were changed from outside. ``reset``:
    the attempt in the hands of a worker was begun before a reset; ``drops_heartbeat``: the next one shall not see the
    details of its heartbeats.
    """

    scheduled_event_id: int
    activity_id: str
    activity_type: str
    queue: str
    first_scheduled_at: int
    scheduled_at: int
    attempt: int = 1
    schedule_to_close: int = 0
    schedule_to_start: int = 0
    start_to_close: int = 0
    heartbeat: int = 0
    retry_initial: int = 0
    retry_coefficient: float = 2.0
    retry_maximum: int = 0
    retry_attempts: int = 0
    retry_expires_at: int = 0
    non_retryable: list[str] = []
    started_at: int = 0
    request_id: str = ""
    identity: str = ""
    heartbeat_at: int = 0
    heartbeat_details: bytes = b""
    last_failure: bytes = b""
    last_attempt_completed_at: int = 0
    last_worker_identity: str = ""
    cancel_requested: bool = False
    cancel_request_event_id: int = 0
    retry_at: int = 0
    retry_interval: int = 0
    stamp: int = 0
    priority: bytes | None = None
    original: bytes = b""
    paused_at: int = 0
    pause_identity: str = ""
    pause_reason: str = ""
    pause_request_id: str = ""
    reset: bool = False
    drops_heartbeat: bool = False

    @property
    def paused(self) -> bool:
        """No new attempt is made, and no timeout counts, until it is unpaused."""
        return self.paused_at != 0

    @property
    def started(self) -> bool:
        """A worker has the current attempt."""
        return self.started_at != 0


class Timer(msgspec.Struct, omit_defaults=True):
    """A user timer that has not fired."""

    timer_id: str
    started_event_id: int
    fires_at: int


class Update(msgspec.Struct, omit_defaults=True):
    """An update that the workflow has accepted, and maybe completed. Its request and outcome stay in the history.

    ``size``: bytes of its request.
    """

    accepted_event_id: int
    completed_event_id: int = 0
    size: int = 0


class AskedUpdate(msgspec.Struct, omit_defaults=True):
    """An update that no worker has decided about. ``sent_with``: started event id of the task that it went with.

    One that is in the history already (``admitted_event_id``) has no ``request`` here: the worker reads it there.
    """

    number: int
    request: bytes
    sent_with: int = 0
    admitted_event_id: int = 0


class RejectedUpdate(msgspec.Struct, omit_defaults=True):
    """The answer to an asked update that was rejected; without a failure the task that it went with was invalid."""

    number: int
    at: int
    failure: bytes = b""


class Child(msgspec.Struct, omit_defaults=True):
    """A child that has not ended: initiated, and started once ``run_id`` (the first of its chain) is known."""

    initiated_event_id: int
    workflow_id: str
    workflow_type: str
    policy: int
    header: bytes | None = None
    control: str = ""
    run_id: str = ""
    started_event_id: int = 0


class External(msgspec.Struct, omit_defaults=True):
    """A signal or a request to cancel on its way to another workflow."""

    initiated_event_id: int
    workflow_id: str
    run_id: str = ""
    control: str = ""
    child_only: bool = False


class ExecutionState(msgspec.Struct, omit_defaults=True):
    """One run."""

    namespace: str
    workflow_id: str
    run_id: str
    version: int = STATE_VERSION
    workflow_type: str = ""
    task_queue: str = ""
    first_run_id: str = ""
    start_request_id: str = ""
    parent_workflow_id: str = ""
    parent_run_id: str = ""
    parent_initiated_id: int = 0
    root_workflow_id: str = ""
    root_run_id: str = ""
    started_at: int = 0
    execution_at: int = 0
    status: int = RUNNING
    closed_at: int = 0
    next_event_id: int = 1
    history_size: int = 0
    run_timeout: int = 0
    execution_timeout: int = 0
    run_expires_at: int = 0
    execution_expires_at: int = 0
    task_timeout: int = 0
    attempt: int = 1
    sticky_queue: str = ""
    sticky_timeout: int = 0
    task: WorkflowTask | None = None
    task_attempt: int = 1
    last_task_started_id: int = 0
    last_task_completed_id: int = 0
    first_task_at: int = 0
    had_task: bool = False
    activities: dict[int, Activity] = {}
    timers: dict[str, Timer] = {}
    children: dict[int, Child] = {}
    signals: dict[int, External] = {}
    cancels: dict[int, External] = {}
    buffered: list[bytes] = []
    updates: dict[str, Update] = {}
    asked_updates: dict[str, AskedUpdate] = {}
    rejected_updates: list[RejectedUpdate] = []
    update_count: int = 0
    cancel_requested: bool = False
    close_attempted: bool = False
    memo: bytes = b""
    search_attributes: bytes = b""
    signal_count: int = 0
    transitions: int = 0
    worker_version: bytes = b""
    reset_points: bytes = b""
    build_ids: list[str] = []
    new_run_id: str = ""
    armed_at_ms: int = 0
    paused_types: list[str] = []
    reset_at: int = 0
    """When the run was made by a reset of another one (0: it was started). Its times count from there."""
    reset_request_id: str = ""
    reset_run_id: str = ""
    """The run that the last reset of this one has made."""
    gave_way: bool = False
    """A reset has ended this run: its children go on, and its parent waits for the run that follows."""
    priority: bytes | None = None
    deleting: bool = False
    """Somebody has asked to remove the run; the engine is about to."""
    schedule: str = ""
    """Which schedule waits for the end of the chain that the run belongs to: its incarnation, a slash, its id."""

    @property
    def running(self) -> bool:
        """The run is open."""
        return self.status == RUNNING

    @property
    def runs_since(self) -> int:
        """What the next run of the chain is timed from: a reset takes no account of a delay that was over before."""
        return self.started_at if self.reset_at else self.execution_at

    @property
    def continued_as_new(self) -> bool:
        """The workflow itself has gone on in another run, `new_run_id`."""
        return self.status == CONTINUED_AS_NEW

    @property
    def task_in_flight(self) -> bool:
        """A worker has a workflow task: events of others are buffered until it answers."""
        return self.task is not None and self.task.started_at != 0

    @property
    def waits_for_first_task(self) -> bool:
        """The first workflow task is held back by a start delay, a cron schedule or a retry's back-off."""
        return self.first_task_at != 0 and not self.had_task


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ExecutionState)


def encode_state(state: ExecutionState) -> bytes:
    """The stored form of a state."""
    return _encoder.encode(state)


def decode_state(data: bytes) -> ExecutionState:
    """The state of a stored form; also the way to get a private copy."""
    return _decoder.decode(data)
