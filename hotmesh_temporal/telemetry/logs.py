"""The log of a process: for people, or one JSON object a line for programs. Both say which request a line is about."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from typing import Any, Literal

from ..frontend.current import REQUEST
from .subjects import subject

LogFormat = Literal["text", "json"]

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to_stderr(level: str, form: LogFormat) -> None:
    """Send the log of this process to the standard error stream, from that level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_TextFormatter(_TEXT) if form == "text" else _json_formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def context() -> dict[str, str]:
    """What the running request is about: ``operation``, and as far as it names them ``namespace``, ``workflow_id`` and
    ``run_id``. Empty for what no request has set off.
    """
    current = REQUEST.get()
    if current is None:
        return {}
    operation, request = current
    return {"operation": operation, **subject(request)}


class _TextFormatter(logging.Formatter):
    """Appends what the line is about to the message."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        text = super().formatMessage(record)
        about = ", ".join(f"{name} {value}" for name, value in context().items())
        return f"{text} ({about})" if about else text


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    class Formatter(JsonFormatter):
        """``time``, ``level``, ``logger``, ``message``, what it is about, what was passed as extra, and the error."""

        def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
            log_data["time"] = self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03}Z"
            log_data["level"] = record.levelname.lower()
            log_data["logger"] = record.name
            log_data["message"] = record.getMessage()
            log_data.update(context())
            super().add_fields(log_data, record, {})
            if record.exc_info and record.exc_info[1] is not None:
                log_data["error"] = _error(record.exc_info[1])

    formatter = Formatter("")
    formatter.converter = _utc
    return formatter


def _utc(seconds: float | None) -> time.struct_time:
    return time.gmtime(seconds)


def _error(error: BaseException) -> dict[str, str]:
    return {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
