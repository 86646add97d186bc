"""What the CLI prints, without what differs between two runs on the same server."""

from __future__ import annotations

import base64
import re

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \S+ UTC( m=\S+)?"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?"), "<time>"),
    (re.compile(r"(-deleted-)[0-9a-f]{5}\b"), r"\1<id>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
    (re.compile(r"(temporal-cli:)?\b\w+@[\w.-]+\b"), "<user>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<hex>"),
    # What a run's size, its steps and its time on the clock are in the server's own way of counting.
    (
        re.compile(r'("(?:historySizeBytes|historyLength|stateTransitionCount|taskId)": )"\d+"'),
        r'\1"<n>"',
    ),
    (re.compile(r"((?:HistorySize|StateTransitionCount|History Size|State Transitions?)\s+)\d+"), r"\1<n>"),
    (
        re.compile(r'("(?:executionDuration|runTime|approximateBacklogAge)": )"[^"]*"'),
        r'\1"<d>"',
    ),
    (re.compile(r"((?:RunTime|Execution Duration|Duration)\s+)[\d.]+\S*"), r"\1<d>"),
    (re.compile(r"\d+(\.\d+)?(ms|µs)\b|(?<=\()\d+s(?=\))"), "<d>"),
    (re.compile(r'("(?:durationMillis|seconds|nanos)": )\d+'), r"\1<d>"),
    (re.compile(r'("currentRetryInterval": "\d+)\.\d+s'), r"\1s"),
    (re.compile(r'("(?:tasksAddRate|tasksDispatchRate|backlogIncreaseRate)": )[\d.e-]+'), r"\1<rate>"),
    (re.compile(r"(UNVERSIONED\s+(?:workflow|activity)\s+\d+\s+)\S+(\s+[\d.e-]+){3}"), r"\1<rates>"),
    (re.compile(r"\b(taskId|historySizeBytes|sdkMetadata\.coreUsedFlags\[\d\]): \d+"), r"\1: <n>"),
    # Where the tasks of a workflow stand when it is asked, in no order.
    (re.compile(r'"Stack for [^\n]*'), '"<stack>'),
    (re.compile(r'("(?:taskToken|nextPageToken|conflictToken)": )"[^"]*"'), r'\1"<token>"'),
)
_FLAGS = re.compile(r'("coreUsedFlags": \[)([\d,\s]+)(\])')
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PAYLOAD = re.compile(r'("data": )"([\w+/=]+)"')
_SPACES = re.compile(r"[ \t]{2,}")


class Normalizer:
    """For all output of one session: a UUID that comes again is the same one."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._seen: dict[str, str] = {}

    def __call__(self, text: str, *, without: str = "", in_any_order: bool = False) -> list[str]:
        """The lines that are compared: without those in which the expression ``without`` is found."""
        text = _PAYLOAD.sub(_decoded, text.replace(self._namespace, "<namespace>"))
        for pattern, instead in _RULES:
            text = pattern.sub(instead, text)
        text = _FLAGS.sub(lambda found: found[1] + ",".join(sorted(re.findall(r"\d+", found[2]))) + found[3], text)
        text = _UUID.sub(lambda found: self._seen.setdefault(found[0], f"<uuid {len(self._seen) + 1}>"), text)
        lines = [_SPACES.sub("  ", line).rstrip() for line in text.splitlines()]
        if without:
            # What was the last line of a list is not followed by a comma.
            lines = [line.rstrip(",") for line in lines if not re.search(without, line)]
        return sorted(line.rstrip(",") for line in lines) if in_any_order else lines


def _decoded(found: re.Match[str]) -> str:
    """A payload as text, so that names and times in it are seen."""
    try:
        return f"{found[1]}{base64.b64decode(found[2]).decode()}"
    except ValueError:
        return found[0]
