"""What an engine tells of itself: metrics for Prometheus, traces for OpenTelemetry, logs for programs.

Nothing of it is loaded, and nothing is counted, unless it is asked for.
"""

from __future__ import annotations

from .frontend import Telemetry
from .metrics import Metrics
from .tracing import Tracing

__all__ = ["Metrics", "Telemetry", "Tracing"]
