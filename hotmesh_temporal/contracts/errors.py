"""Errors that a provider raises. Driver errors never leave a provider: they become one of these, with the original as
cause.
"""

from __future__ import annotations


class ContractError(Exception):
    """Base of every error that a provider raises."""


class NotInitialized(ContractError):
    """A method was called before ``init``."""


class NotFound(ContractError):
    """The named job, stream, app or setting does not exist."""


class AlreadyDone(ContractError):
    """The transaction was executed before, or the job is already completed."""


class InvalidArgument(ContractError):
    """An argument is outside of what the contract allows; nothing was changed."""


class MessageTooLarge(ContractError):
    """A message is larger than the provider's ``max_message_size``; nothing was published."""


class CrossProviderTransaction(ContractError):
    """A call was given a transaction of another database; nothing was queued."""


class NotSupported(ContractError):
    """This provider does not offer the call, as its capabilities say; nothing was changed."""


class Unavailable(ContractError):
    """The database cannot be reached or refused the connection; the call may be tried again."""


class TransactionError(ContractError):
    """Something is wrong with the transaction of the user's that the engine was to join."""


class TransactionUnusable(TransactionError):
    """The connection cannot be used: no transaction is open on it, it is to another database, and the like.

    Nothing was changed. The text says what to do.
    """


class TransactionAborted(TransactionError):
    """The database has given up the transaction: another one was in its way. Roll back and run all of it again."""


class RevisionConflict(ContractError):
    """A run is not at the revision that the commit was decided on; nothing of the commit was applied.

    ``job_id`` names the run that moved on.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"run {job_id!r} is not at the expected revision")
        self.job_id = job_id


class CurrentRunConflict(ContractError):
    """The current-run pointer does not name the expected run; nothing of the commit was applied.

    ``pointer_id`` names the pointer, ``current`` the run that it names now (None: it names none).
    """

    def __init__(self, pointer_id: str, current: str | None) -> None:
        super().__init__(f"current run of {pointer_id!r} is {current!r}")
        self.pointer_id = pointer_id
        self.current = current


class DuplicateMark(ContractError):
    """A dedup mark of the commit exists already: the request was applied before; nothing was applied now."""

    def __init__(self, job_id: str, guid: str) -> None:
        super().__init__(f"request {guid!r} was already applied to {job_id!r}")
        self.job_id = job_id
        self.guid = guid
