"""redis-py's errors as the errors of the contract. No driver error leaves this package."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hotmesh_temporal.contracts.errors import (
    AlreadyDone,
    ContractError,
    CurrentRunConflict,
    DuplicateMark,
    InvalidArgument,
    NotFound,
    RevisionConflict,
    Unavailable,
)

from .driver import exceptions

DRIVER_ERRORS: tuple[type[BaseException], ...] = (exceptions.RedisError, OSError, asyncio.TimeoutError, EOFError)
"""Everything that a call of the driver may raise, other than a cancellation."""

LOST: tuple[type[BaseException], ...] = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    OSError,
    asyncio.TimeoutError,
    EOFError,
)
"""The connection is gone or never was: another one may do better."""

_RIGHTS = (
    "denied a right; the user needs EVAL, EVALSHA, PUBLISH, SUBSCRIBE, PSUBSCRIBE, INFO and what scripts call "
    "(+@all is simplest), for all keys and channels of the prefix"
)
_ADVICE = {
    "WRONGPASS": "refused user or password; correct them in the connection (redis://user:password@host:port/db)",
    "NOAUTH": "asks for a password; give it in the connection (redis://:password@host:port/db)",
    "Authentication required": "asks for a password; give it in the connection (redis://:password@host:port/db)",
    "invalid password": "refused the password; correct it in the connection (redis://:password@host:port/db)",
    "invalid username-password": "refused user or password; correct them in the connection",
    "without any password": "has no password set; leave it out of the connection",
    "AuthenticationError": "refused user or password; correct them in the connection",
    "NoPermissionError": _RIGHTS,
    "NOPERM": _RIGHTS,
    "can't run this command or subcommand": _RIGHTS,
    "DB index is out of range": "has no such database number; correct it in the connection (redis://host:port/0)",
    "SELECT is not allowed in cluster mode": "is a cluster, which has database 0 only; correct it in the connection",
}
"""Trying again changes nothing."""

_UNABLE = {
    "command not allowed when used memory": "is out of memory; raise maxmemory or make room",
    "MISCONF": "refuses to write because it cannot save to its disk; see the server's log",
    "NOREPLICAS": "refuses to write because too few replicas are there (min-replicas-to-write)",
}
"""The server did nothing, and will not in a moment: somebody has to do something."""

_MOVING = "is moving the hash slot of this app to another node; it can be used again when that is done"
_PASSING = {
    "LOADING": "is loading its data; try again in a moment",
    "loading the dataset": "is loading its data; try again in a moment",
    "read only replica": "is a read-only replica; connect to the primary",
    "read only slave": "is a read-only replica; connect to the primary",
    "ClusterDownError": "says that its cluster is down",
    "CLUSTERDOWN": "says that its cluster is down",
    "AskError": _MOVING,
    "TryAgainError": _MOVING,
    "MasterNotFoundError": "is not known to the Sentinels as a primary that is up; if it never was, correct its name",
    "MasterDownError": "has lost its primary",
    "BUSY": "is busy with a script of somebody else",
    "max number of clients": "has no free connection; raise maxclients or lower the option max_connections",
}
"""The server did nothing: a script that may not write fails at its first write. Later it may be different."""


def is_refused(error: BaseException) -> bool:
    """The server answered that it cannot do anything now; nothing was applied."""
    return not _advice(error, _ADVICE) and bool(_advice(error, _PASSING))


def is_lost(error: BaseException) -> bool:
    """The connection is gone, or the server cannot do anything now: the same call may do better in a moment."""
    return not _advice(error, _ADVICE) and (isinstance(error, LOST) or is_refused(error))


def contract_error(error: BaseException, place: str) -> ContractError:
    """The contract's error for a driver error. ``place`` appears in the text; secrets never do."""
    if isinstance(error, ContractError):
        return error
    advice = _advice(error, _ADVICE) or _advice(error, _UNABLE) or _advice(error, _PASSING)
    if advice:
        mapped: ContractError = Unavailable(f"Redis at {place} {advice}")
    elif isinstance(error, (UnicodeError, OverflowError, ValueError, TypeError)):
        mapped = InvalidArgument(f"Redis cannot store an argument: {error}")
    elif isinstance(error, LOST):
        mapped = Unavailable(_lost_text(error, place))
    else:
        mapped = ContractError(f"Redis at {place} failed: {error}")
    mapped.__cause__ = error
    return mapped


def _advice(error: BaseException, table: dict[str, str]) -> str:
    text = f"{type(error).__name__} {error}"
    return next((advice for part, advice in table.items() if re.search(rf"\b{re.escape(part)}\b", text)), "")


def _lost_text(error: BaseException, place: str) -> str:
    if isinstance(error, (exceptions.TimeoutError, asyncio.TimeoutError)):
        return f"Redis at {place} did not answer in time: check the network and the server's load"
    if isinstance(error.__cause__ or error.__context__ or error, OSError) or "connecting" in str(error):
        return f"no Redis answers at {place}: start it, or correct host and port of the connection ({error})"
    return f"the connection to Redis at {place} was lost: {error or type(error).__name__}"


def problem_error(problem: list[Any]) -> ContractError:
    """The error that a script reported: a kind and its details."""
    kind, *details = [part.decode() if isinstance(part, bytes) else part for part in problem]
    match kind:
        case "revision":
            return RevisionConflict(details[0])
        case "pointer":
            return CurrentRunConflict(details[0], details[1])
        case "mark":
            return DuplicateMark(details[0], details[1])
        case "missing":
            return NotFound(details[0])
        case "done":
            return AlreadyDone(details[0])
        case _:
            return InvalidArgument(str(details[0]))
