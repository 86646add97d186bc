"""What is in ``programs/``: one folder a sample, described by its ``sample.toml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli

PROGRAMS = Path(__file__).parent / "programs"
WAYS = ("imports", "run", "served")
DATABASES = ("sqlite", "postgres")


@dataclass(frozen=True)
class Sample:
    """A ``sample.toml``; README.md says what each field means."""

    name: str
    says: str
    shows: tuple[str, ...]
    programs: tuple[tuple[str, ...], ...] = ()
    needs: tuple[str, ...] = ()
    unordered: bool = False
    loose: str = ""
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    tls: bool = False
    often: bool = False
    not_yet: str = ""
    remark: str = ""

    @property
    def folder(self) -> Path:
        """Where its programs are."""
        return PROGRAMS / self.name


def samples() -> dict[str, Sample]:
    """Every sample by its name, rows without a program included."""
    return {path.parent.name: _read(path) for path in sorted(PROGRAMS.glob("*/sample.toml"))}


def runnable() -> dict[str, Sample]:
    """Those that have programs."""
    return {name: sample for name, sample in samples().items() if sample.programs}


def _read(path: Path) -> Sample:
    content: dict[str, Any] = tomli.loads(path.read_text())
    lists = {name: tuple(content.pop(name, ())) for name in ("shows", "needs")}
    programs = tuple(tuple(words) for words in content.pop("programs", ()))
    sample = Sample(path.parent.name, **lists, programs=programs, **content)
    if bool(sample.programs) == bool(sample.not_yet):
        raise ValueError(f"{path}: give either programs or not_yet")
    return sample
