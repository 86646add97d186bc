"""What an operator should know of a NATS server."""

from __future__ import annotations

from hotmesh_temporal.contracts.examination import Finding

from .connection import Connection


async def examine(connection: Connection, replicas: int) -> list[Finding]:
    """What the server says of itself and of JetStream."""
    client = connection.client
    version = client.connected_server_version if client is not None else "?"
    account = await connection.api("INFO", {})
    used, most = int(account.get("storage", 0)), int(account.get("limits", {}).get("max_storage", -1))
    full = most > 0 and used > 0.8 * most
    advice = "raise the limit: when it is full, messages wait in the store's outbox" if full else ""
    limit = f" of {most / 1024**2:,.1f}" if most > 0 else ""
    kept = "a message survives the loss of one server" if replicas > 1 else "messages are on one server"
    return [
        Finding("version", "ok", f"NATS {version} with JetStream"),
        Finding("storage", "warning" if full else "ok", f"{used / 1024**2:,.1f}{limit} MiB used", advice),
        Finding("durability", "ok", f"{kept} (replicas: {replicas}); a crash of the machine: see sync_interval"),
    ]
