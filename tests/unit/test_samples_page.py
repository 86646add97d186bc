"""The page about samples is up to date: with the programs, and with the record of what they did."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from compat_tests.samples.catalog import runnable, samples

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    """The script that writes it."""
    spec = importlib.util.spec_from_file_location("draw_samples", ROOT / "docs" / "draw_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_make_docs_writes(draw: ModuleType) -> None:
    assert draw.PAGE.read_text() == draw.page(json.loads(draw.RECORD.read_text())), "run `make docs`"


def test_every_sample_was_played_in_every_way(draw: ModuleType) -> None:
    record = json.loads(draw.RECORD.read_text())
    missing = {name: set(draw.CELLS) - record.get(name, {}).keys() for name in runnable()}
    assert not {name: cells for name, cells in missing.items() if cells}, "run `make samples`"


def test_nothing_is_shown_twice() -> None:
    shown = [each for sample in samples().values() for each in sample.shows]
    assert len(shown) == len(set(shown))
