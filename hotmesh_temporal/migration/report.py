"""What a migration has done, for people and for programs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..runtime.keys import RunKey

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Refused:
    """What was left where it is, and why."""

    namespace: str
    what: str
    type: str
    reason: str


@dataclass(slots=True)
class Report:
    """Counts are by namespace and workflow type. ``problems`` need somebody to look at them."""

    source: str
    target: str
    dry_run: bool = False
    moved: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    closed: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    schedules: Counter[str] = field(default_factory=Counter[str])
    namespaces: list[str] = field(default_factory=list[str])
    refused: list[Refused] = field(default_factory=list[Refused])
    problems: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def refuse(self, key: RunKey, kind: str, reason: str) -> None:
        """A run stays where it is."""
        self.refused.append(Refused(key.namespace, f"{key.workflow_id} (run {key.run_id})", kind, reason))

    def problem(self, key: RunKey, text: str) -> None:
        """Something that was not as it should be, with the run that it is about."""
        self.problems.append(f"{key.namespace}: {key.workflow_id} (run {key.run_id}): {text}")

    @property
    def total(self) -> int:
        """Open runs that were moved."""
        return self.moved.total()

    def as_json(self) -> dict[str, Any]:
        """All of it, in types that JSON has."""
        return {
            "source": self.source,
            "target": self.target,
            "dry_run": self.dry_run,
            "seconds": round(self.seconds, 3),
            "namespaces": self.namespaces,
            "moved": _nested(self.moved),
            "closed": _nested(self.closed),
            "schedules": dict(sorted(self.schedules.items())),
            "refused": [
                {"namespace": each.namespace, "what": each.what, "type": each.type, "reason": each.reason}
                for each in self.refused
            ],
            "problems": self.problems,
            "notes": self.notes,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        verb = "would be moved" if self.dry_run else f"moved in {self.seconds:.1f} s"
        yield f"{self.source} → {self.target}: {self.total:,} open workflows {verb}"
        for title, counts in (("open", self.moved), ("closed", self.closed)):
            for (namespace, kind), count in sorted(counts.items()):
                yield f"  {namespace}: {count:,} {title} {kind}"
        for namespace, count in sorted(self.schedules.items()):
            yield f"  {namespace}: {count:,} {'schedule' if count == 1 else 'schedules'}"
        yield from (f"  {each}" for each in self.notes)
        if self.refused:
            yield f"{len(self.refused):,} stay where they are:"
        for each in self.refused[:_SHOWN]:
            yield f"  {each.namespace}: {each.type} {each.what}: {each.reason}"
        if len(self.refused) > _SHOWN:
            yield f"  … and {len(self.refused) - _SHOWN:,} more (--report writes them all)"
        yield from (f"problem: {each}" for each in self.problems)
        if not self.problems:
            yield "no problems"


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    result: dict[str, dict[str, int]] = {}
    for (namespace, kind), count in sorted(counts.items()):
        result.setdefault(namespace, {})[kind] = count
    return result
