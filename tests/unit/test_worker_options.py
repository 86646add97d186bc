"""The options of `Worker.create`: what they mean, what is refused, and that the activities of a workflow get them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import RetryPolicy as RetryPolicyProto

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.client import Client
from hotmesh_temporal.common import RetryPolicy
from hotmesh_temporal.worker import Worker
from hotmesh_temporal.worker._options import retry_policy_of

SECOND = timedelta(seconds=1)


@activity.defn
async def note(text: str) -> str:
    return text


@workflow.defn
class TwoActivities:
    @workflow.run
    async def run(self) -> None:
        own = RetryPolicy(maximum_attempts=7)
        await workflow.execute_activity(note, "default", start_to_close_timeout=10 * SECOND)
        await workflow.execute_activity(note, "own", start_to_close_timeout=10 * SECOND, retry_policy=own)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2 * SECOND, 2 * SECOND),
        (5, 5 * SECOND),
        (0.5, SECOND / 2),
        ("5 seconds", 5 * SECOND),
        ("1 Second", SECOND),
        ("250ms", SECOND / 4),
        ("1.5 min", 90 * SECOND),
        ("2h", 7200 * SECOND),
        ("1 day", 86400 * SECOND),
    ],
)
def test_intervals(value: Any, expected: timedelta) -> None:
    assert retry_policy_of({"maximum_interval": value}).maximum_interval == expected


def test_every_option_is_honoured() -> None:
    options = {
        "initial_interval": 2,
        "backoff_coefficient": 3,
        "maximum_attempts": 1000,
        "maximum_interval": "5 seconds",
    }
    assert retry_policy_of(options) == RetryPolicy(
        initial_interval=2 * SECOND, backoff_coefficient=3, maximum_attempts=1000, maximum_interval=5 * SECOND
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"maximum_atempts": 3}, "does not honour these options: maximum_atempts"),
        ({"maximum_interval": "soon"}, "maximum_interval must be a timedelta"),
        ({"maximum_interval": True}, "maximum_interval must be a timedelta"),
        ({"maximum_interval": "5 parsecs"}, "maximum_interval must be a timedelta"),
        ({"backoff_coefficient": 0.5}, "[Bb]ackoff coefficient"),
    ],
)
async def test_what_makes_no_sense_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        await Worker.create(connection="sqlite:///none.db", task_queue="q", workflow=TwoActivities, options=options)


async def test_activities_without_a_policy_of_their_own_get_it(tmp_path: Path) -> None:
    connection = tmp_path / "options.sqlite3"
    worker = await Worker.create(
        connection=connection,
        task_queue="q",
        workflow=TwoActivities,
        activities=[note],
        options={"backoff_coefficient": 4, "maximum_attempts": 9, "maximum_interval": "5 seconds"},
    )
    client = await Client.connect(connection=connection)
    async with worker:
        handle = await client.start_workflow(TwoActivities.run, id="w", task_queue="q")
        await handle.result()
        events = (await handle.fetch_history()).events
    await client.close()
    policies: list[RetryPolicyProto] = [
        event.activity_task_scheduled_event_attributes.retry_policy
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert [(p.maximum_attempts, p.backoff_coefficient) for p in policies] == [(9, 4.0), (7, 2.0)]
    assert policies[0].maximum_interval.ToTimedelta() == 5 * SECOND
