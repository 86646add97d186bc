"""The goals, and the table that sets them beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians over the rounds, by side and mode."""

    ours: Values
    theirs: Values
    ours_sandbox: Values
    theirs_sandbox: Values
    extra: Values


@dataclass(frozen=True, slots=True)
class Row:
    """One line. ``bound`` is a ratio to Temporal's value, or absolute where there is none to compare with."""

    title: str
    ours: Callable[[Measured], float | None]
    theirs: Callable[[Measured], float | None]
    bound: float
    relative: bool = True
    more_is_better: bool = False
    digits: int = 1

    def met(self, ours: float, theirs: float | None) -> bool:
        """The goal is reached."""
        value = ours / theirs if self.relative and theirs else ours
        return value >= self.bound if self.more_is_better else value <= self.bound

    @property
    def goal(self) -> str:
        """The goal as text."""
        sign = "≥" if self.more_is_better else "≤"
        return f"{sign} {self.bound:g}{' of Temporal' if self.relative else ''}"


def _plain(name: str) -> tuple[Callable[[Measured], float | None], Callable[[Measured], float | None]]:
    return lambda measured: measured.ours.get(name), lambda measured: measured.theirs.get(name)


def _sandboxed(name: str) -> tuple[Callable[[Measured], float | None], Callable[[Measured], float | None]]:
    return lambda measured: measured.ours_sandbox.get(name), lambda measured: measured.theirs_sandbox.get(name)


def _beyond_sdk(values: Values) -> float | None:
    if "sdk_cpu_ms" not in values:
        return None
    return values["app_cpu_ms"] + values["server_cpu_ms"] - values["sdk_cpu_ms"]


def _none(measured: Measured) -> float | None:
    del measured
    return None


ROWS: Sequence[Row] = (
    Row("hello latency p50, ms", *_plain("hello_ms_p50"), bound=0.25),
    Row("hello per s, sandbox", *_sandboxed("hello_per_s"), bound=1.2, more_is_better=True),
    Row("hello per s, no sandbox", *_plain("hello_per_s"), bound=2.5, more_is_better=True),
    Row(
        "CPU beyond the SDK's own per hello, ms",
        lambda measured: _beyond_sdk(measured.ours),
        lambda measured: _beyond_sdk(measured.theirs),
        bound=10,
        relative=False,
    ),
    Row("10 activities in sequence, ms", *_plain("sequence_10_ms"), bound=0.2),
    Row("50 activities in parallel, ms", *_plain("fan_out_50_ms"), bound=0.5),
    Row("update p50, ms", *_plain("update_ms_p50"), bound=0.75),
    Row("query p50, ms", *_plain("query_ms_p50"), bound=0.75),
    Row("signal p50, ms", *_plain("signal_ms_p50"), bound=0.75),
    Row("commits per hello", _plain("commits_per_hello")[0], _none, bound=10, relative=False),
    Row("commits per activity in sequence", _plain("commits_per_activity")[0], _none, bound=3, relative=False),
    Row("round trips per hello", _plain("round_trips_per_hello")[0], _none, bound=12, relative=False),
    Row(
        "idle statements per minute",
        lambda measured: measured.extra.get("idle_statements_per_minute"),
        _none,
        bound=10,
        relative=False,
    ),
    Row(
        "a step after 10,000 events, to one at the beginning",
        lambda measured: measured.extra.get("long_history_factor"),
        _none,
        bound=1.5,
        relative=False,
        digits=2,
    ),
    Row(
        "embedded default, start to first result, s",
        lambda measured: measured.extra.get("first_result_s"),
        _none,
        bound=1,
        relative=False,
        digits=2,
    ),
)


def show(measured: Measured, title: str) -> None:
    """Print the table."""
    table = Table("", "ours", "Temporal", "ratio", "goal", "", title=title)
    for row in ROWS:
        ours, theirs = row.ours(measured), row.theirs(measured)
        ratio = f"{ours / theirs:.2f}" if ours is not None and theirs else ""
        verdict = "not there yet" if ours is None else "met" if row.met(ours, theirs) else "missed"
        style = {"met": "green", "missed": "red"}.get(verdict, "yellow")
        table.add_row(
            row.title, _number(ours, row.digits), _number(theirs, row.digits), ratio, row.goal, f"[{style}]{verdict}"
        )
    # Where the output is not a terminal, its width is not known.
    (Console() if Console().is_terminal else Console(width=120)).print(table)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
