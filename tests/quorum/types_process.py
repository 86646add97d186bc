"""An engine that registers a type on a queue: ``python -m tests.quorum.types_process CONNECTION QUEUE``."""

from __future__ import annotations

import asyncio
import sys

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime.registered import Handler, TypeSchema, WorkerTypes


async def main(connection: str, queue: str) -> None:
    frontend = Frontend(resolve(connection).backend())
    await frontend.start()
    schema = TypeSchema("workflow", "A", signals=[Handler("go")])
    frontend.register_types(WorkerTypes("default", queue, "1", [schema]))
    await frontend.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
