"""JSON at rest."""

from __future__ import annotations

import json
from typing import Any

from hotmesh_temporal.contracts.errors import InvalidArgument


def json_text(value: Any, *, readable: bool = False) -> str:
    """A JSON value as text; raises `InvalidArgument` for what JSON does not have.

    ``readable``: letters beyond ASCII are not escaped, which is shorter, unless one of them cannot be encoded.
    """
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=not readable)
        if readable and not _encodable(text):
            return json_text(value)
        return text
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"not a JSON value: {error}") from error


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
