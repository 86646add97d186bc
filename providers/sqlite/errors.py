"""SQLite's errors as the errors of the contract. No ``sqlite3.Error`` leaves this package."""

from __future__ import annotations

import sqlite3

from hotmesh_temporal.contracts.errors import ContractError, InvalidArgument, Unavailable

_ADVICE = (
    ("locked", "another process held the write lock for longer than busy_timeout; try again or raise it"),
    ("unable to open", "check that the directory exists and may be written by this user"),
    ("readonly", "the file and its directory must be writable by this user"),
    ("disk is full", "free some space on the disk"),
    ("not a database", "the path names a file that is not a SQLite database; choose another path"),
    ("malformed", "the database file is damaged; restore it from a backup"),
)


def is_busy(error: sqlite3.Error) -> bool:
    """True if another process held a lock, so that the same call may succeed later."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def to_contract_error(error: BaseException, path: str) -> BaseException:
    """The error to raise for ``error``, with the original as its cause. Errors of the contract pass unchanged."""
    if isinstance(error, ContractError):
        return error
    mapped = _translate(error, path)
    if mapped is None:
        return error
    mapped.__cause__ = error
    return mapped


def to_group_error(error: BaseException, path: str) -> Unavailable:
    """The error of one caller among several whose common transaction failed as a whole."""
    failure = Unavailable(_describe(str(error), path))
    failure.__cause__ = error
    return failure


def _translate(error: BaseException, path: str) -> ContractError | None:
    if isinstance(
        error, (sqlite3.DataError, OverflowError, UnicodeEncodeError, sqlite3.InterfaceError, sqlite3.IntegrityError)
    ):
        return InvalidArgument(f"SQLite cannot store a value: {error}")
    if isinstance(error, sqlite3.ProgrammingError) and "type" in str(error):
        return InvalidArgument(f"SQLite cannot store a value: {error}")
    if isinstance(error, sqlite3.Error):
        return Unavailable(_describe(str(error), path))
    return None


def _describe(text: str, path: str) -> str:
    advice = next((advice for part, advice in _ADVICE if part in text), "the call may be tried again")
    return f"SQLite database {path!r}: {text} ({advice})"
