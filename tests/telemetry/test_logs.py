"""The log: what a line says, for people and for programs."""

from __future__ import annotations

import json
import logging
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest

from hotmesh_temporal.frontend.current import REQUEST
from hotmesh_temporal.telemetry.logs import LogFormat, log_to_stderr
from tests.support.server_process import ServerProcess


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """The root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def log_a_failure(form: LogFormat) -> None:
    """As the frontend does while it answers a request."""
    log_to_stderr("info", form)
    request = SignalWorkflowExecutionRequest(namespace="shop")
    request.workflow_execution.workflow_id = "order-1"
    token = REQUEST.set(("SignalWorkflowExecution", request))
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("hotmesh_temporal.test").exception("%s failed", "it", extra={"attempt": 3})
    finally:
        REQUEST.reset(token)
    logging.getLogger("hotmesh_temporal.test").debug("not shown")


def test_json_is_one_object_a_line_with_the_request_and_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    log_a_failure("json")
    logging.getLogger("other").info("of no request")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    error: dict[str, Any] = first.pop("error")
    assert (error["type"], error["message"]) == ("ValueError", "two\nlines")
    assert error["traceback"].startswith("Traceback")
    assert first == {
        "level": "error",
        "logger": "hotmesh_temporal.test",
        "message": "it failed",
        "operation": "SignalWorkflowExecution",
        "namespace": "shop",
        "workflow_id": "order-1",
        "attempt": 3,
    }
    assert set(second) == {"time", "level", "logger", "message"}


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log_a_failure("text")
    first, second, *_ = capsys.readouterr().err.splitlines()
    about = "(operation SignalWorkflowExecution, namespace shop, workflow_id order-1)"
    assert first.endswith(f"ERROR hotmesh_temporal.test: it failed {about}")
    assert second == "Traceback (most recent call last):"


def test_the_server_logs_json(tmp_path: Path) -> None:
    options = ("--log-format", "json", "--log-level", "debug")
    server = ServerProcess("--connection", f"sqlite:///{tmp_path}/logs.sqlite3", *options)
    server.wait()
    server.tell(signal.SIGTERM)
    code, errors = server.ended()
    assert code == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert lines
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
