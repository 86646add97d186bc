"""Signals for a process and all that it has started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess


def stand_still(pid: int) -> None:
    """Stop a process and its descendants, until `go_on`. Parents first, so that none starts another one meanwhile."""
    for each in family(pid):
        _send(each, signal.SIGSTOP)


def go_on(pid: int) -> None:
    """Let them run again."""
    for each in family(pid):
        _send(each, signal.SIGCONT)


def family(pid: int) -> list[int]:
    """A process and its descendants, parents before their children."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for line in listed.splitlines():
        child, parent = line.split()
        children.setdefault(int(parent), []).append(int(child))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
