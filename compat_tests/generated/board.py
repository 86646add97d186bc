"""Where programs say what waits for the driver. The worker that runs them is in the driver's process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

Key = tuple[str, int]
"""Run id and number of the node."""

CANCEL_NOTICED = "cancel noticed"
HEARTBEAT = "heartbeat"


@dataclass
class Held:
    """An activity that waits for what the driver puts into its inbox."""

    attempt: int
    token: bytes = b""
    local: bool = False
    """A local activity: it keeps the run's task from being answered."""
    noticed: bool = False
    """It has learned that it is to be cancelled."""
    inbox: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue[str]())


class Board:
    """What waits now. Entries of runs that are over may remain; nobody looks at them."""

    def __init__(self) -> None:
        self.gates: set[Key] = set()
        self.held: dict[Key, Held] = {}
        self.failed_tasks: set[Key] = set()
        """Nodes that made a workflow task fail, which they do once."""

    def forget(self, run_id: str) -> None:
        """Let go of all that a run that is over still holds."""
        self.gates = {key for key in self.gates if key[0] != run_id}
        for key in [key for key in self.held if key[0] == run_id]:
            self.held.pop(key).inbox.put_nowait("ok")

    def let_go(self) -> None:
        """Let go of what is held by runs that were given up: a worker that stops would wait for its activities."""
        for held in self.held.values():
            held.inbox.put_nowait("ok")
        self.held.clear()


BOARD = Board()
