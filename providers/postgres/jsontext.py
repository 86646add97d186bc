"""JSON at rest."""

from __future__ import annotations

import json
from typing import Any

from hotmesh_temporal.contracts.errors import InvalidArgument


def json_text(value: Any) -> str:
    """A JSON value as text; raises `InvalidArgument` for what JSON does not have."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"not a JSON value: {error}") from error
