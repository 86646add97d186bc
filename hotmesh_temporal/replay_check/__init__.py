"""Would the code that is about to be deployed break running workflows? Their histories are replayed with it."""

from __future__ import annotations

from .check import Report, check
from .code import Code, CodeError
from .verdict import Verdict

__all__ = ["Code", "CodeError", "Report", "Verdict", "check"]
