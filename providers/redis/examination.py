"""What an operator should know of a Redis or Valkey server."""

from __future__ import annotations

import time

from hotmesh_temporal.contracts.examination import Finding, clock_finding

from .durability import configuration, information, replication_warnings, warnings
from .pool import Pool


async def examine(pool: Pool, wait_replicas: int) -> list[Finding]:
    """INFO, CONFIG and TIME."""
    begin = time.time()
    seconds, micros = await pool.execute("TIME")
    middle = (begin + time.time()) / 2
    info, config = await information(pool), await configuration(pool)
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "?")
    findings = [
        Finding("version", "ok", f"{name} {version}"),
        clock_finding(int(seconds) + int(micros) / 1e6, middle),
        _memory(config, info),
    ]
    lost = [*warnings(config, info), *replication_warnings(info, wait_replicas)]
    for text in lost:
        what, _, advice = text.partition("; ")
        level = "wrong" if "appendonly is no" in text or "no append-only" in text else "warning"
        findings.append(Finding("durability", level, what, advice))
    if not lost:
        findings.append(Finding("durability", "ok", "a commit survives a crash (appendonly yes, appendfsync always)"))
    return findings


def _memory(config: dict[str, str], info: dict[str, str]) -> Finding:
    used = int(info.get("used_memory", "0"))
    most = int(config.get("maxmemory") or info.get("maxmemory") or 0)
    if not most:
        return Finding("memory", "ok", f"{used / 1024**2:,.1f} MiB used, no limit (maxmemory 0), nothing is evicted")
    full = used > 0.8 * most
    advice = "raise maxmemory or shorten the retention: when it is full, nothing can be committed" if full else ""
    text = f"{used / 1024**2:,.1f} of {most / 1024**2:,.1f} MiB used, nothing is evicted"
    return Finding("memory", "warning" if full else "ok", text, advice)
