"""The pace of a batch operation."""

from __future__ import annotations

import time

import pytest

from hotmesh_temporal.runtime.batch_work import Pace


@pytest.mark.parametrize(("per_second", "count", "least"), [(50.0, 65, 0.28), (200.0, 260, 0.28), (4.0, 5, 0.24)])
async def test_a_second_of_operations_at_once_then_one_after_the_other(
    per_second: float, count: int, least: float
) -> None:
    pace, before = Pace(per_second), time.monotonic()
    for _ in range(int(per_second)):
        await pace.wait()
    assert time.monotonic() - before < 0.8
    for _ in range(count - int(per_second)):
        await pace.wait()
    assert time.monotonic() - before >= least


async def test_less_than_one_a_second() -> None:
    pace, before = Pace(0.5), time.monotonic()
    await pace.wait()
    assert time.monotonic() - before < 1
