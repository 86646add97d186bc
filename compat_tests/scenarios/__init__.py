"""Scenarios by area: each public coroutine function named ``scenario_*`` is one."""
