"""Honour or refuse, never ignore: the table of every field of every request that the service answers.

`refusal` looks a message up in it. A field without a row (of an SDK that is newer than the table) is refused like one
that is marked so; a test fails as soon as the installed protocol has such a field.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

from . import batches, commands, operations, parts, schedules, service, visibility, workers, workflows
from .rows import Rows

TABLE: dict[str, Rows] = {
    rows.name: rows
    for rows in (
        *workflows.ROWS,
        *workers.ROWS,
        *operations.ROWS,
        *batches.ROWS,
        *service.ROWS,
        *commands.ROWS,
        *parts.ROWS,
        *visibility.ROWS,
        *schedules.ROWS,
    )
}
"""Full name of a message to its rows."""

_UNKNOWN = "this version does not know it"
_APART = {"temporal.api.command.v1.Command"}
"""What is not looked into as part of a request: commands are looked up one by one, because one that asks for too much
fails its workflow task and not the request."""


def refusal(message: Message) -> str | None:
    """Why a message cannot be honoured: the first field that is set and refused, with the reason. None if it can."""
    rows = TABLE.get(message.DESCRIPTOR.full_name)
    if rows is None:
        return None
    for field, value in message.ListFields():
        name = field.name
        if name not in rows.honoured and name not in rows.no_effect:
            return f"{name} is not supported by hotmesh-temporal: {rows.refused.get(name, _UNKNOWN)}"
        part = field.message_type
        if part is not None and part.full_name in TABLE and part.full_name not in _APART and name in rows.honoured:
            wrong = _refusal_of_part(value)
            if wrong is not None:
                return f"{name}.{wrong}"
    return None


def _refusal_of_part(value: Message | Iterable[Message]) -> str | None:
    found = (refusal(each) for each in ((value,) if isinstance(value, Message) else value))
    return next((wrong for wrong in found if wrong is not None), None)
