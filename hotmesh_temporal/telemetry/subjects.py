"""What a request or an answer is about."""

from __future__ import annotations

from typing import Any


def subject(message: Any) -> dict[str, str]:
    """``namespace``, ``workflow_id`` and ``run_id``, as far as a message names them."""
    fields = message.DESCRIPTOR.fields_by_name
    found = {"namespace": message.namespace} if "namespace" in fields else {}
    for name in ("workflow_execution", "execution"):
        if name in fields and fields[name].message_type is not None and message.HasField(name):
            execution = getattr(message, name)
            found |= {"workflow_id": execution.workflow_id, "run_id": execution.run_id}
            break
    else:
        found |= {name: getattr(message, name) for name in ("workflow_id", "run_id") if name in fields}
    return {name: value for name, value in found.items() if value}
