"""Counters, gauges and histograms that cost little to raise: a dictionary look-up and an addition.

``prometheus_client`` has such classes too, but theirs cost several times as much, and name counters ``…_total``, which
the Temporal server does not.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Labels = tuple[str, ...]

OMITTED = "__omitted__"
"""The value of a label that is left out, as on a Temporal server."""

BUCKETS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    *(2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0),
)
"""Upper bounds of the Temporal server's histograms of times, in seconds."""

MOST_SERIES = 5000
"""How many different sets of labels a metric may have. What is new then is counted together, with labels left out."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: what follows the metric's name, its labels, its value."""

    suffix: str
    labels: Sequence[tuple[str, str]]
    value: float


class Family:
    """A metric with all its series. May be raised from any thread."""

    kind = ""

    def __init__(self, name: str, help_text: str, labels: Labels) -> None:
        self.name = name
        self.help_text = help_text
        self.labels = labels
        self._lock = threading.Lock()

    def samples(self) -> Iterator[Sample]:
        """As it is now."""
        raise NotImplementedError


class Counter(Family):
    """It only rises."""

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Labels) -> None:
        super().__init__(name, help_text, labels)
        self._values: dict[Labels, float] = {}

    def add(self, labels: Labels, amount: float = 1) -> None:
        """Raise it for the values of the labels, in the order of their names."""
        with self._lock:
            before = self._values.get(labels)
            if before is None and len(self._values) >= MOST_SERIES:
                labels = (OMITTED,) * len(labels)
                before = self._values.get(labels)
            self._values[labels] = (before or 0) + amount

    def samples(self) -> Iterator[Sample]:
        """See base class."""
        with self._lock:
            values = list(self._values.items())
        for labels, value in values:
            yield Sample("", list(zip(self.labels, labels, strict=True)), value)


class Gauge(Counter):
    """It rises and falls."""

    kind = "gauge"

    def replace(self, values: dict[Labels, float]) -> None:
        """These are all series now."""
        with self._lock:
            self._values = values


class Histogram(Family):
    """How often a value was in which range; of seconds."""

    kind = "histogram"

    def __init__(self, name: str, help_text: str, labels: Labels) -> None:
        super().__init__(name, help_text, labels)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Count a value."""
        with self._lock:
            counts = self._counts.get(labels)
            if counts is None and len(self._counts) >= MOST_SERIES:
                labels = (OMITTED,) * len(labels)
                counts = self._counts.get(labels)
            if counts is None:
                counts = self._counts[labels] = [0] * (len(BUCKETS) + 1)
                self._sums[labels] = 0.0
            counts[bisect_left(BUCKETS, value)] += 1
            self._sums[labels] += value

    def samples(self) -> Iterator[Sample]:
        """See base class."""
        with self._lock:
            series = [(labels, list(counts), self._sums[labels]) for labels, counts in self._counts.items()]
        for labels, counts, total in series:
            named = list(zip(self.labels, labels, strict=True))
            count = 0
            for bound, more in zip((*BUCKETS, float("inf")), counts, strict=True):
                count += more
                yield Sample("_bucket", [*named, ("le", "+Inf" if bound == float("inf") else f"{bound:g}")], count)
            yield Sample("_sum", named, total)
            yield Sample("_count", named, count)
