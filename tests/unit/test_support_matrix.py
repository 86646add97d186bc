"""The README's table of what runs on what is up to date: with the services, flags and targets, and with the record."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tomli

from compat_tests.targets import MORE_TARGETS, TARGETS
from tests.support.records import SERVER_OF_TARGET

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def matrix() -> ModuleType:
    """The script that draws it."""
    spec = importlib.util.spec_from_file_location("draw_matrix", ROOT / "docs" / "draw_matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def record(matrix: ModuleType) -> dict[str, Any]:
    """What was run."""
    return json.loads(matrix.RECORD.read_text())


def test_the_readme_is_what_make_docs_writes(matrix: ModuleType, record: dict[str, Any]) -> None:
    text = matrix.README.read_text()
    assert matrix.BEGIN in text
    assert text == matrix.page(text, record), "run `make docs`"


def test_every_provider_is_in_it(matrix: ModuleType, record: dict[str, Any]) -> None:
    project = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]
    ours = set(project["entry-points"]["hotmesh_temporal.providers"])
    assert {matrix.PROVIDER_OF.get(name, name) for name in record["kit"]} == ours
    assert set(record["kit"]) <= set(matrix.ROWS)


def test_every_target_is_in_it(matrix: ModuleType, record: dict[str, Any]) -> None:
    ours = {SERVER_OF_TARGET.get(name, name) for name in (*TARGETS, *MORE_TARGETS)} - {"temporal"}
    assert set(record["scenarios"]) == ours
    assert ours <= {matrix.TARGET_OF.get(name, name) for name in matrix.ROWS}


def test_every_service_that_is_offered_passed_the_kit(matrix: ModuleType, record: dict[str, Any]) -> None:
    for server, by_service in record["kit"].items():
        backend = matrix.backend_of(server)
        for service in ("store", "stream", "sub", "search"):
            passed = by_service.get(service, {}).get("passed", 0)
            assert (passed > 0) == (getattr(backend, service) is not None), (server, service)
            assert by_service.get(service, {}).get("failed", []) == [], (server, service)
