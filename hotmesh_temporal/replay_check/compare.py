"""A history beside what the code did: the first place where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from .recording import Command

# Kind of command → the event that it makes. Those that are left out make none always, or more than one, or make them
# later: local activities, patches, search attributes (patches change them, too), cancellations, answers to updates.
_EVENT_OF = {
    "schedule_activity": EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    "start_timer": EventType.EVENT_TYPE_TIMER_STARTED,
    "start_child_workflow_execution": EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    "signal_external_workflow_execution": EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    "schedule_nexus_operation": EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED,
    "modify_workflow_properties": EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
    "complete_workflow_execution": EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
    "fail_workflow_execution": EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
    "cancel_workflow_execution": EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
    "continue_as_new_workflow_execution": EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
}
_EVENTS = frozenset(_EVENT_OF.values())
_LAST = ("complete_workflow_execution", "fail_workflow_execution", "cancel_workflow_execution")


@dataclass(frozen=True)
class Difference:
    """Where they differ. ``event`` is None where the history has nothing more, ``command`` where the code does not."""

    event: HistoryEvent | None
    command: Command | None

    @property
    def is_more(self) -> bool:
        """The code did all that is in the history, and more."""
        return self.event is None and self.command is not None


def first_difference(events: Sequence[HistoryEvent], commands: Sequence[Command]) -> Difference | None:
    """The first command that is not what the history has at its place; None if there is none."""
    recorded = [event for event in events if event.event_type in _EVENTS]
    given = _up_to_its_end([command for command in commands if command.kind in _EVENT_OF])
    for index in range(max(len(recorded), len(given))):
        event = recorded[index] if index < len(recorded) else None
        command = given[index] if index < len(given) else None
        if event is None or command is None or not _fits(event, command):
            return Difference(event, command)
    return None


def _up_to_its_end(commands: list[Command]) -> list[Command]:
    """Without what the code did after the workflow had ended."""
    for index, command in enumerate(commands):
        if command.kind in _LAST or command.kind.startswith("continue_as_new"):
            return commands[: index + 1]
    return commands


def _fits(event: HistoryEvent, command: Command) -> bool:
    if event.event_type != _EVENT_OF[command.kind]:
        return False
    # An activity of another type is another one; what else may change is said by the SDK.
    return command.kind not in ("schedule_activity", "start_child_workflow_execution") or about(event) == command.about


def about(event: HistoryEvent) -> str:
    """What an event is about, as `Command.about`."""
    field = event.WhichOneof("attributes")
    attributes = getattr(event, field) if field else None
    for name in ("activity_type", "workflow_type"):
        if attributes is not None and hasattr(attributes, name):
            return getattr(attributes, name).name
    return getattr(attributes, "signal_name", "") or getattr(attributes, "operation", "")


def event_name(event: HistoryEvent) -> str:
    """Such as "ActivityTaskScheduled charge"."""
    return f"{_camel(event.event_type)} {about(event)}".rstrip()


def command_name(command: Command) -> str:
    """The same of what a command makes."""
    made = _EVENT_OF.get(command.kind)
    return f"{_camel(made) if made is not None else command.kind} {command.about}".rstrip()


def _camel(kind: int) -> str:
    return EventType.Name(EventType.ValueType(kind)).removeprefix("EVENT_TYPE_").title().replace("_", "")
