"""What is read of a worker's workflows and activities."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.client import Client
from hotmesh_temporal.common import RawValue, WorkerDeploymentVersion
from hotmesh_temporal.runtime.registered import DYNAMIC, Handler, Parameter, TypeSchema
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig
from hotmesh_temporal.worker_types import schema_of, types_of

_TEXT, _NUMBER = {"type": "string"}, {"type": "integer"}


@dataclasses.dataclass
class Item:
    name: str
    count: int = 1


class Strange:
    """Nothing that JSON has a form for."""


class Base:
    """The text of another class."""

    @workflow.signal
    def stop(self) -> None:
        """Stop it."""


@workflow.defn
class Sale(Base):
    @workflow.run
    async def run(self, item: Item, until: datetime | None = None) -> list[str]:
        return []

    @workflow.signal(name="other name")
    async def rename(self, first: Any, second: Strange) -> None: ...

    @workflow.signal(dynamic=True)
    def anything(self, name: str, arguments: Sequence[RawValue]) -> None: ...


@workflow.defn(dynamic=True)
class Any_:
    @workflow.run
    async def run(self, arguments: Sequence[RawValue]) -> None: ...


class Till:
    """A till."""

    @activity.defn
    async def charge(self, amount: int) -> str:
        """Charge it."""
        return ""


@activity.defn(name="refund")
class Refund:
    """Give it back."""

    async def __call__(self, amount: int) -> None: ...


async def _untyped(one: Any, two: Any = 2) -> Any: ...


_untyped.__annotations__.clear()
untyped: Any = activity.defn(name="untyped")(_untyped)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[Client, None]:
    connected = await Client.connect(connection=f"sqlite:///{tmp_path / 'types.sqlite3'}")
    yield connected
    await connected.close()


def _worker(client: Client, **options: Any) -> Worker:
    options = {"task_queue": "q", **options}
    return Worker(client, workflow_runner=UnsandboxedWorkflowRunner(), **options)


async def test_workflows_with_everything_that_they_take(client: Client) -> None:
    found = types_of(_worker(client, workflows=[Sale, Any_]))
    assert found is not None
    assert (found.namespace, found.queue) == ("default", "q")
    anything, sale = found.types
    assert (anything.kind, anything.name) == ("workflow", DYNAMIC)
    assert (sale.name, sale.description) == ("Sale", "")
    item, until = sale.parameters
    assert (item.name, item.required, item.schema["$ref"]) == ("item", True, "#/$defs/Item")
    assert item.schema["$defs"]["Item"]["required"] == ["name"]
    assert (until.name, until.required) == ("until", False)
    assert until.schema["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert sale.result == {"type": "array", "items": _TEXT}
    assert [each.name for each in sale.signals] == [DYNAMIC, "other name", "stop"]
    assert sale.signals[1] == Handler(
        "other name", parameters=[Parameter("first", {}), Parameter("second", {"title": "Strange"})]
    )
    assert sale.signals[2] == Handler("stop", "Stop it.")


async def test_activities_that_are_functions_methods_and_objects(client: Client) -> None:
    found = types_of(_worker(client, activities=[Till().charge, Refund(), untyped]))
    assert found is not None
    assert found.types == [
        TypeSchema("activity", "charge", "Charge it.", [Parameter("amount", _NUMBER)], _TEXT),
        TypeSchema("activity", "refund", "Give it back.", [Parameter("amount", _NUMBER)], {"type": "null"}),
        TypeSchema("activity", "untyped", "", [Parameter("one"), Parameter("two", required=False)], {}),
    ]


async def test_the_build_is_the_one_that_the_worker_shows(client: Client) -> None:
    numbers = itertools.count()

    def build(**options: Any) -> str:
        # The core lets no two workers of a build poll the same queue.
        found = types_of(_worker(client, task_queue=f"q{next(numbers)}", activities=[untyped], **options))
        assert found is not None
        return found.build_id

    version = WorkerDeploymentVersion("shop", "build-2")
    assert build(build_id="build-1") == "build-1"
    assert build(deployment_config=WorkerDeploymentConfig(version=version, use_worker_versioning=False)) == "build-2"
    assert build() == build() != ""


async def test_what_cannot_be_read_is_logged_and_stops_nothing(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = _worker(client, activities=[untyped])

    # An SDK of which one day the definitions are elsewhere.
    monkeypatch.delattr(_untyped, "__temporal_activity_definition")
    assert types_of(worker) is None
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert record.getMessage() == "the types of the worker of 'q' cannot be read"


def test_types_without_a_schema_are_named() -> None:
    assert schema_of(type(None)) == {"type": "null"}
    assert schema_of(None) == schema_of(Any) == {}
    assert schema_of(Strange) == {"title": "Strange"}
