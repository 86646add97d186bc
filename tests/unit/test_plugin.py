"""What `HotMeshPlugin` and the mirrored clients and workers do around the SDK's own."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import temporalio.client
import temporalio.worker
import temporalio.workflow
from temporalio.worker import UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import InvalidConnection
from hotmesh_temporal.plugin import HotMeshPlugin
from tests.unit.sandboxed import Sandboxed

# A user's restrictions that were written before this package was there: nothing of ours is passed through.
OWN_RESTRICTIONS = dataclasses.replace(
    SandboxRestrictions.default,
    passthrough_modules=SandboxRestrictions.passthrough_modules_maximum - {"hotmesh_temporal"},
)


def load(runner: SandboxedWorkflowRunner) -> None:
    """Import the workflow in the sandbox, as a worker does when it is made. A second copy of a module is an error."""
    definition: Any = temporalio.workflow._Definition.must_from_class(Sandboxed)  # pyright: ignore[reportPrivateUsage]
    runner.prepare_workflow(definition)


async def test_the_default_sandbox_loads_a_workflow_with_changed_imports() -> None:
    load(SandboxedWorkflowRunner())


async def test_the_plugin_adds_the_package_to_restrictions_of_the_users() -> None:
    config = temporalio.worker.WorkerConfig(workflow_runner=SandboxedWorkflowRunner(OWN_RESTRICTIONS))
    configured: dict[str, Any] = dict(HotMeshPlugin().configure_worker(config))
    runner = configured["workflow_runner"]
    assert isinstance(runner, SandboxedWorkflowRunner)
    assert "hotmesh_temporal" in runner.restrictions.passthrough_modules
    load(runner)


def test_other_runners_are_left_alone() -> None:
    runner = UnsandboxedWorkflowRunner()
    config = temporalio.worker.ReplayerConfig(workflow_runner=runner)
    assert HotMeshPlugin().configure_replayer(config).get("workflow_runner") is runner


async def test_a_connection_is_given_once() -> None:
    with pytest.raises(ValueError, match="not to both"):
        await Client.connect(connection="sqlite:///x", plugins=[HotMeshPlugin()])


@pytest.mark.parametrize("form", [Client, temporalio.client.Client])
async def test_a_wrong_connection_is_said_when_connecting(form: type[temporalio.client.Client]) -> None:
    with pytest.raises(InvalidConnection, match="no provider for 'mysql'"):
        await form.connect("localhost:7233", plugins=[HotMeshPlugin("mysql://x")])


async def test_a_lazy_client_keeps_what_the_sdk_was_given() -> None:
    client = await Client.connect(connection="sqlite:///x", lazy=True, namespace="other", identity="me")
    assert (client.namespace, client.identity) == ("other", "me")
    await client.close()


async def test_the_plugin_may_set_the_namespace() -> None:
    plugin = HotMeshPlugin("sqlite:///x", namespace="orders")
    client = await temporalio.client.Client.connect("localhost:7233", plugins=[plugin], lazy=True)
    assert client.namespace == "orders"
