"""Every public module of the SDK is found under our name and holds the same objects."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import temporalio
import temporalio.client
import temporalio.worker
from temporalio.worker.workflow_sandbox import SandboxRestrictions

import hotmesh_temporal.client
import hotmesh_temporal.worker
from hotmesh_temporal.client import ConnectOptions

# The names that each module had when the lists were made, by SDK version.
PINNED: dict[str, dict[str, list[str]]] = json.loads((Path(__file__).parent / "mirror_exports.json").read_text())
MODULES = sorted({module for names in PINNED.values() for module in names})
OURS = {("client", "Client"), ("worker", "Worker"), ("testing", "WorkflowEnvironment")}


def sdk(module: str) -> ModuleType:
    return importlib.import_module(f"temporalio.{module}")


def mirror(module: str) -> ModuleType:
    return importlib.import_module(f"hotmesh_temporal.{module}")


def exports(module: ModuleType) -> list[str]:
    """``__all__``, or what the module itself defines."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and name != "annotations"
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", module.__name__) == module.__name__
    )


@pytest.mark.parametrize("module", MODULES)
def test_every_name_is_the_same_object(module: str) -> None:
    for name in exports(sdk(module)):
        if (module, name) not in OURS:
            assert getattr(mirror(module), name) is getattr(sdk(module), name), name


@pytest.mark.parametrize("module", MODULES)
def test_the_names_are_those_that_we_know_of(module: str) -> None:
    """A release of the SDK that adds names is to be looked at; then its list is added."""
    version = temporalio.__version__.rpartition(".")[0]
    newest = max(PINNED, key=lambda known: tuple(map(int, known.split("."))))
    known = PINNED.get(version, PINNED[newest])[module]
    missing = [name for name in known if not hasattr(mirror(module), name)]
    assert missing == []
    if version in PINNED:
        assert exports(sdk(module)) == known


@pytest.mark.parametrize(
    "name",
    [
        "workflow",
        "workflow._definition",
        "worker.workflow_sandbox",
        "worker.workflow_sandbox._restrictions",
        "nexus.system",
        "contrib.pydantic",
        "api.workflowservice.v1",
        "api.common.v1.message_pb2",
    ],
)
def test_other_modules_are_the_sdks_own(name: str) -> None:
    try:
        expected = sdk(name)
    except ModuleNotFoundError as error:  # the optional dependency of a contrib module
        with pytest.raises(ModuleNotFoundError, match=str(error)):
            mirror(name)
    else:
        assert mirror(name) is expected
        assert expected.__spec__ is not None
        assert expected.__spec__.name == f"temporalio.{name}"


@pytest.mark.parametrize("name", ["nothing", "cli.nothing", "workflow.nothing", "bridge", "bridge.client"])
def test_what_is_not_there_is_reported_under_our_name(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"hotmesh_temporal\."):
        mirror(name)


def test_isinstance_answers_the_same_under_both_names() -> None:
    client = object.__new__(temporalio.client.Client)
    assert isinstance(client, hotmesh_temporal.client.Client)
    assert issubclass(hotmesh_temporal.client.Client, temporalio.client.Client)
    assert not isinstance(object(), hotmesh_temporal.client.Client)
    worker = object.__new__(temporalio.worker.Worker)
    assert isinstance(worker, hotmesh_temporal.worker.Worker)
    assert not isinstance(client, hotmesh_temporal.worker.Worker)


def test_a_subclass_of_the_users_keeps_its_own_instances() -> None:
    class Special(hotmesh_temporal.client.Client):
        pass

    assert not isinstance(object.__new__(hotmesh_temporal.client.Client), Special)
    assert isinstance(object.__new__(Special), hotmesh_temporal.client.Client)


def test_connect_takes_all_that_the_sdks_does() -> None:
    theirs = set(inspect.signature(temporalio.client.Client.connect).parameters) - {"target_host", "plugins"}
    assert theirs <= set(ConnectOptions.__annotations__)


def test_the_sandbox_passes_this_package_through() -> None:
    assert "hotmesh_temporal" in SandboxRestrictions.default.passthrough_modules


def test_importing_a_mirror_first_is_enough() -> None:
    """In a fresh process, in the order that a workflow file would use."""
    code = (
        "from hotmesh_temporal import workflow, activity\n"
        "import temporalio.workflow, sys\n"
        "assert workflow is temporalio.workflow is sys.modules['hotmesh_temporal.workflow']\n"
        "import hotmesh_temporal.api.enums.v1 as ours, temporalio.api.enums.v1 as theirs\n"
        "assert ours is theirs\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
