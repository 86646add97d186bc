"""How a program reaches a database, and what has to be done to it for that."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compat_tests.samples.catalog import Sample

COMMAND = str(Path(sys.executable).with_name("hotmesh-temporal"))
SDK = re.compile(r"\btemporalio\b")
_OF_OTHERS = ("TEMPORAL_", "HOTMESH_")
"""Variables that would lead a program elsewhere."""


@dataclass(frozen=True)
class Way:
    """``name`` is "temporal" (the real server) or one of `catalog.WAYS`; ``url`` an address or a database."""

    name: str
    url: str
    variables: tuple[tuple[str, str], ...] = ()
    """What else the programs need in their environment."""

    def prepare(self, sample: Sample, folder: Path) -> None:
        """Put a copy of the programs into a folder, with the changes that the migration guide asks for."""
        shutil.copytree(sample.folder, folder, ignore=shutil.ignore_patterns("__pycache__", "sample.toml"))
        if self.name == "imports":
            for path in folder.rglob("*.py"):
                path.write_text(SDK.sub("hotmesh_temporal", path.read_text()))

    def command(self, words: Sequence[str]) -> list[str]:
        """The command that runs a program."""
        if self.name == "run":
            return [COMMAND, "run", "--connection", self.url, *words]
        return [sys.executable, *words]

    def environment(self, namespace: str) -> dict[str, str]:
        """The variables of each program."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OF_OTHERS)}
        own = {"TEMPORAL_NAMESPACE": namespace, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        if self.name == "imports":
            own["HOTMESH_CONNECTION"] = self.url
        elif self.name != "run":
            own["TEMPORAL_ADDRESS"] = self.url
        return {**inherited, **own, **dict(self.variables)}
