"""The time and new ids; tests and a virtual clock may put others in their place."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from ..engine.context import Context, Limits, Namespace


def new_run_id() -> str:
    """A UUID of version 7 (RFC 9562): ids of later runs sort later."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62
    return str(uuid.UUID(int=value | random & (2**62 - 1)))


@dataclass(frozen=True, slots=True)
class Clock:
    """``now`` gives nanoseconds since the epoch."""

    now: Callable[[], int] = time.time_ns
    new_id: Callable[[], str] = new_run_id

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self.now() // 1_000_000

    def context(self, limits: Limits, find_namespace: Callable[[str], Namespace | None]) -> Context:
        """What a decision made now may know."""
        return Context(self.now(), self.new_id, limits, find_namespace)
