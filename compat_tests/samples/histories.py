"""All that happened in a namespace, so that two servers can be compared."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecution

from compat_tests.normalize import UUID, Normalizer

IDENTITY = re.compile(r"\b\d+@[\w.-]+")
LOOKS = 3
"""So many lists in a row must be the same, as the real server writes its index a little later."""
LOOK_SECONDS = 0.15
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
"""Schedules put it into the ids of what they start."""


async def histories(client: Client, names: Mapping[str, str], *, loose: bool) -> list[str]:
    """The history of every run of the client's namespace as normalized lines of JSON, in the order of workflow ids.

    ``names`` are replaced as by `Normalizer`. With ``loose`` the lines have what is the same in whichever order things
    happen: how often each event came in all runs of a workflow id, workflow tasks left out.
    """
    normalize = Normalizer(names)
    found: dict[str, list[str]] = {}
    for run in await _runs(client):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        events = (await handle.fetch_history()).events
        lines = found.setdefault(f"--- {_alike(str(normalize(run.id)))}: {run.workflow_type}", [])
        if loose:
            lines += [name for each in events if "WORKFLOW_TASK_" not in (name := _TYPES[each.event_type])]
        else:
            lines += _alike(json.dumps(normalize(list(events)), indent=1, sort_keys=True)).splitlines()
    return [line for head, lines in found.items() for line in (head, *(sorted(lines) if loose else lines))]


_TYPES: dict[int, str] = {number: name for name, number in EventType.items()}


async def _runs(client: Client) -> list[WorkflowExecution]:
    seen: list[set[Any]] = []
    while True:
        found = [each async for each in client.list_workflows()]
        seen.append({(each.id, each.run_id) for each in found})
        if len(seen) >= LOOKS and all(each == seen[-1] for each in seen[-LOOKS:]):
            return sorted(found, key=lambda run: (UUID.sub("", run.id), run.workflow_type, run.start_time))
        await asyncio.sleep(LOOK_SECONDS)


def _alike(text: str) -> str:
    """Without what differs between processes, and between the two names of the SDK."""
    return TIME.sub("<time>", IDENTITY.sub("<identity>", text)).replace("hotmesh_temporal", "temporalio")
