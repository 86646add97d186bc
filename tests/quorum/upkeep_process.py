"""An engine in a process of its own that only looks after what is to be removed: ``python -m … CONNECTION``."""

from __future__ import annotations

import asyncio
import sys

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.engine.limits import SECOND, Limits
from hotmesh_temporal.frontend.server import Frontend

LIMITS = Limits(shortest_retention=0, upkeep_interval=2 * SECOND, namespace_fresh=SECOND // 2)
"""So that retention takes seconds and not hours, and a killed process is replaced after two seconds."""


def engine_on(connection: str) -> Frontend:
    """An engine; not started."""
    return Frontend(resolve(connection=connection).backend(), limits=LIMITS)


async def main(connection: str) -> None:
    await engine_on(connection).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
