"""With which reason a migration ends runs of the source: by it they are known, also to a client of both sides."""

from __future__ import annotations

POLICY = "by parent close policy"
"""With which a Temporal server ends children of a run that was ended."""

_BEGIN, _END = "moved to ", " by hotmesh-temporal migrate"


def reason_for(place: str) -> str:
    """With which reason runs of the source are ended: it says where they are now."""
    return f"{_BEGIN}{place}{_END}"


def is_reason(text: str) -> bool:
    """Whether a run that was ended with this reason was moved, wherever to."""
    return text.startswith(_BEGIN) and text.endswith(_END)
