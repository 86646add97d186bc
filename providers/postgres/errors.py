"""From errors of asyncpg and the operating system to errors of the contract, with texts that say what to do next."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hotmesh_temporal.contracts.errors import (
    ContractError,
    CurrentRunConflict,
    DuplicateMark,
    InvalidArgument,
    RevisionConflict,
    Unavailable,
)

from .driver import asyncpg_module

DRIVER_ERRORS: tuple[type[Exception], ...] = (
    asyncpg_module.PostgresError,
    asyncpg_module.InterfaceError,
    asyncpg_module.InternalClientError,
    OSError,
    asyncio.TimeoutError,
    UnicodeError,
    OverflowError,
)
"""Everything that a call of the driver may raise, other than a cancellation."""

# Serialization failure and deadlock: the server rolled back, so the work may simply be done again.
RETRY_STATES = frozenset({"40001", "40P01"})

# Wrong name, password, database, certificate or rights: trying again changes nothing.
_REFUSED = {
    "28P01": "refused the password; correct user and password of the connection",
    "28000": "refused the user; correct the user of the connection or the server's pg_hba.conf",
    "3D000": "has no such database; create it (CREATE DATABASE …) or correct the name in the connection",
    "42501": "denied a right; the user needs CREATE on the database, or an owner must run the migrations once",
    "53300": "has no free connection; raise max_connections, lower the connection option max_size or use a pooler",
    "25006": "is read-only; connect to the primary server",
}
_UNAVAILABLE_CLASSES = frozenset({"08", "53", "57", "58", "XX"})
_ARGUMENT_CLASSES = frozenset({"22", "54"})


def sqlstate(error: BaseException) -> str:
    """SQLSTATE of a server error, else the empty text."""
    return str(getattr(error, "sqlstate", None) or "")


def is_refusal(error: BaseException) -> bool:
    """The server answered and would answer the same again."""
    return sqlstate(error) in ("28P01", "28000", "3D000", "42501")


def is_lost_connection(error: BaseException) -> bool:
    """The connection is gone or useless, or the server is not up: another connection may do better."""
    if isinstance(error, (OSError, asyncio.TimeoutError, asyncpg_module.InternalClientError)):
        return True
    if isinstance(error, asyncpg_module.InterfaceError):
        return "closed" in str(error)
    return sqlstate(error)[:2] in ("08", "57") or sqlstate(error) == "53300"


def contract_error(error: Exception, place: str) -> ContractError:
    """The contract's error for a driver error. ``place`` (host and database) appears in the text; secrets never do."""
    state = sqlstate(error)
    if state.startswith("HM"):
        return _conflict(state, error)
    if state in _REFUSED:
        return Unavailable(f"Postgres at {place} {_REFUSED[state]}")
    if isinstance(error, (UnicodeError, OverflowError)) or state[:2] in _ARGUMENT_CLASSES:
        return InvalidArgument(f"Postgres cannot store an argument: {error}")
    if is_lost_connection(error):
        return Unavailable(_lost_text(error, place))
    if state[:2] in _UNAVAILABLE_CLASSES:
        return Unavailable(f"Postgres at {place} could not do it: {error}")
    return ContractError(f"Postgres at {place} failed: {error} (SQLSTATE {state or 'none'})")


def _lost_text(error: Exception, place: str) -> str:
    if isinstance(error, (ConnectionRefusedError, asyncpg_module.CannotConnectNowError)):
        return f"no Postgres answers at {place}: start it, or correct host and port of the connection"
    if isinstance(error, asyncio.TimeoutError):
        return f"Postgres at {place} did not answer in time: check the network and the server's load"
    return f"the connection to Postgres at {place} failed: {error or type(error).__name__}"


def _conflict(state: str, error: Any) -> ContractError:
    # psycopg keeps it elsewhere; a transaction of the user's may be on one of its connections.
    detail: str = error.diag.message_detail if hasattr(error, "diag") else error.detail
    names: list[str] = json.loads(detail)
    if state == "HM001":
        return RevisionConflict(*names)
    if state == "HM002":
        return CurrentRunConflict(names[0], None)
    return DuplicateMark(names[0], names[1])
