"""Small tools: times of calls, CPU of processes."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

Call = Callable[[], Awaitable[object]]


async def timed(count: int, call: Call) -> list[float]:
    """Milliseconds of each of ``count`` calls, made one after the other."""
    spent: list[float] = []
    for _ in range(count):
        begin = time.perf_counter()
        await call()
        spent.append((time.perf_counter() - begin) * 1000)
    return spent


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which that part of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def tree_cpu(pids: Iterable[int]) -> float:
    """CPU seconds of processes and all their descendants, ended ones included, by the system's account."""
    spent: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has just ended
        children.setdefault(int(fields[1]), []).append(pid)
        spent[pid] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    total, todo = 0.0, list(pids)
    while todo:
        pid = todo.pop()
        total += spent.get(pid, 0.0)
        todo += children.get(pid, [])
    return total
