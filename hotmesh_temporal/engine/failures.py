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
    kept = Failure()
    if failure.HasField("application_failure_info"):
        given = failure.application_failure_info
        kind = _cut(given.type, size)
        kept.application_failure_info.CopyFrom(ApplicationFailureInfo(type=kind, non_retryable=given.non_retryable))
        size -= len(kind.encode()) + 3 * _OVERHEAD
    elif failure.HasField("server_failure_info"):
        kept.server_failure_info.non_retryable = failure.server_failure_info.non_retryable
        size -= _OVERHEAD
    for name in ("source", "message", "stack_trace"):
        if text := getattr(failure, name):
            text = _cut(text, size)
            setattr(kept, name, text)
            size -= len(text.encode()) + _OVERHEAD
    if failure.HasField("cause") and size > _OVERHEAD:
        kept.cause.CopyFrom(truncate(failure.cause, size - _OVERHEAD))
    return kept


def _cut(text: str, size: int) -> str:
    """At most ``size`` bytes of a text, and no broken character."""
    return text.encode()[: max(size, 0)].decode(errors="ignore")
