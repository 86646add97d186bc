"""Schedules: when they are due, and what they do then."""

from .spec import CompiledSpec, NextTime, TooMuchExcluded, canonical, compile_spec

__all__ = ["CompiledSpec", "NextTime", "TooMuchExcluded", "canonical", "compile_spec"]
