"""Who may do what: the words of it, and the two things that you may replace by your own.

An `Authenticator` says who somebody is (`Claims`) by what came with the request (`Credentials`). An `Authorizer` says
whether they may do what they ask for (`Target`). A Temporal server has the same two parts, as ClaimMapper
and Authorizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntFlag
from typing import Any, Protocol

from google.protobuf.message import Message


class Role(IntFlag):
    """What somebody may do, in one namespace or in all. A higher one includes the lower ones, but for the worker's."""

    UNDEFINED = 0
    WORKER = 1
    """Poll task queues and answer tasks. (A Temporal server knows this role, and lets it do nothing.)"""
    READER = 2
    WRITER = 4
    ADMIN = 8


@dataclass(frozen=True)
class Claims:
    """Who somebody is.

    ``system`` is their role for the server as a whole and in every namespace, ``namespaces`` those in single ones by
    name. ``extra`` is for authenticators and authorizers that have more to say to each other.
    """

    subject: str
    system: Role = Role.UNDEFINED
    namespaces: Mapping[str, Role] = field(default_factory=dict[str, Role])
    extra: Any = None


@dataclass(frozen=True)
class Credentials:
    """What came with a request.

    ``metadata``: the request's headers, names in lower case. ``certificate``: the client's certificate as PEM, empty if
    it showed none; by then it is verified. ``common_name`` is that of its subject.
    """

    metadata: Mapping[str, str | bytes]
    certificate: bytes = b""
    common_name: str = ""

    @property
    def bearer(self) -> str:
        """What follows ``Bearer`` in the header ``authorization``; empty if there is no such thing."""
        scheme, _, token = self.authorization.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @property
    def authorization(self) -> str:
        """The header ``authorization``."""
        given = self.metadata.get("authorization", "")
        return given if isinstance(given, str) else given.decode("latin-1")


class Scope(Enum):
    """Where the role is looked for."""

    NAMESPACE = "namespace"
    CLUSTER = "cluster"


class Access(Enum):
    """What a method does."""

    OPEN = "open"
    """Nothing that anybody could not know; it needs no credentials."""
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True)
class Target:
    """What is asked for. A request that reaches several namespaces has one target for each, and needs all of them.

    ``method``: the RPC, such as ``/temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution``.
    ``namespace``: empty if the request names none. ``request``: the request itself, not to be changed.
    """

    method: str
    namespace: str
    scope: Scope
    access: Access
    request: Message

    @property
    def name(self) -> str:
        """The name of the method alone."""
        return self.method.rpartition("/")[2]


@dataclass(frozen=True)
class Decision:
    """Whether it is allowed. ``reason`` is told to the caller, as a detail of the error."""

    allowed: bool
    reason: str = ""


class InvalidCredentials(Exception):
    """They are wrong, forged or expired. The text goes to the log of the server, never to the caller."""


class Authenticator(Protocol):
    """Tells who somebody is."""

    async def authenticate(self, credentials: Credentials) -> Claims | None:
        """The claims of a caller; None if these credentials are none of this kind.

        Raises:
            InvalidCredentials: They are of this kind, and not good.
        """
        ...


class Authorizer(Protocol):
    """Tells what somebody may do."""

    async def authorize(self, claims: Claims | None, target: Target) -> Decision:
        """Whether a caller may do this. ``claims`` is None for those who showed nothing."""
        ...
