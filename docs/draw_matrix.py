"""Writes the README's table of what runs on what: services from the code, outcomes from docs/support.json.

The record is written by the tests: ``pytest tests/providers compat_tests --record docs/support.json``. Run this as
``make docs``; the tests fail if the table is not what it would write, or if something of ours is not in the record.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hotmesh_temporal.connection import load_provider
from hotmesh_temporal.contracts.backend import Backend, ConnectionSpec

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
RECORD = HERE / "support.json"
BEGIN, END = "<!-- support: made by `make docs` -->\n", "<!-- end of support -->\n"

URLS = {
    "sqlite": "sqlite:///x",
    "postgres": "postgresql://host/x",
    "redis": "redis://host",
    "nats": "nats://host",
}
PROVIDER_OF = {"redis6": "redis", "redis7": "redis", "valkey": "redis"}
"""Servers that are not called as their provider."""

ROWS = (
    "sqlite",
    "postgres",
    "redis6",
    "redis7",
    "valkey",
    "nats",
    "sqlite+nats",
    "postgres+nats",
    "valkey+nats",
    "postgres+valkey+nats",
)
TARGET_OF = {"valkey+nats": "redis+nats", "postgres+valkey+nats": "postgres+redis+nats"}
"""How the tests call it."""

_HEAD = """| | store, search | stream | sub | Conformance kit | Scenarios as on the real server | Crowds under faults |
|---|---|---|---|---|---|---|
"""


def backend_of(server: str) -> Backend:
    """The backend for a server, not opened."""
    provider = PROVIDER_OF.get(server, server)
    return load_provider(provider)(ConnectionSpec(provider, url=URLS[provider]))


def table(record: dict[str, Any]) -> str:
    """All rows and what must be said below them."""
    versions = record["versions"]
    # Redis 7 has no wheel: the machine that wrote the record may not have had it.
    rows = [name for name in ROWS if name != "redis7" or name in versions]
    return _HEAD + "".join(_row(name, record) for name in rows) + "\n" + _notes()


def _row(name: str, record: dict[str, Any]) -> str:
    store, *elsewhere = parts = name.split("+")
    versions = " + ".join(record["versions"][part] for part in parts)
    target = TARGET_OF.get(name, name)
    cells = [versions, *(_offer(service, store, elsewhere) for service in ("store", "stream", "sub"))]
    cells.append("" if elsewhere else _kit(record["kit"].get(name, {})))
    is_store = backend_of(store).store is not None
    cells += [_outcome(record.get(kind, {}).get(target)) if is_store else "" for kind in ("scenarios", "faults")]
    return "| " + " | ".join(cells) + " |\n"


def _offer(service: str, store: str, elsewhere: Sequence[str]) -> str:
    if elsewhere:
        other = {"store": "", "stream": elsewhere[0], "sub": elsewhere[-1]}[service]
        return PROVIDER_OF.get(other, other)
    return "yes" if getattr(backend_of(store), service) is not None else "no"


def _kit(by_service: dict[str, dict[str, Any]]) -> str:
    groups = by_service.values()
    left_out = sum(group["skipped"] for group in groups)
    total = {
        "passed": sum(group["passed"] for group in groups),
        "failed": [each for group in groups for each in group["failed"]],
    }
    return _outcome(total) + (f", {left_out} left out" if left_out else "")


def _outcome(group: dict[str, Any] | None) -> str:
    if group is None or not (group["passed"] or group["failed"]):
        return "not run"
    passed, failed = group["passed"], len(group["failed"])
    return f"{passed:,} of {passed + failed:,}" if failed else f"all {passed:,}"


def _notes() -> str:
    """What streams cannot do, by their flags."""
    lines: list[str] = []
    for server in ("sqlite", "postgres", "redis", "nats"):
        stream = backend_of(server).stream
        assert stream is not None, "every provider of ours has streams"
        features = stream.get_provider_specific_features()
        flags = {name: getattr(features, name) for name in features.__slots__ if name.startswith("supports_")}
        missing = [name.removeprefix("supports_") for name, value in sorted(flags.items()) if not value]
        lacks = "".join(f"no {name}, " for name in missing)
        lines.append(f"{server}: {lacks}messages of at most {features.max_message_size:,} bytes")
    return "Streams by their flags: " + "; ".join(lines) + ".\n"


def page(text: str, record: dict[str, Any]) -> str:
    """The README with the table of now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + table(record) + "\n" + END + after


if __name__ == "__main__":
    README.write_text(page(README.read_text(), json.loads(RECORD.read_text())))
