"""Write histories to files that the SDK's `Replayer`, `WorkflowHistory.from_json` and the ``temporal`` command read.

A folder has one file for each run, ``NAMESPACE/WORKFLOW-ID.RUN-ID.json``, and ``index.jsonl`` with one line for each.
Each file appears when it is whole, its line after it; so an export that was interrupted goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .histories import Histories, Run, Selection

INDEX = "index.jsonl"
_AT_ONCE = 8
# File names may have 255 bytes; the rest is for the run id and the ending.
_LONGEST_NAME = 180


@dataclass
class Exported:
    """What an export has done. ``gone``: runs that were removed between the list and the look at them."""

    written: int = 0
    events: int = 0
    kept: int = 0
    gone: int = 0


@dataclass
class Folder:
    """Where an export is written to."""

    path: Path
    _lines: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict[tuple[str, str], dict[str, Any]])

    def open(self) -> None:
        """Make the folder, or read the index that is there."""
        self.path.mkdir(parents=True, exist_ok=True)
        index = self.path / INDEX
        if not index.exists():
            return
        for text in index.read_text().splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue  # what was being written when an export was killed
            self._lines[line["namespace"], line["run_id"]] = line

    def has(self, run: Run) -> bool:
        """Whether the whole history of a run is there: only of one that was closed when it was written."""
        line = self._lines.get((run.namespace, run.run_id))
        return line is not None and line["closed"] is not None and (self.path / line["file"]).exists()

    def add(self, run: Run, text: str, events: int) -> None:
        """Write a history."""
        name = f"{quote(run.workflow_id, safe=' ')[:_LONGEST_NAME]}.{run.run_id}.json"
        place = self.path / quote(run.namespace, safe="") / name
        place.parent.mkdir(exist_ok=True)
        _write_whole(place, text)
        line = {**asdict(run), "events": events, "file": str(place.relative_to(self.path))}
        with (self.path / INDEX).open("a") as index:
            index.write(json.dumps(line) + "\n")
        self._lines[run.namespace, run.run_id] = line

    def close(self) -> None:
        """Leave one line for each run in the index."""
        lines = sorted(self._lines.values(), key=lambda line: (line["namespace"], line["started"], line["run_id"]))
        _write_whole(self.path / INDEX, "".join(json.dumps(line) + "\n" for line in lines))


async def export(
    histories: Histories,
    namespaces: Sequence[str],
    selection: Selection,
    folder: Folder,
    *,
    limit: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write the histories of what is selected to a folder.

    Args:
        histories: Where they are.
        namespaces: Of which namespaces.
        selection: Which ones.
        folder: Where to write them. What is whole there already is not read again.
        limit: How many of each namespace at most.
        tell: Is called with what has been done.

    Raises:
        RPCError: As the service answered.
        OSError: The folder cannot be written.
    """
    folder.open()
    done = Exported()
    runs = _Shared(_runs(histories, namespaces, selection, limit))

    async def work() -> None:
        async for run in runs:
            await _export_one(histories, run, folder, done)
            tell(f"{done.written:,} written, {done.kept:,} there already")

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    folder.close()
    return done


async def _export_one(histories: Histories, run: Run, folder: Folder, done: Exported) -> None:
    if folder.has(run):
        done.kept += 1
        return
    history = await histories.read(run)
    if history is None:
        done.gone += 1
        return
    text = await asyncio.to_thread(history.to_json)
    folder.add(run, text, len(history.events))
    done.written += 1
    done.events += len(history.events)


async def _runs(
    histories: Histories, namespaces: Sequence[str], selection: Selection, limit: int | None
) -> AsyncIterator[Run]:
    for namespace in namespaces:
        async for run in histories.runs(namespace, selection, limit):
            yield run


class _Shared(AsyncIterator[Run]):
    """An iterator for several tasks."""

    def __init__(self, runs: AsyncIterator[Run]) -> None:
        self._runs = runs
        self._lock = asyncio.Lock()

    async def __anext__(self) -> Run:
        async with self._lock:
            return await self._runs.__anext__()


def _write_whole(path: Path, text: str) -> None:
    """Nobody sees half of it."""
    part = path.with_name(f".{path.name[-200:]}.part")
    part.write_text(text)
    os.replace(part, path)
