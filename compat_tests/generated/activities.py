"""The activities of programs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from compat_tests.generated.board import BOARD, CANCEL_NOTICED, HEARTBEAT, Held
from compat_tests.generated.program import Node

LONGER_THAN_ANY_TIMEOUT = 2.5
"""Seconds: what times out after one second has done so by then."""


@activity.defn
async def step(node: Node) -> Any:
    """Do at once what the node says: succeed, fail (some attempts), or hang."""
    attempt, how = activity.info().attempt, node["how"]
    if how in ("hang", "silent"):
        if how == "silent":
            activity.heartbeat("progress", attempt)
        await asyncio.sleep(LONGER_THAN_ANY_TIMEOUT)
    elif how == "fatal":
        raise ApplicationError("fatal", node["id"], type="Fatal", non_retryable=True)
    elif how == "excluded":
        raise ApplicationError("excluded", type="Excluded")
    elif attempt <= node.get("failures", 0):
        delay = timedelta(seconds=node["delay"]) if "delay" in node else None
        raise ApplicationError(f"attempt {attempt} fails", attempt, type="Fails", next_retry_delay=delay)
    return [node["id"], attempt]


@activity.defn
async def hold(node: Node) -> Any:
    """Wait for the driver, in each attempt, and end as it says."""
    info = activity.info()
    held = Held(info.attempt, info.task_token, info.is_local)
    key = (info.workflow_run_id or "", int(node["id"]))
    BOARD.held[key] = held
    try:
        outcome = await _next(held)
    except asyncio.CancelledError:
        if activity.is_worker_shutdown():
            raise
        held.noticed = True
        if await _next(held) == CANCEL_NOTICED:
            raise
        outcome = "ok"
    if outcome == "async":
        activity.raise_complete_async()
    if outcome != "ok":
        raise ApplicationError(outcome, info.attempt, type="Held", non_retryable=outcome == "fatal")
    return [node["id"], info.attempt]


async def _next(held: Held) -> str:
    """What the driver wants; a heartbeat is sent on the way, so that the activity learns of its cancellation."""
    while (outcome := await held.inbox.get()) == HEARTBEAT:
        if not held.noticed:
            activity.heartbeat()
    return outcome
