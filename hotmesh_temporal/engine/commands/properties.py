"""Change the search attributes and the memo of the running execution."""

from __future__ import annotations

from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import SearchAttributes
from temporalio.api.enums.v1 import CommandType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import (
    UpsertWorkflowSearchAttributesEventAttributes,
    WorkflowPropertiesModifiedEventAttributes,
)

from ...errors import TaskFailed
from .. import search_attributes
from .scope import CommandScope, require, require_size

_BAD_SEARCH = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
_BAD_PROPERTIES = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES


def upsert_search_attributes(scope: CommandScope, command: Command) -> None:
    """UpsertWorkflowSearchAttributes."""
    given = command.upsert_workflow_search_attributes_command_attributes
    name = "UpsertWorkflowSearchAttributesCommand"
    require(given.HasField("search_attributes"), _BAD_SEARCH, f"SearchAttributes is not set on {name}.")
    require(given.search_attributes.indexed_fields, _BAD_SEARCH, f"IndexedFields is not set on {name}.")
    _check(scope, given.search_attributes)
    fields = given.search_attributes.indexed_fields
    size = sum(len(key.encode()) + len(value.data) for key, value in fields.items())
    require_size(scope, size, _BAD_SEARCH, "UpsertWorkflowSearchAttributesCommandAttributes")
    scope.turn.record(
        UpsertWorkflowSearchAttributesEventAttributes(
            workflow_task_completed_event_id=scope.completed_id, search_attributes=given.search_attributes
        )
    )
    scope.turn.visibility_changed = True


def _check(scope: CommandScope, given: SearchAttributes) -> None:
    """They are of the namespace, valid, and together with those that are set not too large (that ends the run)."""
    namespace, limits = scope.namespace, scope.turn.ctx.limits
    wrong = search_attributes.unmapped(given, namespace) or search_attributes.invalid(given, namespace)
    require(wrong is None, _BAD_SEARCH, wrong or "")
    result = search_attributes.merged(SearchAttributes.FromString(scope.turn.state.search_attributes), given)
    wrong = search_attributes.too_large(given, namespace, limits) or search_attributes.too_large_together(
        result, namespace, limits
    )
    if wrong is not None:
        raise TaskFailed(_BAD_SEARCH, wrong, terminates=True)
    search_attributes.declare(given, namespace)


def modify_properties(scope: CommandScope, command: Command) -> None:
    """ModifyWorkflowProperties (the memo)."""
    given = command.modify_workflow_properties_command_attributes
    name = "ModifyWorkflowPropertiesCommand"
    require(given.HasField("upserted_memo"), _BAD_PROPERTIES, f"UpsertedMemo is not set on {name}.")
    require(given.upserted_memo.fields, _BAD_PROPERTIES, f"UpsertedMemo.Fields is not set on {name}.")
    size = sum(len(key.encode()) + len(value.data) for key, value in given.upserted_memo.fields.items())
    require_size(scope, size, _BAD_PROPERTIES, "ModifyWorkflowPropertiesCommandAttributes")
    scope.turn.record(
        WorkflowPropertiesModifiedEventAttributes(
            workflow_task_completed_event_id=scope.completed_id, upserted_memo=given.upserted_memo
        )
    )
    scope.turn.visibility_changed = True


HANDLERS = {
    CommandType.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: upsert_search_attributes,
    CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES: modify_properties,
}
