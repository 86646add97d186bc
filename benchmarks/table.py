"""The goals, and the table that sets them beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

Values = Mapping[str, float]


TEMPORAL = "Temporal"
"""The name of the side that the others are compared with."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one side: medians over the rounds without the sandbox and with it, and what was measured once."""

    plain: Values
    sandboxed: Values
    once: Values


Read = Callable[[Measured], float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One line. ``bound`` is a ratio to Temporal's value, or absolute; None where there is no goal."""

    title: str
    read: Read
    bound: float | None
    relative: bool = True
    more_is_better: bool = False
    digits: int = 1

    def met(self, ours: float, theirs: float | None) -> bool:
        """The goal is reached."""
        if self.bound is None:
            return True
        value = ours / theirs if self.relative and theirs else ours
        return value >= self.bound if self.more_is_better else value <= self.bound

    @property
    def goal(self) -> str:
        """The goal as text."""
        if self.bound is None:
            return ""
        sign = "≥" if self.more_is_better else "≤"
        return f"{sign} {self.bound:g}{' of Temporal' if self.relative else ''}"


def _plain(name: str) -> Read:
    return lambda measured: measured.plain.get(name)


def _sandboxed(name: str) -> Read:
    return lambda measured: measured.sandboxed.get(name)


def _once(name: str) -> Read:
    return lambda measured: measured.once.get(name)


def _beyond_sdk(measured: Measured) -> float | None:
    values = measured.plain
    if "sdk_cpu_ms" not in values:
        return None
    return values["app_cpu_ms"] + values["server_cpu_ms"] - values["sdk_cpu_ms"]


ROWS: Sequence[Row] = (
    Row("hello latency p50, ms", _plain("hello_ms_p50"), 0.25),
    Row("hello per s, sandbox", _sandboxed("hello_per_s"), 1.2, more_is_better=True),
    Row("hello per s, no sandbox", _plain("hello_per_s"), 2.5, more_is_better=True),
    Row("CPU beyond the SDK's own per hello, ms", _beyond_sdk, 10, relative=False),
    Row("10 activities in sequence, ms", _plain("sequence_10_ms"), 0.2),
    Row("50 activities in parallel, ms", _plain("fan_out_50_ms"), 0.5),
    Row("update p50, ms", _plain("update_ms_p50"), 0.75),
    Row("query p50, ms", _plain("query_ms_p50"), 0.75),
    Row("signal p50, ms", _plain("signal_ms_p50"), 0.75),
    Row("commits per hello", _plain("commits_per_hello"), 10, relative=False),
    Row("commits per further activity", _plain("commits_per_activity"), 3, relative=False),
    Row("requests to the store per hello", _plain("round_trips_per_hello"), 12, relative=False),
    Row("messages to the broker per hello", _plain("messages_per_hello"), None, relative=False),
    Row("idle: requests to the store per minute", _once("idle_statements_per_minute"), 10, relative=False),
    Row("idle: messages to the broker per minute", _once("idle_messages_per_minute"), 10, relative=False),
    Row("a step after 10,000 events to an early one", _once("long_history_factor"), 1.5, relative=False, digits=2),
)
_START_GOAL = 1.0


def show(measured: Mapping[str, Measured], start: float, title: str) -> None:
    """Print the table, and how long the embedded default takes from its start to the first result (seconds)."""
    table = Table("", *measured, "goal", title=title)
    for row in ROWS:
        theirs = row.read(measured[TEMPORAL])
        table.add_row(
            row.title, *(_cell(row, name, row.read(each), theirs) for name, each in measured.items()), row.goal
        )
    # Where the output is not a terminal, its width is not known.
    console = Console() if Console().is_terminal else Console(width=150)
    console.print(table)
    verdict = "met" if start <= _START_GOAL else "missed"
    console.print(f"embedded default, start to first result: {start:.2f} s (goal ≤ {_START_GOAL:g} s: {verdict})")


def _cell(row: Row, name: str, value: float | None, theirs: float | None) -> str:
    if value is None:
        return ""
    text = f"{value:.{row.digits}f}"
    if name == TEMPORAL:
        return text
    ratio = f" ({value / theirs:.2f})" if row.relative and theirs else ""
    return f"[{'green' if row.met(value, theirs) else 'red'}]{text}{ratio}"
