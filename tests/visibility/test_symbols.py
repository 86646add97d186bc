"""Custom search attributes: as many as are wanted, each in a field of its own that never gets a second meaning."""

from __future__ import annotations

import asyncio
import json

import pytest
from temporalio.api.common.v1 import Payload, SearchAttributes, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.contracts.errors import Unavailable
from hotmesh_temporal.contracts.symbols import MAX_SYMBOLS, symbol_slot
from hotmesh_temporal.contracts.types import StringMap
from hotmesh_temporal.engine.attribute_values import INT, KEYWORD, KIND_NAMES, TEXT
from hotmesh_temporal.errors import RpcError
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime.namespaces import NamespaceRecord
from tests.support import by_hand

Value = str | int


async def start(engine: Frontend, workflow_id: str, **values: Value) -> None:
    """Start a workflow with search attributes."""
    fields = {
        name: Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())
        for name, value in values.items()
    }
    request = StartWorkflowExecutionRequest(
        namespace="default",
        workflow_id=workflow_id,
        workflow_type=WorkflowType(name="W"),
        task_queue=TaskQueue(name="q"),
        search_attributes=SearchAttributes(indexed_fields=fields),
    )
    await by_hand.call(engine, request, StartWorkflowExecutionResponse)


async def listed(engine: Frontend, query: str) -> list[str]:
    """The workflow ids that a query finds."""
    request = ListWorkflowExecutionsRequest(namespace="default", query=query)
    response = await by_hand.call(engine, request, ListWorkflowExecutionsResponse)
    return sorted(each.execution.workflow_id for each in response.executions)


async def record_of(engine: Frontend) -> NamespaceRecord:
    """The record of the default namespace, right now."""
    record = await engine.runtime.namespaces.find("default", now=True)
    assert record is not None
    return record


async def test_there_may_be_many_of_one_type(engine: Frontend) -> None:
    names = [f"Number{number}" for number in range(200)]
    await engine.runtime.namespaces.add_attributes("default", dict.fromkeys(names, INT))
    await start(engine, "all", **{name: number for number, name in enumerate(names)})
    await start(engine, "one", Number199=7)
    assert await listed(engine, "Number199 = 199 AND Number0 = 0") == ["all"]
    assert await listed(engine, "Number199 > 0") == ["all", "one"]
    record = await record_of(engine)
    maps = await engine.runtime.store.get_symbol_keys([f"${record.id}", f"${record.id}/2", f"${record.id}/3"])
    told = {path: symbol for each in maps.values() for path, symbol in each.items() if path in record.symbols}
    assert told == record.symbols
    assert len(set(told.values())) == 200
    every = await engine.runtime.store.get_all_symbols()
    assert {every[symbol] for symbol in told.values()} >= {"Int/Number0"}


async def test_a_removed_one_of_another_type_is_another_field(engine: Frontend) -> None:
    namespaces = engine.runtime.namespaces
    await namespaces.add_attributes("default", {"Name": KEYWORD})
    await start(engine, "before", Name="x")
    first = (await record_of(engine)).symbols["Keyword/Name"]
    await namespaces.remove_attributes("default", ["Name"])
    with pytest.raises(RpcError, match="invalid search attribute: Name"):
        await listed(engine, "Name = 'x'")
    await namespaces.add_attributes("default", {"Name": TEXT})
    assert (await record_of(engine)).symbols["Text/Name"] != first
    await start(engine, "after", Name="x y")
    assert await listed(engine, "Name = 'x'") == ["after"]
    assert await listed(engine, "Name IS NULL") == ["before"]
    await namespaces.remove_attributes("default", ["Name"])
    await namespaces.add_attributes("default", {"Name": KEYWORD})
    assert (await record_of(engine)).symbols["Keyword/Name"] == first
    assert await listed(engine, "Name = 'x'") == ["before"]


async def test_processes_that_add_at_once_share_no_field(engine: Frontend, database: str) -> None:
    other = Frontend(resolve(connection=database).backend())
    await other.start()
    adding = [
        each.runtime.namespaces.add_attributes("default", {f"A{number}{place}": kind})
        for number, kind in enumerate(KIND_NAMES)
        for place, each in enumerate((engine, other))
    ]
    await asyncio.gather(*adding)
    await other.close()
    record = await record_of(engine)
    assert len(record.kinds) == len(set(record.symbols.values())) == 2 * len(KIND_NAMES)
    known = await engine.runtime.store.get_symbols(f"${record.id}")
    assert record.symbols.items() <= known.items()


async def test_a_death_before_the_map_is_told(engine: Frontend, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(activity_id: str, symbols: StringMap) -> bool:
        raise Unavailable(f"cut off before {len(symbols)} symbols of {activity_id} were written")

    store, namespaces = engine.runtime.store, engine.runtime.namespaces
    with monkeypatch.context() as away:
        away.setattr(store, "add_symbols", lost)
        with pytest.raises(Unavailable):
            await namespaces.add_attributes("default", {"Amount": INT})
    await start(engine, "found", Amount=5)
    assert await listed(engine, "Amount = 5") == ["found"]
    await namespaces.add_attributes("default", {"Size": INT})
    record = await record_of(engine)
    assert record.symbols.items() <= (await store.get_symbols(f"${record.id}")).items()
    assert len(set(record.symbols.values())) == 2


async def test_without_slots_the_path_is_the_field(engine: Frontend) -> None:
    await engine.runtime.store.reserve_symbol_range("others", MAX_SYMBOLS - 30, "ACTIVITY")
    await engine.runtime.namespaces.add_attributes("default", {"Amount": INT, "Size": INT})
    await start(engine, "found", Amount=5, Size=1)
    assert await listed(engine, "Amount = 5 AND Size = 1") == ["found"]
    assert (await record_of(engine)).symbols == {"Int/Amount": "Int/Amount", "Int/Size": "Int/Size"}


async def test_a_record_from_before_there_were_symbols(engine: Frontend, database: str) -> None:
    def as_before(record: NamespaceRecord) -> None:
        record.attributes = {"Int01": "Amount"}

    await engine.runtime.namespaces.update("default", as_before)
    await engine.close()
    engine = Frontend(resolve(connection=database).backend())
    await engine.start()
    await start(engine, "old", Amount=5)
    document = (await engine.runtime.search.query("default")).documents[0]
    assert document.fields["Amount"] == 5
    await engine.runtime.namespaces.add_attributes("default", {"Size": INT})
    await start(engine, "new", Amount=6, Size=1)
    assert await listed(engine, "Amount >= 5 AND Amount < 7") == ["new", "old"]
    record = await record_of(engine)
    assert (record.attributes, record.symbols["Int/Amount"]) == ({}, "Amount")
    assert symbol_slot(record.symbols["Int/Size"]) >= 0
    await engine.close()
