"""A workflow through whose hands a large list goes, while its own argument and result are small."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow

QUEUE = "external-storage"


@dataclass
class Reading:
    """One measurement."""

    station: str
    checksum: str
    value: int


@activity.defn
async def read_stations(count: int) -> list[Reading]:
    """Readings that do not compress well."""
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
    return [Reading(f"station-{number}", digest, int(digest[:4], 16)) for number, digest in enumerate(digests)]


@activity.defn
async def largest(readings: list[Reading]) -> Reading:
    """The reading with the largest value."""
    return max(readings, key=lambda reading: reading.value)


@workflow.defn
class Report:
    """Reads all stations and reports the largest value."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.note = ""

    @workflow.run
    async def run(self, stations: int) -> str:
        """The report, once a note has been signalled."""
        limit = timedelta(seconds=30)
        self.readings = await workflow.execute_activity(read_stations, stations, start_to_close_timeout=limit)
        top = await workflow.execute_activity(largest, self.readings, start_to_close_timeout=limit)
        await workflow.wait_condition(lambda: self.note != "")
        return f"{top.station} of {len(self.readings)}: {top.value}, with a note of {len(self.note)} characters"

    @workflow.signal
    def annotate(self, note: str) -> None:
        """A note, which may be large."""
        self.note = note

    @workflow.query
    def all_readings(self) -> list[Reading]:
        """What was read."""
        return self.readings
