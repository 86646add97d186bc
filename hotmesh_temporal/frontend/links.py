"""Checks of the links that a request wants to leave on events."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.common.v1 import Link

from ..engine.limits import Limits
from ..errors import invalid_argument

_REQUIRED = {
    "workflow_event": ("workflow event", ("namespace", "workflow_id", "run_id")),
    "batch_job": ("batch job", ("job_id",)),
    "activity": ("activity", ("namespace", "activity_id", "run_id")),
    "nexus_operation": ("nexus operation", ("namespace", "operation_id", "run_id")),
}
"""What a kind of link must name, in the order in which the server looks."""

_TITLES = {
    "namespace": "namespace field",
    "workflow_id": "workflow ID field",
    "run_id": "run ID field",
    "job_id": "job ID",
    "activity_id": "activity ID field",
    "operation_id": "operation ID field",
}


def check_links(links: Sequence[Link], limits: Limits) -> None:
    """Links are few, small and complete. Raises INVALID_ARGUMENT."""
    if len(links) > limits.links:
        raise invalid_argument(f"cannot attach more than {limits.links} links per request, got {len(links)}")
    for link in links:
        if link.ByteSize() > limits.link_size:
            raise invalid_argument(f"link exceeds allowed size of {limits.link_size}, got {link.ByteSize()}")
        _check(link)


def _check(link: Link) -> None:
    kind = link.WhichOneof("variant")
    if kind not in _REQUIRED:
        raise invalid_argument("unsupported link variant")
    title, required = _REQUIRED[kind]
    part = getattr(link, kind)
    for name in required:
        if not getattr(part, name):
            raise invalid_argument(f"{title} link must not have an empty {_TITLES[name]}")
    reference = link.workflow_event.event_ref
    if reference.event_id and not reference.event_type:
        raise invalid_argument("workflow event link ref cannot have an unspecified event type and a non-zero event ID")
