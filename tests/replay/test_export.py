"""Exported files are what the SDK's replayer reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from temporalio.client import WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from hotmesh_temporal.cli.main import main
from hotmesh_temporal.export import Exported, Folder, export
from hotmesh_temporal.histories import Selection, of_database
from tests.replay.conftest import WAITING, Shop
from tests.replay.shop import Order


async def exported(shop: Shop, folder: Path, selection: Selection | None = None) -> Exported:
    async with of_database(shop.connections) as histories:
        return await export(histories, ["default"], selection or Selection(), Folder(folder))


def index(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]


async def test_the_files_replay(shop: Shop, tmp_path: Path) -> None:
    done = await exported(shop, tmp_path)
    lines = index(tmp_path)
    assert done.written == len(lines) == WAITING + 1
    replayer = Replayer(workflows=[Order], workflow_runner=UnsandboxedWorkflowRunner())
    for line in lines:
        history = WorkflowHistory.from_json(line["workflow_id"], (tmp_path / line["file"]).read_text())
        assert history.run_id == line["run_id"]
        assert len(history.events) == int(line["events"])
        await replayer.replay_workflow(history)
    # As the temporal command names it.
    first = json.loads((tmp_path / lines[0]["file"]).read_text())["events"][0]
    assert first["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"


async def test_an_interrupted_export_goes_on(shop: Shop, tmp_path: Path) -> None:
    await exported(shop, tmp_path)
    closed = next(line for line in index(tmp_path) if line["closed"])
    # Killed while it wrote a line, after a file was lost and another was begun.
    with (tmp_path / "index.jsonl").open("a") as lines:
        lines.write('{"namespace": "default", "run')
    (tmp_path / closed["file"]).unlink()
    (tmp_path / "default" / ".half.json.part").write_text("{")
    again = await exported(shop, tmp_path)
    # What is open may have grown.
    assert (again.written, again.kept) == (WAITING + 1, 0)
    once_more = await exported(shop, tmp_path, Selection(open=False))
    assert (once_more.written, once_more.kept) == (0, 1)
    assert len(index(tmp_path)) == WAITING + 1


async def test_only_some_are_chosen(shop: Shop, tmp_path: Path) -> None:
    assert (await exported(shop, tmp_path / "open", Selection(open=True))).written == WAITING
    ids = Selection(workflow_ids=("order/1", "it's nobody"))
    assert (await exported(shop, tmp_path / "ids", ids)).written == 1
    query = Selection("WorkflowId = 'order/1' OR WorkflowId = 'order/paid'", open=False)
    assert (await exported(shop, tmp_path / "query", query)).written == 1


async def test_what_reads_only_reads(shop: Shop) -> None:
    async with of_database(shop.connections) as histories:
        assert "default" in await histories.namespaces()
        client = histories._client  # pyright: ignore[reportPrivateUsage]  # what it is refused
        with pytest.raises(RPCError, match="only reads") as caught:
            await client.get_workflow_handle("order/1").signal("pay")
        assert caught.value.status is RPCStatusCode.UNIMPLEMENTED


def test_the_command(shop: Shop, tmp_path: Path) -> None:
    run = CliRunner().invoke
    result = run(main, ["export", "--connection", shop.url, "--all-namespaces", "--closed", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "1 histories with" in result.output
    result = run(main, ["export", "--connection", shop.url, "--stdout", "order/1"])
    assert len(json.loads(result.stdout)["events"]) > 5
    result = run(main, ["export", "--connection", shop.url, "--stdout", "order/17"])
    assert result.exit_code == 1
    assert "no such workflow" in result.output
