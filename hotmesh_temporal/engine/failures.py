"""Failures that are too large: what is kept of them."""

from __future__ import annotations

from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure, ServerFailureInfo

_OVERHEAD = 4
"""Bytes that the server reckons for each field beside its content."""


def too_large(failure: Failure, kept: int, *, non_retryable: bool) -> Failure:
    """What takes the place of a failure that exceeds a limit: ``kept`` bytes of it are the cause."""
    return Failure(
        message="Failure exceeds size limit.",
        cause=truncate(failure, kept),
        server_failure_info=ServerFailureInfo(non_retryable=non_retryable),
    )


def exceeds(what: str) -> Failure:
    """What an outcome that exceeds a limit becomes: ``what`` is for instance "Complete result exceeds"."""
    return Failure(message=f"{what} size limit.", server_failure_info=ServerFailureInfo(non_retryable=True))


def truncate(failure: Failure, size: int) -> Failure:
    """A failure of about ``size`` bytes: its texts are cut off, payloads are dropped."""
    kept, room = Failure(), size
    if failure.HasField("application_failure_info"):
        given = failure.application_failure_info
        kind, room = _cut(given.type, room - 2 * _OVERHEAD)
        kept.application_failure_info.CopyFrom(ApplicationFailureInfo(type=kind, non_retryable=given.non_retryable))
    elif failure.HasField("server_failure_info"):
        kept.server_failure_info.non_retryable = failure.server_failure_info.non_retryable
        room -= 2 * _OVERHEAD
    kept.source, room = _cut(failure.source, room)
    kept.message, room = _cut(failure.message, room)
    kept.stack_trace, room = _cut(failure.stack_trace, room)
    if failure.HasField("cause") and room > _OVERHEAD:
        kept.cause.CopyFrom(truncate(failure.cause, room - _OVERHEAD))
    return kept


def _cut(text: str, room: int) -> tuple[str, int]:
    """As much of a text as there is room for, without a broken character; and the room that is left."""
    if not text:
        return "", room
    fitting = text.encode()[: max(room, 0)].decode(errors="ignore")
    return fitting, room - len(fitting.encode()) - _OVERHEAD
