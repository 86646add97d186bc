"""Lists and counts: hundreds of queries over one crowd of executions, the order of lists, pages, the older ways."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.filter.v1 import StartTimeFilter, StatusFilter, WorkflowExecutionFilter, WorkflowTypeFilter
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice import v1 as service
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from compat_tests.env import Env
from compat_tests.scenarios.search_attributes import ALL, attributes, value

QUERIES = Path(__file__).parents[1] / "list_queries.txt"
"""One query a line: some that are answered, and some that are refused, in every way that is known."""

_TYPES = ("Raw", "Other", "it's", "Ünï-typ")
_CUSTOMERS = ("alpha", "beta", "it's", "100%", "a_b", "Ünï", "", "alphabet", "日本")
_AMOUNTS = (1, 2, -3, 0, 9007199254740993, -9007199254740993, 9223372036854775807)
_RATIOS = (1.5, 2.5, 3, -0.25, 1e21, 0.1)
_TAGS = (["a", "b"], ["b", "c"], ["it's"], ["c"], ["a", "b", "c", "ü"])
_BODIES = ("Hello big World", "small world", "nothing else", "Ünïcode, wörds!", "it's 100% true")
_DUE = datetime(2026, 1, 1, tzinfo=timezone.utc)
_COUNT = 200


@workflow.defn
class Various:
    """Ends as it is told to."""

    @workflow.run
    async def run(self, how: str, name: str) -> None:
        """``fail``, ``again``, ``parent``, ``wait`` or nothing in particular."""
        if how == "fail":
            raise ApplicationError("as told")
        if how == "again":
            workflow.continue_as_new(args=["", name])
        if how == "parent":
            await workflow.execute_child_workflow(Various.run, args=["", name], id=f"child-{name}")
        if how == "wait":
            await workflow.wait_condition(lambda: False)


def _attributes_of(number: int) -> dict[str, Any]:
    """Each of the seven types, or not."""
    dice = random.Random(number)
    due = _DUE + timedelta(hours=dice.randrange(2000), microseconds=dice.choice([0, 1, 500_000]))
    choices: dict[str, Any] = {
        "Customer": dice.choice(_CUSTOMERS),
        "Amount": dice.choice(_AMOUNTS),
        "Ratio": dice.choice(_RATIOS),
        "Paid": dice.random() < 0.5,
        "Due": due.isoformat().replace("+00:00", "Z"),
        "Tags": dice.choice(_TAGS),
        "Body": dice.choice(_BODIES),
    }
    return {name: each for name, each in choices.items() if dice.random() < 0.75}


class _Crowd:
    """The executions of a namespace of its own."""

    def __init__(self, env: Env) -> None:
        self.env = env
        self.names: dict[str, str] = {}
        self.middle = datetime.now(timezone.utc)

    def id(self, name: str) -> str:
        found = self.env.id(name)
        self.names[found] = name
        return found

    async def build(self) -> None:
        env = self.env
        await env.move_to_namespace(await env.new_namespace("home", ALL))
        slots = asyncio.Semaphore(12)

        async def within(slot: Any) -> None:
            async with slots:
                await slot

        await asyncio.gather(*(within(self._idle(number)) for number in range(_COUNT // 2)))
        await asyncio.sleep(0.02)
        self.middle = datetime.now(timezone.utc)
        await asyncio.sleep(0.02)
        await asyncio.gather(*(within(self._idle(number)) for number in range(_COUNT // 2, _COUNT)))
        async with env.worker(Various):
            hows = ["", "", "fail", "fail", "again", "parent", "parent", "wait", "cancel", "cancel"]
            await asyncio.gather(*(within(self._worked(number, how)) for number, how in enumerate(hows)))
        await self._settled(total=_COUNT + len(hows) + 3, closed=_COUNT // 5 + _COUNT // 40 + len(hows) - 1 + 3)

    async def _idle(self, number: int) -> None:
        """One that no worker takes up: it runs, or is terminated, or times out."""
        workflow_id = self.id(f"r{number}")
        fields = {name: value(each) for name, each in _attributes_of(number).items()}
        if number % 50 == 7:
            fields["TemporalNamespaceDivision"] = value("mine")
        await self.env.start_raw(
            workflow_id,
            workflow_type=WorkflowType(name=_TYPES[number % 7 % 4]),
            task_queue=TaskQueue(name=f"idle{number % 3}"),
            search_attributes=attributes(**fields),
            workflow_run_timeout=Duration(seconds=1 if number % 20 == 4 and number > _COUNT // 2 else 3600),
        )
        if number % 5 == 0:
            execution = WorkflowExecution(workflow_id=workflow_id)
            await self.env.rpc.terminate_workflow_execution(
                service.TerminateWorkflowExecutionRequest(namespace=self.env.namespace, workflow_execution=execution)
            )

    async def _worked(self, number: int, how: str) -> None:
        name = f"w{number}"
        workflow_id = self.id(name)
        self.names[f"child-{workflow_id}"] = f"child of {name}"
        args = ["wait" if how == "cancel" else how, workflow_id]
        handle = await self.env.client.start_workflow(Various.run, args=args, id=workflow_id, task_queue=self.env.queue)
        if how in ("cancel", "wait"):
            await self.env.settled(handle)
        if how == "cancel":
            await handle.cancel()
        if how != "wait":
            await asyncio.gather(handle.result(), return_exceptions=True)

    async def _settled(self, total: int, closed: int) -> None:
        async def is_so() -> bool:
            every = "TemporalNamespaceDivision IS NULL OR TemporalNamespaceDivision = 'mine'"
            counts = [await self.count(query) for query in (every, f"({every}) AND ExecutionStatus != 'Running'")]
            return [each.count for each in counts] == [total, closed]

        await self.env.until(is_so, f"{total} executions, {closed} of them closed")

    def filled(self, query: str) -> str:
        """A query with the ids and the time of this crowd."""
        shown = self.middle.isoformat().replace("+00:00", "Z")
        return query.replace("<middle>", shown).replace("<r3>", self.id("r3")).replace("<w5>", self.id("w5"))

    async def count(self, query: str) -> service.CountWorkflowExecutionsResponse:
        request = service.CountWorkflowExecutionsRequest(namespace=self.env.namespace, query=self.filled(query))
        return await self.env.rpc.count_workflow_executions(request)

    async def found(self, query: str) -> str:
        """How many executions there are and which, in no order: `` 3: r1 r5 w1``."""
        request = service.ListWorkflowExecutionsRequest(namespace=self.env.namespace, query=self.filled(query))
        found = (await self.env.rpc.list_workflow_executions(request)).executions
        return f"{len(found)}: " + " ".join(sorted(self.names[each.execution.workflow_id] for each in found))

    async def look(self, query: str) -> Any:
        """What list and count say."""
        try:
            found = await self.found(query)
        except RPCError as error:
            return error
        counted = await self.count(query)
        groups = [[[each.data.decode() for each in group.group_values], group.count] for group in counted.groups]
        return [found, counted.count, *groups]


_FOR_THIS_CROWD = (
    "StartTime > '<middle>'", "StartTime < '<middle>'", "StartTime BETWEEN '<middle>' AND '2100-01-01T00:00:00Z'",
    "StartTime NOT BETWEEN '<middle>' AND '2100-01-01T00:00:00Z'", "CloseTime > '<middle>'", "CloseTime < '<middle>'",
    "ExecutionTime >= '<middle>'", "NOT StartTime > '<middle>'", "NOT (StartTime > '<middle>' AND CloseTime IS NULL)",
    "WorkflowId = '<r3>'", "WorkflowId != '<r3>'", "WorkflowId IN ('<r3>', '<w5>')", "ScheduleId = '<r3>'",
    "WorkflowId STARTS_WITH 'r1'", "WorkflowId NOT STARTS_WITH 'r'", "WorkflowId > 'r5'", "WorkflowId <= 'r2'",
    "ParentWorkflowId = '<w5>'", "ParentWorkflowId != '<w5>'", "ParentWorkflowId IS NOT NULL",
    "RootWorkflowId = '<w5>'", "RootWorkflowId = '<w5>' AND ParentWorkflowId IS NULL", "RootWorkflowId STARTS_WITH 'w'",
    "TaskQueue = 'idle1'", "TaskQueue STARTS_WITH 'idle'", "TaskQueue IN ('idle0', 'idle2') AND CloseTime IS NULL",
    "WorkflowType = 'it''s'", "WorkflowType = 'Ünï-typ'", "WorkflowType STARTS_WITH 'Ü'", "WorkflowType = 'Various'",
    "HistoryLength = 3 AND ExecutionStatus = 'Terminated'", "HistoryLength > 4", "HistoryLength BETWEEN 5 AND 12",
    "ExecutionStatus = 'TimedOut'", "ExecutionStatus = 'Failed'", "ExecutionStatus IN ('Canceled', 'ContinuedAsNew')",
    "ExecutionStatus > 'Completed'", "ExecutionStatus BETWEEN 'Failed' AND 'Terminated'", "NOT ExecutionStatus < 3",
    "ExecutionDuration > '900ms' AND ExecutionStatus = 'TimedOut'", "ExecutionDuration < '1h' GROUP BY ExecutionStatus",
    "Customer = '日本'", "Customer = '100%'", "Customer STARTS_WITH '100%'",
    "Customer STARTS_WITH 'a_'", "Customer > 'b'", "Customer < 'a'", "Customer >= 'Ü'", "Customer != ''",
    "Amount > 9007199254740992", "Amount = 9007199254740993", "Amount < -9007199254740992",
    "Amount >= 0 AND Amount < 2",
    "Amount IN (9223372036854775807, 2)", "Ratio > 1e20", "Ratio = 3", "Ratio BETWEEN -1 AND 0.1", "Ratio < 1e-3",
    "Due > '2026-02-01T00:00:00Z' AND Due < '2026-03-01T00:00:00+01:00'", "NOT Due > '2026-02-01T00:00:00Z'",
    "Tags = 'it''s'", "Tags = 'ü' AND Tags != 'x'", "Tags IN ('a', 'it''s')", "Tags NOT IN ('a', 'c')",
    "Body = 'unicode'", "Body = 'wörds'", "Body = 'WORLD nothing'", "Body = '100 true'", "NOT Body = 'world'",
    "GROUP BY ExecutionStatus", "WorkflowType = 'Raw' GROUP BY ExecutionStatus", "GROUP BY TemporalNamespaceDivision",
    "TemporalNamespaceDivision = 'mine'", "TemporalNamespaceDivision IS NOT NULL AND Amount > 0", "",
)  # fmt: skip

_PARTS = (
    "Customer = 'alpha'", "Customer IS NULL", "Customer STARTS_WITH 'al'", "Customer > 'a_'",
    "Customer NOT IN ('beta')",
    "Amount > 0", "Amount = 2", "Amount NOT BETWEEN 0 AND 2", "Amount != 1", "Ratio < 2.5", "Ratio IN (1.5, 3.0)",
    "Paid = true", "Paid != true", "Paid IS NOT NULL", "Due < '2026-02-10T00:00:00Z'", "Due IS NULL",
    "Tags = 'b'", "Tags != 'b'", "Tags NOT IN ('a', 'c')", "Tags IS NULL", "Body = 'world'", "Body != 'big'",
    "ExecutionStatus = 'Running'", "ExecutionStatus != 'Terminated'", "ExecutionStatus > 2", "CloseTime IS NULL",
    "StartTime > '<middle>'", "WorkflowType = 'Raw'", "WorkflowType NOT STARTS_WITH 'O'", "TaskQueue IN ('idle0')",
    "HistoryLength < 4", "ParentWorkflowId IS NULL", "WorkflowId STARTS_WITH 'r1'", "ExecutionDuration >= 0",
)  # fmt: skip


def made_up(dice: random.Random, depth: int) -> str:
    """Parts put together with AND, OR, NOT and parentheses."""
    kind = dice.choice(("and", "or", "not", "part")) if depth else "part"
    if kind == "part":
        return dice.choice(_PARTS)
    if kind == "not":
        return f"NOT ({made_up(dice, depth - 1)})"
    joined = f" {kind.upper()} ".join(made_up(dice, depth - 1) for _ in range(dice.randint(2, 3)))
    return joined if dice.random() < 0.4 else f"({joined})"


async def scenario_lists_of_a_crowd(env: Env) -> None:
    """Which executions the queries find, and what is wrong with the others."""
    crowd = _Crowd(env)
    await crowd.build()
    dice = random.Random(7)
    queries = [*_FOR_THIS_CROWD, *QUERIES.read_text().splitlines(), *(made_up(dice, 3) for _ in range(80))]
    for few in (queries[place : place + 8] for place in range(0, len(queries), 8)):
        for query, seen in zip(few, await asyncio.gather(*(crowd.look(query) for query in few)), strict=True):
            env.record(query, seen)


async def _few(env: Env) -> dict[str, str]:
    """Five executions, two of them closed, the first one last; their names by id."""
    await env.move_to_namespace(await env.new_namespace("home"))
    names: dict[str, str] = {}
    for name, kind in (("a", "Raw"), ("b", "Raw"), ("c", "Other"), ("d", "Raw"), ("e", "Raw")):
        names[env.id(name)] = name
        await env.start_raw(env.id(name), workflow_type=WorkflowType(name=kind))
        await asyncio.sleep(0.003)
    for name in ("d", "b"):
        execution = WorkflowExecution(workflow_id=env.id(name))
        await env.rpc.terminate_workflow_execution(
            service.TerminateWorkflowExecutionRequest(namespace=env.namespace, workflow_execution=execution)
        )
        await asyncio.sleep(0.003)

    async def closed() -> bool:
        query = "ExecutionStatus = 'Terminated'"
        request = service.CountWorkflowExecutionsRequest(namespace=env.namespace, query=query)
        return (await env.rpc.count_workflow_executions(request)).count == 2

    await env.until(closed, "two executions to be closed in lists")
    return names


async def scenario_lists_in_order(env: Env) -> None:
    """Those that run, the newest first; then the closed ones, the last closed first; on pages too."""
    names = await _few(env)
    for size in (0, 1, 2, 3, 4):
        found: list[str] = []
        token = b""
        while token or not found:
            request = service.ListWorkflowExecutionsRequest(
                namespace=env.namespace, page_size=size, next_page_token=token
            )
            page = await env.rpc.list_workflow_executions(request)
            found += [names[each.execution.workflow_id] for each in page.executions]
            token = page.next_page_token
        env.record(f"pages of {size}", found)


async def scenario_lists_the_older_ways(env: Env) -> None:
    names = await _few(env)
    none = StartTimeFilter(earliest_time=Timestamp(seconds=1), latest_time=Timestamp(seconds=2))
    wrong = StartTimeFilter(earliest_time=Timestamp(seconds=5), latest_time=Timestamp(seconds=2))
    filters: dict[str, dict[str, Any]] = {
        "all": {},
        "size below 0": {"maximum_page_size": -1},
        "started then": {"start_time_filter": none},
        "started since": {"start_time_filter": StartTimeFilter(earliest_time=Timestamp(seconds=1))},
        "started in no time": {"start_time_filter": wrong},
        "no time given": {"start_time_filter": StartTimeFilter()},
        "type": {"type_filter": WorkflowTypeFilter(name="Raw")},
        "no type": {"type_filter": WorkflowTypeFilter()},
        "id": {"execution_filter": WorkflowExecutionFilter(workflow_id=env.id("a"))},
        "id of a closed one": {"execution_filter": WorkflowExecutionFilter(workflow_id=env.id("b"), run_id="x")},
        "no id": {"execution_filter": WorkflowExecutionFilter(run_id="x")},
    }
    rpc = env.rpc

    def listed(executions: Sequence[Any]) -> list[str]:
        return [names[each.execution.workflow_id] for each in executions]

    async def look(label: str, call: Any) -> None:
        try:
            env.record(label, listed((await call).executions))
        except RPCError as error:
            env.record(label, error)

    for label, given in filters.items():
        opened = service.ListOpenWorkflowExecutionsRequest(namespace=env.namespace, **given)
        await look(f"open, {label}", rpc.list_open_workflow_executions(opened))
        closed = service.ListClosedWorkflowExecutionsRequest(namespace=env.namespace, **given)
        await look(f"closed, {label}", rpc.list_closed_workflow_executions(closed))
    for status in range(8):
        given_status = StatusFilter(status=status)  # pyright: ignore[reportArgumentType]  (enum values are ints)
        closed = service.ListClosedWorkflowExecutionsRequest(namespace=env.namespace, status_filter=given_status)
        await look(f"closed, status {status}", rpc.list_closed_workflow_executions(closed))
    for query in ("", f"WorkflowId = '{env.id('a')}'", "Nobody = 1", "GROUP BY ExecutionStatus", "ORDER BY StartTime"):
        scan = service.ScanWorkflowExecutionsRequest(namespace=env.namespace, query=query)
        await look(f"scan {query}", rpc.scan_workflow_executions(scan))
        archived = service.ListArchivedWorkflowExecutionsRequest(namespace=env.namespace, query=query)
        await look(f"archived {query}", rpc.list_archived_workflow_executions(archived))
