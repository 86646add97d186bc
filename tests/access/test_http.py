"""HTTP and JSON: the same requests to the real server and to ours, and what it answers compared.

Ids, times and tokens differ. So does the content type where nobody has asked for one: the real server says ``*``.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import aiohttp
import pytest
import pytest_asyncio
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from hotmesh_temporal.authorization.api_keys import ApiKeys, hash_of, new_key
from hotmesh_temporal.authorization.gate import Gate
from hotmesh_temporal.frontend.dispatch import HANDLERS
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.http_api import json_form
from hotmesh_temporal.http_api.listener import HttpListener
from hotmesh_temporal.http_api.routes import Route, find, routes
from hotmesh_temporal.transport.tls import TlsFiles, WatchedCertificates
from tests.quorum.conftest import engine_on
from tests.support.certificates import Authority
from tests.support.temporal_server import TemporalServer

API = "/api/v1/namespaces/default"
RUN = {"workflowType": {"name": "W"}, "taskQueue": {"name": "q"}, "requestId": "r"}
PAYLOADS = [1, "two", {"a": [1.5]}, {"_protoMessageType": "x.Y", "a": 1}, None]
OWN = {"metadata": {"encoding": "b3du"}, "data": "YQ=="}


class Ask(NamedTuple):
    """A request. ``body`` is JSON, or a text as it is."""

    verb: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012  # it is never changed


def started(name: str, **more: Any) -> Ask:
    return Ask("POST", f"{API}/workflows/{name}", {**RUN, **more})


REQUESTS = [
    started("w", input=PAYLOADS, memo={"fields": {"m": {"x": 1}, "n": None, "o": OWN}}),
    started("w"),
    started("own", input=[1, OWN]),
    started("long", input={"payloads": [1, {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "MQ=="}]}),
    started("empty", input=[]),
    started("none", input=None, memo=None),
    Ask(
        "POST",
        f"{API}/workflows/snake",
        {"workflow_type": {"name": "W"}, "task_queue": {"name": "q"}, "request_id": "r"},
    ),
    Ask("POST", f"{API}/workflows/path", {**RUN, "workflowId": "body", "namespace": "elsewhere"}),
    Ask("POST", "/namespaces/default/workflows/short-form", RUN),
    Ask("POST", f"{API}/workflows/first", json.dumps(RUN) + " and more"),
    *(Ask("GET", f"{API}/workflows/{name}/history") for name in ("w", "own", "long", "empty", "none", "path")),
    Ask("GET", f"{API}/workflows/w/history?noPayloadShorthand"),
    Ask("GET", f"{API}/workflows/w/history?pretty&noPayloadShorthand"),
    Ask("GET", f"{API}/workflows/w/history", None, {"Accept": "application/json+pretty"}),
    Ask("GET", f"{API}/workflows/w/history", None, {"Accept": "application/json+no-payload-shorthand"}),
    Ask("GET", f"{API}/workflows/w/history", None, {"Accept": "text/html"}),
    Ask("GET", f"{API}/workflows/w/history?maximumPageSize=1"),
    Ask("GET", f"{API}/workflows/w/history?maximum_page_size=1&execution.workflowId=other"),
    Ask("GET", f"{API}/workflows/w/history-reverse?maximumPageSize=1"),
    Ask("GET", f"{API}/workflows/w/history?execution.runId=x"),
    Ask("GET", f"{API}/workflows/w/history?maximumPageSize=x"),
    Ask("GET", f"{API}/workflows/w/history?maximumPageSize=99999999999"),
    Ask("GET", f"{API}/workflows/w/history?maximumPageSize=1&maximumPageSize=2"),
    Ask("GET", f"{API}/workflows/w/history?waitNewEvent=maybe"),
    Ask("GET", f"{API}/workflows/w/history?waitNewEvent=T&maximumPageSize=1"),
    Ask("GET", f"{API}/workflows/w/history?historyEventFilterType=HISTORY_EVENT_FILTER_TYPE_ALL_EVENT"),
    Ask("GET", f"{API}/workflows/w/history?historyEventFilterType=1"),
    Ask("GET", f"{API}/workflows/w/history?historyEventFilterType=NOPE"),
    Ask("GET", f"{API}/workflows/w/history?historyEventFilterType=77"),
    Ask("GET", f"{API}/workflows/w/history?nextPageToken=%20"),
    Ask("GET", f"{API}/workflows/w/history?nextPageToken=YQ"),
    Ask("GET", f"{API}/workflows/w/history?nothing=1&nothing.at.all=2&namespace=elsewhere"),
    Ask("GET", f"{API}/workflows/w"),
    Ask("GET", f"{API}/workflows/none-such"),
    Ask("GET", f"{API}/workflows/none-such?pretty"),
    Ask("GET", f"{API}/workflows/a%2Fb"),
    Ask("GET", f"{API}/workflows/a%20b%3Ac"),
    Ask("GET", f"{API}/workflows/:c"),
    Ask("GET", f"{API}/workflows/"),
    Ask("GET", "/api/v1//namespaces"),
    Ask("GET", "/"),
    Ask("GET", "/nothing"),
    Ask("POST", "/cluster"),
    Ask("PUT", f"{API}/workflows/w"),
    Ask("OPTIONS", f"{API}/workflows", None, {"Origin": "http://example.com"}),
    Ask("GET", "/cluster", None, {"Grpc-Timeout": "soon"}),
    Ask("GET", "/cluster", None, {"Grpc-Timeout": "3S"}),
    Ask("POST", f"{API}/workflow-count", "query=WorkflowId='w'", {"Content-Type": "application/x-www-form-urlencoded"}),
    Ask("POST", f"{API}/workflows/w/signal/go", {"input": [1], "signalName": "body"}),
    Ask("POST", f"{API}/workflows/w/signal/go", {"workflowExecution": {"runId": "x"}}),
    Ask("POST", f"{API}/workflows/w/query/state", {"execution": {"runId": "x"}}),
    Ask(
        "POST",
        f"{API}/workflows/w/update/go",
        {"request": {"meta": {"updateId": "u"}}, "workflowExecution": {"runId": "x"}},
    ),
    Ask("POST", f"{API}/workflows/w/cancel"),
    Ask("POST", f"{API}/workflows/w/terminate", {"reason": "over", "details": ["because", {"a": None}]}),
    Ask("POST", f"{API}/workflows/w/terminate", {}),
    Ask("GET", f"{API}/workflows/w/history-reverse?maximumPageSize=1"),
    Ask("POST", f"{API}/workflows/w/reset", {"workflowTaskFinishEventId": "99", "reason": "r"}),
    Ask("POST", f"{API}/activities/a/complete", {"workflowId": "w", "result": [1]}),
    Ask("POST", f"{API}/activity-complete", {"taskToken": "eA==", "result": [1]}),
    Ask("POST", f"{API}/batch-operations/b", {"reason": "r"}),
    Ask("POST", f"{API}/schedules/s", {"schedule": {"spec": {"interval": [{"interval": "3600s"}]}}}),
    Ask("POST", "/api/v1/namespaces", {"namespace": "made", "workflowExecutionRetentionPeriod": "86400s"}),
    Ask("POST", "/cluster/namespaces", {"namespace": "made", "workflowExecutionRetentionPeriod": "86400s"}),
    Ask("POST", "/api/v1/namespaces/made/update", {"updateInfo": {"description": "all of it"}}),
    Ask("GET", "/cluster/namespaces/made"),
]
"""Compared with all that they answer."""

BODIES = [
    '{"nope": 1}',
    "{nope",
    '{"workflowType": 3}',
    "[1]",
    "null",
    '"x"',
    '{"workflowRunTimeout": "x"}',
    '{"workflowIdReusePolicy": "x"}',
]
"""None of them is a request. What is wrong is said in words of our own."""

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_OTHER = {
    *("capabilities", "supportsSchedules", "persistenceStore", "visibilityStore", "clusterId", "taskId"),
    *("nextPageToken", "historySizeBytes", "stateTransitionCount", "externalPayloadCount", "limits"),
}


def same(value: Any) -> Any:
    """What two servers have to agree on."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: same(each) for name, each in fields.items() if name not in _OTHER}
    if isinstance(value, list):
        return [same(each) for each in value]  # pyright: ignore[reportUnknownVariableType]  (JSON)
    if isinstance(value, str):
        return _TIME.sub("TIME", _ID.sub("ID", value))
    return value


class Side:
    """One of the servers."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._url = f"http://{address}"

    async def ask(self, ask: Ask) -> list[Any]:
        """Status, content type, and what it says."""
        body = ask.body if isinstance(ask.body, str | None) else json.dumps(ask.body, separators=(",", ":"))
        async with self._session.request(
            ask.verb,
            self._url + ask.path,
            data=body and io.BytesIO(body.encode()),
            headers=ask.headers,
            allow_redirects=False,
        ) as response:
            text = await response.text()
            kind = response.headers.get("Content-Type", "")
            said = same(json.loads(text)) if text else response.headers.get("Location", "")
            layout = "\n  " in text
        return [response.status, kind.replace("*", "application/json"), layout, said]


class Both(NamedTuple):
    """The two servers."""

    real: Side
    ours: Side
    frontend: Frontend


@pytest_asyncio.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    """A real server and one of ours."""
    real, frontend = TemporalServer(), engine_on(tmp_path / "x.sqlite3")
    await asyncio.gather(real.start(), frontend.start())
    listener = HttpListener(frontend)
    address = await listener.start()
    # As it is sent: a client would write the escapes of a path anew.
    async with aiohttp.ClientSession(requote_redirect_url=False) as session:
        yield Both(Side(session, real.http_address), Side(session, address), frontend)
    await listener.close()
    await frontend.close()
    real.stop()


def filled(route: Route) -> str:
    """A path of a route, of things that are not there."""
    parts = {"{namespace}": "default"}
    return "/" + "/".join(parts.get(each, "nothing") if each.startswith("{") else each for each in route.segments)


async def test_the_servers_answer_the_same(both: Both) -> None:
    wrong: list[Any] = []
    for ask in REQUESTS:
        real, ours = await both.real.ask(ask), await both.ours.ask(ask)
        if real != ours:
            wrong.append((ask, real, ours))
    assert wrong == []
    await check_routes(both)
    await check_bad_bodies(both)


async def check_routes(both: Both) -> None:
    """Every GET and DELETE that the protocol has: those that are answered as they are there."""
    wrong: list[Any] = []
    asked = 0
    for route in (each for listed in routes().values() for each in listed if each.verb != "POST"):
        ask = Ask(route.verb, filled(route))
        ours = await both.ours.ask(ask)
        if route.method.name not in HANDLERS[route.method.service]:
            assert (ours[0], ours[3]["code"]) == (501, 12)
            continue
        asked += 1
        real = await both.real.ask(ask)
        if route.method.name in LISTS:  # what is in them was made by the requests above, in each at its own time
            real, ours = real[:3], ours[:3]
        if real != ours:
            wrong.append((ask, real, ours))
    assert wrong == []
    assert asked > 30


LISTS = {
    "ListWorkflowExecutions",
    "ListNamespaces",
    "CountWorkflowExecutions",
    "ListSchedules",
    "ListSearchAttributes",
    "DescribeTaskQueue",
    "GetSystemInfo",
}


async def check_bad_bodies(both: Both) -> None:
    for body in BODIES:
        ask = Ask("POST", f"{API}/workflows/bad", body)
        real, ours = await both.real.ask(ask), await both.ours.ask(ask)
        assert (real[:3], real[3]["code"]) == (ours[:3], ours[3]["code"]) == ([400, "application/json", False], 3), body
    plain = Ask(
        "POST", f"{API}/workflows/bad", RUN | {"input": [1]}, {"Content-Type": "application/json+no-payload-shorthand"}
    )
    assert [each[:3] for each in (await both.real.ask(plain), await both.ours.ask(plain))] == [
        [400, "application/json+no-payload-shorthand", False]
    ] * 2
    large = Ask("POST", f"{API}/workflows/bad", " " * 5_000_000)
    assert await both.real.ask(large) == await both.ours.ask(large)


# -- ours alone ---------------------------------------------------------------------------------------------------


async def test_a_caller_that_goes_away_is_not_waited_for(tmp_path: Path) -> None:
    frontend = engine_on(tmp_path / "x.sqlite3")
    await frontend.start()
    listener = HttpListener(frontend)
    address = await listener.start()
    async with aiohttp.ClientSession() as session:
        await Side(session, address).ask(started("w"))
        path = f"http://{address}{API}/workflows/w/history?waitNewEvent=true&historyEventFilterType=2"
        before = len(asyncio.all_tasks())
        with pytest.raises(asyncio.TimeoutError):
            await session.get(path, timeout=aiohttp.ClientTimeout(total=0.3))
        # A long poll that is waited for to its end, which comes with the workflow's.
        poll = asyncio.ensure_future(session.get(path))
        await asyncio.sleep(0.2)
        assert not poll.done()
        await Side(session, address).ask(Ask("POST", f"{API}/workflows/w/terminate", {"reason": "over"}))
        async with await asyncio.wait_for(poll, 5) as reply:
            events = (await reply.json(content_type=None))["history"]["events"]
        assert [each["eventType"] for each in events] == ["EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED"]
        for _ in range(100):
            if len(asyncio.all_tasks()) <= before:
                break
            await asyncio.sleep(0.02)
        assert len(asyncio.all_tasks()) <= before
    await listener.close()
    await frontend.close()


async def test_keys_and_certificates_count_here_too(tmp_path: Path) -> None:
    authority, key = Authority(), new_key()
    certificate, private = authority.server().write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    keys = tmp_path / "keys.toml"
    keys.write_text(
        f'[[key]]\nname = "k"\nhash = "{hash_of(key)}"\npermissions = ["default:read"]\n'
        '[[certificate]]\ncommon_name = "writer"\npermissions = ["default:write"]\n'
    )
    frontend = engine_on(tmp_path / "x.sqlite3")
    await frontend.start()
    watched = WatchedCertificates(TlsFiles(certificate, private, tmp_path / "ca.pem"))
    listener = HttpListener(frontend, certificates=watched, gate=Gate([ApiKeys(keys)]))
    address = await listener.start()

    async def status(who: str, ask: Ask) -> tuple[int, Any]:
        context = ssl.create_default_context(cadata=authority.pem.decode())
        context.load_cert_chain(*authority.client(who).write(tmp_path, who))
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                ask.verb,
                f"https://{address}{ask.path}",
                ssl=context,
                headers=ask.headers,
                data=json.dumps(ask.body or {}),
            ) as reply,
        ):
            return reply.status, (await reply.json(content_type=None)).get("message")

    with_key = {"Authorization": f"Bearer {key}"}
    denied = (403, "Request unauthorized.")
    assert await status("writer", started("w")) == (200, None)
    assert await status("stranger", Ask("GET", f"{API}/workflows/w")) == denied
    assert await status("stranger", Ask("GET", f"{API}/workflows/w", None, with_key)) == (200, None)
    assert await status("writer", started("x")._replace(headers=with_key)) == denied
    assert await status("writer", Ask("GET", "/api/v1/namespaces/other/workflows/w")) == denied
    assert await status("stranger", Ask("GET", "/api/v1/system-info")) == (200, None)
    with pytest.raises(aiohttp.ClientError):
        async with aiohttp.ClientSession() as session:
            await session.get(f"http://{address}/cluster")
    await listener.close()
    await frontend.close()


async def test_renewed_certificates_are_used_without_a_restart(tmp_path: Path) -> None:
    """Also for clients that name the server by its address, and so send no name. Others' certificates are not taken."""
    first, second = Authority("first"), Authority("second")
    files = TlsFiles(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "ca.pem")

    def install(authority: Authority) -> None:
        authority.server().write(tmp_path, "server")
        (tmp_path / "ca.pem").write_bytes(authority.pem)

    async def reaches(authority: Authority) -> bool:
        context = ssl.create_default_context(cadata=authority.pem.decode())
        context.load_cert_chain(*authority.client("someone").write(tmp_path, "someone"))
        try:
            async with aiohttp.ClientSession() as session:
                await session.get(f"https://{address}/system-info", ssl=context)
        except aiohttp.ClientError:
            return False
        return True

    install(first)
    frontend = engine_on(tmp_path / "x.sqlite3")
    await frontend.start()
    listener = HttpListener(frontend, certificates=WatchedCertificates(files))
    address = await listener.start()
    assert [await reaches(each) for each in (first, second)] == [True, False]
    install(second)
    assert [await reaches(each) for each in (first, second)] == [False, True]
    await listener.close()
    await frontend.close()


def test_payloads_there_and_back() -> None:
    """What was sent in the short form is stored as it was written, and shown in the short form."""
    request = StartWorkflowExecutionRequest()
    text = b'{"input": [1.50, {"b" : 12345678901234567890}, null, {"_protoMessageType": "x.Y", "c": 1}], "memo": null}'
    json_form.from_json(text, request, short=True)
    assert [each.data for each in request.input.payloads] == [b"1.50", b'{"b" : 12345678901234567890}', b"", b'{"c":1}']
    assert [each.metadata["encoding"] for each in request.input.payloads] == [
        b"json/plain",
        b"json/plain",
        b"binary/null",
        b"json/protobuf",
    ]
    shown = json_form.to_json(request, short=True)["input"]
    assert shown == [
        1.5,
        {"b": 12345678901234567890},
        {"metadata": {"encoding": "YmluYXJ5L251bGw="}},
        {"_protoMessageType": "x.Y", "c": 1},
    ]
    broken = StartWorkflowExecutionRequest(
        input=Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=b"{not")])
    )
    assert json_form.to_json(broken, short=True)["input"] == [
        {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "e25vdA=="}
    ]


def test_every_path_leads_to_its_own_rpc() -> None:
    lost = [
        (route.method.name, filled(route))
        for listed in routes().values()
        for route in listed
        if (found := find(route.verb, filled(route))) is None or found.route.method != route.method
    ]
    assert lost == []
