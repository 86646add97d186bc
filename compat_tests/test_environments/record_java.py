"""Write down anew what the Java test server answers.

``python -m compat_tests.test_environments.record_java [PLAY …]``
"""

from __future__ import annotations

import asyncio
import json
import sys

from .plays import PLAYS
from .test_time_skipping import ANSWERS, Record, played_by_java


async def main() -> None:
    chosen = sys.argv[1:] or PLAYS
    answers: dict[str, Record] = json.loads(ANSWERS.read_text()) if len(sys.argv) > 1 else {}
    for name in chosen:
        answers[name] = await played_by_java(name)
        print(name)
    ANSWERS.write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
