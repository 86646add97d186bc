"""The kit is complete: every method of every service is called by it, every test class is exported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotmesh_temporal import conformance
from hotmesh_temporal.contracts import Backend, SearchService, StoreService, StreamService, SubService

KIT = Path(conformance.__file__).parent
SERVICES = {"store": StoreService, "stream": StreamService, "sub": SubService, "search": SearchService}
# What the kit calls a service when it does not call it by its name.
RECEIVERS = {
    "store": {"each", "stranger", "service"},
    "stream": {"each", "ours", "theirs", "publisher", "service"},
    "sub": {"service"},
    "search": set[str](),
}


def calls() -> Iterator[tuple[str, str]]:
    """``(receiver, method)`` of every method call in the kit."""
    for path in KIT.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                receiver = node.func.value
                if isinstance(receiver, ast.Subscript):
                    receiver = receiver.value
                if isinstance(receiver, ast.Call):
                    receiver = receiver.func
                if isinstance(receiver, ast.Name):
                    yield receiver.id, node.func.attr


def called(service: str) -> set[str]:
    """The methods that the kit calls on a service."""
    names = {service, f"peer_{service}", f"{service}_of", f"{service}s", *RECEIVERS[service]}
    return {method for receiver, method in calls() if receiver in names}


@pytest.mark.parametrize("service", SERVICES)
def test_every_method_is_called(service: str) -> None:
    abstract: frozenset[str] = SERVICES[service].__abstractmethods__
    assert abstract - called(service) == set()


def test_every_member_of_a_backend_is_used() -> None:
    members = {method for _, method in calls()} | {"identity"}
    assert Backend.__abstractmethods__ <= members


def test_every_test_class_is_exported() -> None:
    defined = {
        node.name
        for path in KIT.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    }
    assert defined <= set(conformance.__all__)
    assert all(hasattr(conformance, name) for name in conformance.__all__)
