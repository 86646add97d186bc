"""The Lua scripts: files that say what they need, put together and known by their digest.

A call of the provider is a function ``calls.<name>`` of one file, with ``checks.<name>`` beside it where it may refuse.
A script is such a file behind what it needs and before ``main.lua``; a transaction runs on a script of all files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "scripts"
_MAIN = "main"
_NEEDS = re.compile(r"^-- needs: (.+)$", re.MULTILINE)
_CALL = re.compile(r"^function calls\.(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A script and its digest, by which the server knows it."""

    text: bytes
    digest: str


def script_for(calls: Iterable[str]) -> Script:
    """The smallest script that can run these calls."""
    files = {_files_of_calls()[call] for call in calls}
    return _script(min(files) if len(files) == 1 else "*")


@lru_cache
def _files_of_calls() -> dict[str, str]:
    return {call: name for name, text in _files().items() for call in _CALL.findall(text)}


@lru_cache
def _files() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(_FOLDER.glob("*.lua"))}


@lru_cache
def _script(name: str) -> Script:
    wanted = [each for each in _files() if each != _MAIN] if name == "*" else [name]
    ordered: list[str] = []
    for each in wanted:
        _add(each, ordered)
    text = "\n".join(_files()[each] for each in [*ordered, _MAIN]).encode()
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())


def _add(name: str, ordered: list[str]) -> None:
    """Append a file after what it needs."""
    if name in ordered:
        return
    for line in _NEEDS.findall(_files()[name]):
        for needed in line.split():
            _add(needed, ordered)
    ordered.append(name)
