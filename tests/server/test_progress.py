"""Progress is shown on a terminal, for what takes longer than two seconds, and nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.server_process import COMMAND


def on_terminal(*arguments: str) -> str:
    """What the command writes to its error stream, which is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                more = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            text += more
        process.wait(20)
    os.close(ours)
    return text.decode()


def test_it_is_shown_when_it_takes_long(tmp_path: Path) -> None:
    ways: tuple[list[str], ...] = (["--wait", "3.5"], ["--wait", "3.5", "--quiet"], [])

    def run(options: list[str]) -> str:
        return on_terminal("doctor", "--limit", "0", "--connection", f"sqlite:///{tmp_path}/x.sqlite3", *options)

    with ThreadPoolExecutor(len(ways)) as pool:
        long, quiet, short = pool.map(run, ways)
    assert "engines" in long
    assert quiet == ""
    assert "engines" not in short
