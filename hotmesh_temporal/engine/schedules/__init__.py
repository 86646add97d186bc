"""Schedules: when they are due, and what they do then."""

from .spec import CompiledSpec, NextTime, canonical, compile_spec

__all__ = ["CompiledSpec", "NextTime", "canonical", "compile_spec"]
