"""Writes docs/samples.md: which samples run in which way on which database.

What there is comes from ``compat_tests/samples/programs/*/sample.toml``, the outcomes from docs/samples.json, which
``make samples`` writes. Run this as ``make docs``; the tests fail if the page is not what it would write.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from compat_tests.samples.catalog import DATABASES, WAYS, Sample, samples  # noqa: E402  (needs the path)

PAGE = HERE / "samples.md"
RECORD = HERE / "samples.json"
SHOWN = "https://github.com/temporalio/samples-python/tree/main/"
OURS = "../compat_tests/samples/programs/"
CELLS = [f"{way} {database}" for way in WAYS for database in DATABASES]

Record = dict[str, dict[str, str]]

_HEAD = f"""# Samples

What each folder of [temporalio/samples-python]({SHOWN}) shows,
as programs of our own, run in three ways on two databases:

- **imports**: in every file `temporalio` is replaced (`sed -i 's/\\btemporalio\\b/hotmesh_temporal/g'`),
  the database is in `HOTMESH_CONNECTION` (names of loggers, as in `getLogger("temporalio")`, stay as they were);
- **run**: not a line changed, started by `hotmesh-temporal run`;
- **served**: not a line changed, with `TEMPORAL_ADDRESS` at a `hotmesh-temporal server`.

"same": it prints line by line what it prints on the real Temporal server, and the histories of all workflows that it
has started are the same, event by event. Where one of two things comes first by chance, the remark says so; then only
the output and how often each event came are compared.

"""


def page(record: Record) -> str:
    """All of it."""
    rows = sorted((shown, sample) for sample in samples().values() for shown in sample.shows)
    return _HEAD + _table(rows, record) + _missing(rows) + _FOOT


def _table(rows: list[tuple[str, Sample]], record: Record) -> str:
    head = f"| samples-python | Program | {' | '.join(cell.replace(' ', ', ') for cell in CELLS)} | Remark |\n"
    lines = [head, "|---" * (len(CELLS) + 3) + "|\n"]
    for shown, sample in rows:
        if not sample.not_yet:
            outcomes = [record.get(sample.name, {}).get(cell, "not run") for cell in CELLS]
            cells = [_link(shown), f"[{sample.name}]({OURS}{sample.name})", *outcomes, _remark(sample)]
            lines.append("| " + " | ".join(cells) + " |\n")
    return "".join(lines)


def _missing(rows: list[tuple[str, Sample]]) -> str:
    lines = [f"| {_link(shown)} | {sample.not_yet} |\n" for shown, sample in rows if sample.not_yet]
    return "\n## Without a program\n\n| samples-python | Why |\n|---|---|\n" + "".join(lines) if lines else ""


def _link(shown: str) -> str:
    return f"[{shown}]({SHOWN}{shown})"


def _remark(sample: Sample) -> str:
    needs = f"needs {', '.join(sample.needs)}" if sample.needs else ""
    loose = f"events counted, not compared in order: {sample.loose}" if sample.loose else ""
    return "; ".join(each for each in (needs, loose, sample.remark) if each)


_FOOT = """
## Where to begin

`compat_tests/samples/README.md`; `make samples` plays all of them, `make docs` writes this page.
"""


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RECORD.read_text())))
