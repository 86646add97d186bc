"""What a provider can say of the health of its database, in plain words: for an operator, not for the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "wrong"]
"""Wrong: it does not work, or work may be lost. Warning: it works, and somebody should know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check. ``advice``: what to do about it, empty if nothing is to be done."""

    check: str
    level: Level
    text: str
    advice: str = ""


def clock_finding(database_seconds: float, machine_seconds: float) -> Finding:
    """How far the clocks of a database and of this machine are apart, in seconds since the epoch."""
    apart = database_seconds - machine_seconds
    text = f"the database's clock is {abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} this machine's"
    if abs(apart) < 1:
        return Finding("clock", "ok", text)
    advice = "synchronize both with a time server (NTP): timers and timeouts are early or late by that"
    return Finding("clock", "warning" if abs(apart) < 10 else "wrong", text, advice)
