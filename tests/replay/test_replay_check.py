"""Code that breaks what is running is found, with the line; code that does not is not."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner
from temporalio.converter import DataConverter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from hotmesh_temporal.cli.main import main
from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import resolve
from hotmesh_temporal.histories import of_database
from hotmesh_temporal.replay_check import Code, CodeError, Report, check
from hotmesh_temporal.replay_check.check import select
from tests.replay.conftest import QUEUE, WAITING, Shop

RESERVE = "await workflow.execute_activity('reserve', item, start_to_close_timeout=timedelta(minutes=1))"
CHARGE = "return await workflow.execute_activity('charge', item, start_to_close_timeout=timedelta(minutes=1))"
WAIT = "await workflow.wait_condition(lambda: self.is_paid)"
BODY = (RESERVE, WAIT, CHARGE)
SOURCE = """
import asyncio
from datetime import timedelta
from temporalio import workflow

@workflow.defn(name={type!r})
class Order:
    def __init__(self) -> None:
        self.is_paid = False

    @workflow.run
    async def run(self, item: str) -> str:
{body}

    @workflow.signal
    def pay(self) -> None:
        self.is_paid = True
"""


def write(folder: Path, name: str, *body: str, type: str = "Order") -> Path:
    """A module with the workflow that has this body."""
    file = folder / f"{name}.py"
    file.write_text(SOURCE.format(type=type, body=textwrap.indent("\n".join(body), " " * 8)))
    return file


def line_of(file: Path, text: str) -> str:
    number = next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)
    return f"{file}:{number}"


async def checked(shop: Shop, file: Path, *, closed: int = 10, sandbox: bool = False, skip: bool = False) -> Report:
    code = Code([str(file)], sandbox=sandbox)
    async with of_database(shop.connections) as histories:
        runs = await select(histories, ["default"], code.classes(), closed=closed)
        return await check(histories, runs, code, skip_unknown=skip)


async def test_the_same_code_replays(shop: Shop, tmp_path: Path) -> None:
    report = await checked(shop, write(tmp_path, "the_same", *BODY), sandbox=True)
    assert (report.checked, report.broken) == (WAITING + 1, [])


async def test_a_patched_change_replays(shop: Shop, tmp_path: Path) -> None:
    body = ("if workflow.patched('pause'):", "    await asyncio.sleep(1)", *BODY)
    report = await checked(shop, write(tmp_path, "patched", *body))
    assert (report.checked, report.broken) == (WAITING + 1, [])


@pytest.mark.parametrize("sandbox", [False, True])
async def test_another_step_is_found_with_its_line(shop: Shop, tmp_path: Path, sandbox: bool) -> None:
    file = write(tmp_path, f"pausing_{sandbox}", "await asyncio.sleep(1)", *BODY)
    report = await checked(shop, file, sandbox=sandbox)
    (group,) = report.groups
    assert len(group) == WAITING + 1
    first = group[0]
    assert (first.event, first.did) == ("ActivityTaskScheduled reserve", "TimerStarted")
    assert first.event_id == 5
    assert first.where == line_of(file, "asyncio.sleep")
    assert "Timer machine does not handle this event" in first.message


async def test_another_type_and_a_missing_step(shop: Shop, tmp_path: Path) -> None:
    other = write(tmp_path, "renamed", RESERVE.replace("reserve", "hold"), *BODY[1:])
    verdict = (await checked(shop, other)).broken[0]
    assert (verdict.event, verdict.did) == ("ActivityTaskScheduled reserve", "ActivityTaskScheduled hold")
    assert verdict.where == line_of(other, "'hold'")
    waiting = write(tmp_path, "waiting", WAIT, CHARGE)
    verdicts = (await checked(shop, waiting, closed=0)).broken
    assert {(each.event, each.did) for each in verdicts} == {("ActivityTaskScheduled reserve", "nothing more")}
    assert {each.where for each in verdicts} == {line_of(waiting, "is_paid)")}


async def test_a_step_that_comes_too_late_to_be_seen_by_the_sdk(shop: Shop, tmp_path: Path) -> None:
    # The task in which the timer would have been started is over, and the history of what is open ends with it.
    body = (RESERVE, "await asyncio.sleep(1)", WAIT, CHARGE)
    file = write(tmp_path, "too_late", *body)
    report = await checked(shop, file, closed=0)
    assert len(report.broken) == WAITING
    verdict = report.broken[0]
    assert (verdict.event, verdict.did, verdict.event_id) == ("nothing more", "TimerStarted", 0)
    assert verdict.where == line_of(file, "asyncio.sleep")
    assert "breaks at the next event" in verdict.message


async def test_an_error_and_an_end_are_found(shop: Shop, tmp_path: Path) -> None:
    failing = write(tmp_path, "failing", RESERVE, "raise TypeError('no such thing')")
    verdict = (await checked(shop, failing)).broken[0]
    assert (verdict.problem, verdict.message) == ("error", "TypeError: no such thing")
    assert verdict.where == line_of(failing, "raise TypeError")
    ending = write(tmp_path, "ending", "return ''")
    verdict = (await checked(shop, ending)).broken[0]
    assert verdict.did == "WorkflowExecutionCompleted"


async def test_a_type_without_code(shop: Shop, tmp_path: Path) -> None:
    file = write(tmp_path, "another", *BODY, type="Another")
    report = await checked(shop, file, closed=0)
    assert {each.problem for each in report.broken} == {"unknown type"}
    assert len(report.broken) == WAITING
    assert (await checked(shop, file, closed=0, skip=True)).checked == 0


def test_code_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty_module.py").write_text("")
    (tmp_path / "wrong_module.py").write_text("1 / 0")
    for name, text in (
        ("empty_module.py", "no workflow class"),
        ("wrong_module.py", "cannot be imported: ZeroDivisionError"),
        ("missing.py", "no file"),
        ("no.such.module", "cannot be imported"),
    ):
        with pytest.raises(CodeError, match=text):
            Code([name], folder=str(tmp_path)).classes()
    with pytest.raises(CodeError, match="is not a workflow class"):
        Code(workflows=["tests.replay.shop:reserve"]).classes()


def test_the_command_in_processes(shop: Shop, tmp_path: Path) -> None:
    write(tmp_path, "deployed", "await asyncio.sleep(1)", *BODY)
    command = [sys.executable, "-m", "hotmesh_temporal", "replay-check", "deployed", "--connection", shop.url]
    command += ["--json", "--jobs", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert (found["checked"], found["would_break"]) == (WAITING, WAITING)
    assert found["groups"][0]["where"] == line_of(tmp_path / "deployed.py", "asyncio.sleep").removeprefix(
        f"{tmp_path}/"
    )


def test_the_command_says_it_in_words(shop: Shop, tmp_path: Path) -> None:
    file = write(tmp_path, "worded", "await asyncio.sleep(1)", *BODY)
    run = CliRunner().invoke
    done = run(main, ["replay-check", str(file), "--connection", shop.url, "--no-sandbox", "--closed", "1"])
    assert done.exit_code == 1
    assert f"{WAITING + 1} runs of Order would break:" in done.output
    assert "at event 5 the history has ActivityTaskScheduled reserve, the code does TimerStarted" in done.output
    done = run(main, ["replay-check", "no.such.module", "--connection", shop.url])
    assert done.exit_code == 2
    assert run(main, ["replay-check"]).exit_code == 2


CODEC = """
import dataclasses
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, PayloadCodec

class Rot(PayloadCodec):
    async def encode(self, payloads):
        meta = {"encoding": b"binary/rot"}
        return [Payload(metadata=meta, data=self.turned(p.SerializeToString())) for p in payloads]

    async def decode(self, payloads):
        return [Payload.FromString(self.turned(p.data)) for p in payloads]

    def turned(self, data):
        return bytes(255 - byte for byte in data)

CONVERTER = dataclasses.replace(DataConverter.default, payload_codec=Rot())
"""


async def test_payloads_that_only_a_codec_reads(tmp_path: Path) -> None:
    (tmp_path / "rot_codec.py").write_text(CODEC)
    write(tmp_path, "coded", "await asyncio.sleep(int(item))", "return item")
    url = f"sqlite:///{tmp_path / 'coded.sqlite3'}"
    code = Code(["coded"], data_converter="rot_codec:CONVERTER", sandbox=False, folder=str(tmp_path))
    (cls,) = code.classes().values()
    config = code.replayer().config()
    client = await Client.connect(connection=url, data_converter=config.get("data_converter", DataConverter.default))
    async with Worker(client, task_queue=QUEUE, workflows=[cls], workflow_runner=UnsandboxedWorkflowRunner()):
        assert await client.execute_workflow("Order", "0", id="coded", task_queue=QUEUE) == "0"
    await client.close()
    async with of_database(resolve(url)) as histories:
        runs = await select(histories, ["default"], ["Order"], closed=1)
        assert (await check(histories, runs, code)).broken == []
        (verdict,) = (await check(histories, runs, dataclasses.replace(code, data_converter=""))).broken
    assert verdict.problem == "error"
