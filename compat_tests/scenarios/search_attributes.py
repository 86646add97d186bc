"""Custom search attributes: adding them, setting them in every way, and finding executions by them."""

from __future__ import annotations

import json
import uuid
from typing import Any

from temporalio import workflow
from temporalio.api.command.v1 import (
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
    UpsertWorkflowSearchAttributesCommandAttributes,
)
from temporalio.api.common.v1 import Payload, SearchAttributes, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
    RemoveSearchAttributesRequest,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice import v1 as service
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from compat_tests.env import Env
from compat_tests.raw import RawWorker, command

ALL = {"Body": 1, "Customer": 2, "Amount": 3, "Ratio": 4, "Paid": 5, "Due": 6, "Tags": 7}
"""One of each type."""


def value(given: Any, *, kind: str = "", encoding: bytes = b"json/plain", data: bytes | None = None) -> Payload:
    """The payload of a value."""
    metadata = {"encoding": encoding} if encoding else {}
    if kind:
        metadata["type"] = kind.encode()
    return Payload(metadata=metadata, data=json.dumps(given).encode() if data is None else data)


def attributes(**fields: Payload) -> SearchAttributes:
    """Search attributes of payloads."""
    return SearchAttributes(indexed_fields=fields)


def shown(given: SearchAttributes) -> dict[str, Any]:
    """Search attributes with their metadata, in a fixed order."""
    return {
        name: {"data": payload.data.decode(), **{key: each.decode() for key, each in sorted(payload.metadata.items())}}
        for name, payload in sorted(given.indexed_fields.items())
    }


async def _look(env: Env, label: str, workflow_id: str) -> None:
    """What history, describe and list say of the search attributes of an execution."""
    execution = WorkflowExecution(workflow_id=workflow_id)
    started = (await env.fetch_history(workflow_id)).events[0].workflow_execution_started_event_attributes
    described = await env.rpc.describe_workflow_execution(
        service.DescribeWorkflowExecutionRequest(namespace=env.namespace, execution=execution)
    )
    names = set(described.workflow_execution_info.search_attributes.indexed_fields)
    query = f"WorkflowId = '{workflow_id}'"

    async def is_listed() -> bool:
        return all(set(each.search_attributes.indexed_fields) == names for each in await _list(env, query))

    await env.until(is_listed, "the list to show the search attributes")
    env.record(
        label,
        {
            "started": [started.HasField("search_attributes"), shown(started.search_attributes)],
            "described": shown(described.workflow_execution_info.search_attributes),
            "listed": [shown(each.search_attributes) for each in await _list(env, query)],
        },
    )


async def _list(env: Env, query: str) -> list[Any]:
    request = service.ListWorkflowExecutionsRequest(namespace=env.namespace, query=query)
    found: list[Any] = []

    async def any_found() -> bool:
        found[:] = (await env.rpc.list_workflow_executions(request)).executions
        return bool(found)

    await env.until(any_found, query)
    return found


async def _begin(env: Env, kinds: dict[str, int] | None = None) -> None:
    await env.move_to_namespace(await env.new_namespace("home", ALL if kinds is None else kinds))


async def scenario_attributes_add(env: Env) -> None:
    namespace = await env.new_namespace()
    operator = env.client.operator_service

    async def add(label: str, kinds: dict[str, int], name: str = namespace) -> None:
        request = AddSearchAttributesRequest(namespace=name, search_attributes=kinds)  # pyright: ignore[reportArgumentType]
        await env.outcome(label, operator.add_search_attributes(request))

    async def listed(label: str) -> None:
        response = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
        env.record(label, [response.custom_attributes, response.storage_schema])

    await listed("none so far")
    await add("one of each", ALL)
    await listed("one of each is there")
    await add("again", {"Amount": 3})
    await add("again with another type", {"Amount": 2})
    await add("one new, one known", {"Amount": 3, "Total": 3})
    await add("odd names", {"a b": 2, "a-b": 2, "ü": 2, "and": 2, "1": 2, "": 2})
    await listed("afterwards")
    for label, kinds in {
        "nothing": {},
        "no type": {"Zero": 0},
        "unknown type": {"Nine": 9},
        "system": {"WorkflowId": 2},
        "predefined": {"BuildIds": 7},
        "prefix": {"TemporalOwn": 2},
    }.items():
        await add(label, kinds)
    await add("no namespace", {"Name": 2}, "")
    await add("unknown namespace", {"Name": 2}, env.unique("unknown"))


async def scenario_attributes_remove(env: Env) -> None:
    namespace = await env.new_namespace(attributes={"Kept": 2, "Gone": 3, "Also": 3})
    operator = env.client.operator_service

    async def remove(label: str, *names: str, namespace: str = namespace) -> None:
        request = RemoveSearchAttributesRequest(namespace=namespace, search_attributes=names)
        await env.outcome(label, operator.remove_search_attributes(request))

    await remove("one", "Gone")
    await remove("again", "Gone")
    await remove("one known, one not", "Also", "Nobody")
    await remove("nothing")
    await remove("system", "RunId")
    await remove("predefined", "BatcherUser")
    await remove("a column", "Int01")
    await remove("no namespace", "Kept", namespace="")
    await remove("unknown namespace", "Kept", namespace=env.unique("unknown"))
    response = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
    env.record("left", response.custom_attributes)


async def scenario_attributes_system(env: Env) -> None:
    """What every namespace has."""
    operator = env.client.operator_service
    response = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=await env.new_namespace()))
    env.record("system", dict(sorted(response.system_attributes.items())))
    keys = (await env.rpc.get_search_attributes(service.GetSearchAttributesRequest())).keys
    env.record("keys", dict(sorted(keys.items())))
    await env.outcome("no namespace", operator.list_search_attributes(ListSearchAttributesRequest()))


async def scenario_attributes_at_start(env: Env) -> None:
    """Values of every type, with and without their type in the metadata."""
    await _begin(env)
    cases: dict[str, dict[str, Payload]] = {
        "all": {
            "Body": value("some <words>"),
            "Customer": value("me"),
            "Amount": value(5),
            "Ratio": value(0.5),
            "Paid": value(True),
            "Due": value("2026-01-02T03:04:05.123456789+02:00"),
            "Tags": value(["a", "b"]),
        },
        "types given": {"Customer": value("me", kind="Keyword"), "Amount": value(5, kind="Int")},
        "wrong types given": {"Customer": value("me", kind="Int"), "Amount": value(5, kind="Nonsense")},
        "lists of one": {"Customer": value(["me"]), "Amount": value([5]), "Ratio": value([2])},
        "null": {"Customer": value(None), "Amount": value(1)},
        "empty list": {"Tags": value([]), "Amount": value(1)},
        "binary null": {"Customer": value(None, encoding=b"binary/null", data=b""), "Amount": value(1)},
        "nothing but null": {"Customer": value(None)},
        "empty text": {"Customer": value("")},
        "null in a list": {"Tags": value(["a", None])},
        "predefined": {"BatcherUser": value("me"), "TemporalChangeVersion": value(["x-1"])},
    }
    for label, fields in cases.items():
        workflow_id = env.id(label)
        await env.start_raw(workflow_id, search_attributes=attributes(**fields))
        await _look(env, label, workflow_id)


async def scenario_attributes_invalid_values(env: Env) -> None:
    await _begin(env)
    cases: dict[str, list[Payload]] = {
        "Customer": [
            value(5), value(1234567), value(0.25), value(True), value(["a", "b"]), value({"b": [1], "a": None}),
            value("x", encoding=b""), value("x", encoding=b"binary/plain"), value(0, data=b'"x'), value(0, data=b""),
        ],
        "Amount": [
            value("5"), value(5.5), value(0, data=b"5.0"), value(0, data=b"1e3"), value(2**63), value(True),
            value([1, 2]), value([True]),
        ],
        "Ratio": [value("0.5"), value(0, data=b"NaN"), value(False)],
        "Paid": [value("true"), value(1)],
        "Due": [value("2026-01-02T03:04:05"), value("2026-01-02"), value(12345), value("soon")],
        "Tags": [value("a"), value([1, 2]), value(7)],
        "Body": [value(5), value(["a", "b"])],
        "Nobody": [value("x")],
        "WorkflowId": [value("x")],
        "TemporalWorkerDeployment": [value("x")],
        "Keyword01": [value("x")],
        "BuildIds": [value("x")],
    }  # fmt: skip
    for name, payloads in cases.items():
        for number, payload in enumerate(payloads):
            start = env.start_raw(env.id(f"{name}{number}"), search_attributes=attributes(**{name: payload}))
            await env.outcome(f"{name} {number}", start)


async def scenario_attributes_sizes(env: Env) -> None:
    many = {f"K{number}": 2 for number in range(10)}
    lists = {f"L{number}": 7 for number in range(3)}
    await _begin(env, many | lists)
    long: dict[str, Payload] = {name: value("x" * 2046) for name in many}
    long |= {name: value(["x" * 2044]) for name in lists}
    for name in ("TemporalChangeVersion", "BinaryChecksums", "BuildIds", "TemporalPauseInfo"):
        long[name] = value(["x" * 2044])
    long |= {"BatcherUser": value("x" * 2046), "BatcherNamespace": value("x" * 2046)}
    fits = await env.outcome("largest", _start(env, "largest", K0=value("x" * 2046)))
    env.record("fits", bool(fits))
    await env.outcome("one too large", _start(env, "large", K0=value("x" * 2047)))
    await env.outcome("list too large", _start(env, "long list", L0=value(["x" * 1000] * 3)))
    await env.outcome("all of them", _start(env, "many", **long))
    long["TemporalReportedProblems"] = value(["x" * 2044])
    await env.outcome("too large together", _start(env, "too many", **long))


async def _start(env: Env, name: str, **fields: Payload) -> bool:
    return (await env.start_raw(env.id(name), search_attributes=attributes(**fields))).started


async def scenario_attributes_signal_with_start(env: Env) -> None:
    await _begin(env)

    async def start(label: str, **fields: Payload) -> str:
        workflow_id = env.id(label)
        request = service.SignalWithStartWorkflowExecutionRequest(
            namespace=env.namespace,
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name="Raw"),
            task_queue=TaskQueue(name=env.queue),
            signal_name="s",
            request_id=str(uuid.uuid4()),
            search_attributes=attributes(**fields),
        )
        await env.outcome(label, env.rpc.signal_with_start_workflow_execution(request))
        return workflow_id

    workflow_id = await start("good", Customer=value("me"), Tags=value(None))
    await _look(env, "shown", workflow_id)
    await start("unknown", Nobody=value("x"))
    await start("invalid", Amount=value("x"))
    await start("large", Customer=value("x" * 3000))


def upsert(**fields: Payload) -> Command:
    """The command that changes search attributes."""
    given = UpsertWorkflowSearchAttributesCommandAttributes(search_attributes=attributes(**fields))
    return command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", upsert_workflow_search_attributes_command_attributes=given)


def continue_as_new(**fields: Payload) -> Command:
    """The command that continues as new, with these search attributes."""
    given = ContinueAsNewWorkflowExecutionCommandAttributes(
        workflow_type=WorkflowType(name="Raw"), search_attributes=attributes(**fields)
    )
    return command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=given)


def child(workflow_id: str, queue: str, **fields: Payload) -> Command:
    """The command that starts a child with these search attributes."""
    given = StartChildWorkflowExecutionCommandAttributes(
        workflow_id=workflow_id,
        workflow_type=WorkflowType(name="Raw"),
        task_queue=TaskQueue(name=queue),
        search_attributes=attributes(**fields),
    )
    return command("START_CHILD_WORKFLOW_EXECUTION", start_child_workflow_execution_command_attributes=given)


async def _answer(env: Env, label: str, *commands: Command, **fields: Payload) -> str:
    """Start a workflow with search attributes and answer its first task with commands."""
    workflow_id, queue = env.id(label), env.unique(f"queue {label}")
    await env.start_raw(workflow_id, task_queue=TaskQueue(name=queue), search_attributes=attributes(**fields))
    raw = RawWorker(env, queue)
    task = await raw.poll()
    await env.outcome(label, raw.complete(task, *commands))
    return workflow_id


_BAD: dict[str, dict[str, Payload]] = {
    "unknown": {"Nobody": value("x")},
    "system": {"RunId": value("x")},
    "invalid": {"Amount": value("x")},
    "large": {"Customer": value("x" * 3000)},
}


async def scenario_attributes_upsert(env: Env) -> None:
    await _begin(env)
    cases: dict[str, list[Command]] = {
        "one more": [upsert(Amount=value(3))],
        "another value": [upsert(Customer=value("you"))],
        "null": [upsert(Customer=value(None))],
        "binary null": [upsert(Customer=value(None, encoding=b"binary/null", data=b""))],
        "empty list": [upsert(Customer=value([]))],
        "two commands": [upsert(Customer=value("you")), upsert(Amount=value(7), Tags=value(["x"]))],
    }
    for label, commands in cases.items():
        workflow_id = await _answer(env, label, *commands, Customer=value("me"))
        await env.history(workflow_id)
        await _look(env, f"{label}, shown", workflow_id)


async def scenario_attributes_upsert_refused(env: Env) -> None:
    await _begin(env)
    for label, fields in _BAD.items():
        workflow_id = await _answer(env, label, upsert(**fields), Customer=value("me"))
        await env.history(workflow_id)


async def scenario_attributes_continue_as_new(env: Env) -> None:
    await _begin(env)
    for label, fields in {"others": {"Amount": value(5)}, "none": {}, "same": {"Customer": value("me")}}.items():
        workflow_id = await _answer(env, label, continue_as_new(**fields), Customer=value("me"))
        events = (await env.fetch_history(workflow_id)).events
        env.record(f"{label}, started", shown(events[0].workflow_execution_started_event_attributes.search_attributes))


async def scenario_attributes_continue_as_new_refused(env: Env) -> None:
    await _begin(env)
    for label, fields in _BAD.items():
        workflow_id = await _answer(env, label, continue_as_new(**fields))
        await env.history(workflow_id)


async def scenario_attributes_child(env: Env) -> None:
    await _begin(env)
    child_id = env.id("child")
    command_ = child(child_id, env.queue, Customer=value("me"), Tags=value(None))
    workflow_id = await _answer(env, "parent", command_)
    await env.wait_event(workflow_id, "CHILD_WORKFLOW_EXECUTION_STARTED")
    events = (await env.fetch_history(workflow_id)).events
    env.record("initiated", [each for each in events if each.event_id == 5])
    await _look(env, "child", child_id)
    for label, fields in _BAD.items():
        parent = await _answer(env, label, child(env.id(f"child {label}"), env.queue, **fields))
        await env.history(parent)


_QUERIES = (
    "Customer = 'alpha'", 'Customer = "alpha"', "`Customer` = 'alpha'", "Customer != 'alpha'", "Customer > 'alpha'",
    "Customer < 'b'", "Customer IN ('alpha', 'beta')", "Customer NOT IN ('alpha', 'beta')",
    "Customer BETWEEN 'alpha' AND 'alphabet'", "Customer STARTS_WITH 'alpha'", "Customer NOT STARTS_WITH 'alpha'",
    "Customer IS NULL", "Customer IS NOT NULL", "NOT Customer = 'alpha'", "NOT (Customer = 'alpha' OR Amount = 2)",
    "Amount = 1", "Amount != 1", "Amount > 1", "Amount >= 1", "Amount < 1", "Amount <= -3", "Amount IN (1, 2)",
    "Amount NOT IN (1, 2)", "Amount BETWEEN 1 AND 2", "Amount NOT BETWEEN 1 AND 2", "Amount IS NULL", "Amount = 1.0",
    "Amount = 1.5", "Amount > -5", "Ratio = 1.5", "Ratio = 3", "Ratio > 2", "Ratio IN (1.5, 3)",
    "Ratio BETWEEN 1 AND 2.5", "Paid = true", "Paid = FALSE", "Paid != true", "Paid IS NULL", "Paid IN (true)",
    "Due > '2026-01-15T00:00:00Z'", "Due < '2026-01-15T01:00:00+01:00'",
    "Due BETWEEN '2025-12-01T00:00:00Z' AND '2026-01-20T00:00:00Z'", "Due IS NOT NULL",
    "Tags = 'b'", "Tags = 'a'", "Tags != 'a'", "Tags IN ('a', 'c')", "Tags NOT IN ('a')", "Tags IS NULL",
    "Tags IS NOT NULL", "Body = 'world'", "Body = 'WORLD'", "Body = 'hello'", "Body = 'hello small'", "Body = 'wor'",
    "Body != 'big'", "Body IS NULL",
    "(Customer = 'alpha' OR Amount = 2) AND Paid = false", "Customer = 'alpha' AND ExecutionStatus = 'Running'",
)  # fmt: skip

_BAD_QUERIES = (
    "Customer = 5", "Customer = true", "Customer = alpha", "customer = 'alpha'", "Nobody = 1", "Amount = '1'",
    "Amount = true", "Amount STARTS_WITH '1'", "Ratio = '1.5'", "Paid = 'true'", "Paid = 1", "Due = 'soon'",
    "Due < '2026-02-01'", "Tags > 'a'", "Tags STARTS_WITH 'a'", "Tags BETWEEN 'a' AND 'b'", "Tags = 5",
    "Body IN ('big')", "Body > 'a'", "Body STARTS_WITH 'h'", "Body = 5", "Customer LIKE 'a%'", "ORDER BY Customer",
)  # fmt: skip


_BAD_GROUPS = (
    "GROUP BY Customer", "GROUP BY Nobody", "GROUP BY WorkflowType", "GROUP BY ExecutionStatus, Customer",
)  # fmt: skip


async def _start_three(env: Env) -> dict[str, str]:
    ids = {name: env.id(name) for name in ("first", "second", "third")}
    await env.start_raw(
        ids["first"],
        search_attributes=attributes(
            Customer=value("alpha"), Amount=value(1), Ratio=value(1.5), Paid=value(True),
            Due=value("2026-01-01T00:00:00Z"), Tags=value(["a", "b"]), Body=value("Hello big World"),
        ),
    )  # fmt: skip
    await env.start_raw(
        ids["second"],
        search_attributes=attributes(
            Customer=value("beta"), Amount=value(2), Ratio=value(2.5), Paid=value(False),
            Due=value("2026-02-01T00:00:00.5Z"), Tags=value(["b", "c"]), Body=value("small world"),
        ),
    )  # fmt: skip
    await env.start_raw(
        ids["third"],
        search_attributes=attributes(Customer=value("alphabet"), Amount=value(-3), Ratio=value(3)),
    )
    await env.start_raw(env.id("bare"))

    async def all_listed() -> bool:
        request = service.CountWorkflowExecutionsRequest(namespace=env.namespace)
        return (await env.rpc.count_workflow_executions(request)).count == 4

    await env.until(all_listed, "four executions")
    return ids


async def scenario_attributes_queries(env: Env) -> None:
    await _begin(env)
    await _start_three(env)
    for query in _QUERIES:
        request = service.ListWorkflowExecutionsRequest(namespace=env.namespace, query=query)
        found = (await env.rpc.list_workflow_executions(request)).executions
        env.record(query, sorted(each.execution.workflow_id for each in found))
        counted = service.CountWorkflowExecutionsRequest(namespace=env.namespace, query=query)
        env.record(f"count {query}", (await env.rpc.count_workflow_executions(counted)).count)


async def scenario_attributes_bad_queries(env: Env) -> None:
    await _begin(env)
    for query in _BAD_QUERIES:
        request = service.ListWorkflowExecutionsRequest(namespace=env.namespace, query=query)
        await env.outcome(query, env.rpc.list_workflow_executions(request))
    for query in _BAD_GROUPS:
        counted = service.CountWorkflowExecutionsRequest(namespace=env.namespace, query=query)
        await env.outcome(query, env.rpc.count_workflow_executions(counted))


async def scenario_attributes_division(env: Env) -> None:
    """What belongs to a division is only listed for those who ask for it."""
    await _begin(env, {})
    await env.start_raw(env.id("inside"), search_attributes=attributes(TemporalNamespaceDivision=value("mine")))
    await env.start_raw(env.id("outside"))
    for query in ("TemporalNamespaceDivision = 'mine'", "", "WorkflowType = 'Raw'"):
        found = await _list(env, query)
        env.record(query or "all", [each.execution.workflow_id for each in found])


async def scenario_attributes_removed_are_not_shown(env: Env) -> None:
    await _begin(env, {"Kept": 2, "Gone": 2})
    workflow_id = env.id()
    await env.start_raw(workflow_id, search_attributes=attributes(Kept=value("a"), Gone=value("b")))
    await _list(env, "Gone = 'b'")
    request = RemoveSearchAttributesRequest(namespace=env.namespace, search_attributes=["Gone"])
    await env.client.operator_service.remove_search_attributes(request)
    listing = service.ListWorkflowExecutionsRequest(namespace=env.namespace, query="Gone = 'b'")

    async def is_unknown() -> bool:
        try:
            await env.rpc.list_workflow_executions(listing)
        except Exception:
            return True
        return False

    await env.until(is_unknown, "the search attribute to be forgotten")
    await env.outcome("list", env.rpc.list_workflow_executions(listing))
    await env.outcome("start", env.start_raw(env.id("new"), search_attributes=attributes(Gone=value("b"))))
    execution = WorkflowExecution(workflow_id=workflow_id)
    described = await env.rpc.describe_workflow_execution(
        service.DescribeWorkflowExecutionRequest(namespace=env.namespace, execution=execution)
    )
    env.record("described", shown(described.workflow_execution_info.search_attributes))
    found = await _list(env, f"WorkflowId = '{workflow_id}'")
    env.record("listed", [shown(each.search_attributes) for each in found])


CUSTOMER = SearchAttributeKey.for_keyword("Customer")
AMOUNT = SearchAttributeKey.for_int("Amount")
TAGS = SearchAttributeKey.for_keyword_list("Tags")


@workflow.defn
class Shop:
    """Reads and changes its search attributes."""

    @workflow.run
    async def run(self) -> list[Any]:
        """What they were and what they are."""
        before = workflow.info().typed_search_attributes
        workflow.upsert_search_attributes(  # pyright: ignore[reportUnknownMemberType]  (a generic of the SDK)
            [CUSTOMER.value_set("you"), AMOUNT.value_unset(), TAGS.value_set(["x", "y"])]
        )
        after = workflow.info().typed_search_attributes
        return [[each.get(CUSTOMER), each.get(AMOUNT), each.get(TAGS)] for each in (before, after)]


async def scenario_attributes_in_a_program(env: Env) -> None:
    """With the SDK: set at start, read and changed in the workflow, found in lists."""
    await _begin(env)
    given = TypedSearchAttributes([SearchAttributePair(CUSTOMER, "me"), SearchAttributePair(AMOUNT, 5)])
    async with env.worker(Shop):
        handle = await env.client.start_workflow(Shop.run, id=env.id(), task_queue=env.queue, search_attributes=given)
        await env.outcome("result", handle.result())
    await env.history(handle)
    described = (await handle.describe()).typed_search_attributes
    env.record("described", [described.get(CUSTOMER), described.get(AMOUNT), described.get(TAGS)])
    query = "Customer = 'you' AND Tags = 'x' AND ExecutionStatus = 'Completed'"
    await _list(env, query)
    found = [each.typed_search_attributes async for each in env.client.list_workflows(query)]
    env.record("found", [[each.get(CUSTOMER), each.get(AMOUNT), each.get(TAGS)] for each in found])


async def scenario_attributes_of_one_namespace_only(env: Env) -> None:
    """The same name is another attribute in another namespace, or none at all."""
    one, two = await env.new_namespace("one", {"Size": 3}), await env.new_namespace("two", {"Size": 2})
    three = await env.new_namespace("three")
    for namespace in (one, two, three):
        for given in (5, "L"):
            request = env.start_request(
                env.id(f"{given}"), namespace=namespace, search_attributes=attributes(Size=value(given))
            )
            await env.outcome(f"{given} in {namespace}", env.rpc.start_workflow_execution(request))
    env.record("types", [IndexedValueType.Name(kind) for kind in (2, 3)])  # pyright: ignore[reportArgumentType]
