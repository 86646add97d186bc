"""The provider of another package: found by its entry point, passes the kit, carries notices of an application."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "provider_example"
TWO_PROCESSES = ROOT / "examples" / "two_processes"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Processes with this environment have the package, as an installer would have left it."""
    project = tomli.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    site = tmp_path / "site"
    information = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in project["entry-points"].items()
    ]
    (information / "entry_points.txt").write_text("".join(lines))
    (site / "hotmesh_sockets.py").symlink_to(PACKAGE / "hotmesh_sockets.py")
    return {**os.environ, "PYTHONPATH": str(site), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def folder() -> Iterator[str]:
    """A folder for the sockets."""
    with tempfile.TemporaryDirectory(prefix="hm-") as name:
        yield name


def test_it_passes_the_kit(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", str(PACKAGE)]
    done = subprocess.run(command, cwd=PACKAGE, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 40, "the part of the kit that is about notices"


def test_an_application_uses_it(environ: dict[str, str], folder: str, tmp_path: Path) -> None:
    environ |= {"HOTMESH_STORE": f"sqlite:///{tmp_path / 'store.sqlite3'}", "HOTMESH_SUB": f"sockets://{folder}"}
    command = [sys.executable, str(TWO_PROCESSES / "worker.py")]
    worker = subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "the worker is ready; stop it with Ctrl-C\n"
        assert list(Path(folder).glob("*/*")), "the worker listens"
        client = [sys.executable, str(TWO_PROCESSES / "client.py")]
        done = subprocess.run(
            client, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        worker.kill()
        worker.communicate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("published 'Databases all the way down', approved by Ada\n")
