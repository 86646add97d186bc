"""One message's part of the table: which of its fields the service honours, refuses, or has no use for."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from google.protobuf.message import Message


@dataclass(frozen=True)
class Rows:
    """The fields of one message, each exactly once.

    ``honoured``: it does what it does on a Temporal server. ``refused``: a request that sets it fails with
    UNIMPLEMENTED and this reason (a command that sets it fails its workflow task). ``no_effect``: it may be set and
    nothing depends on it here, with the reason why nothing is lost by that.
    """

    message: type[Message]
    honoured: Set[str] = frozenset[str]()
    refused: Mapping[str, str] = field(default_factory=dict[str, str])
    no_effect: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """The message's full protobuf name."""
        return self.message.DESCRIPTOR.full_name

    @property
    def fields(self) -> list[str]:
        """Every field that has a row; one that has two is there twice."""
        return [*self.honoured, *self.refused, *self.no_effect]


UNVERSIONED = "worker versioning is refused when the worker polls; without it the server only passes this on"
ROUTING = "it only helps to route the request inside of a Temporal cluster"
OLD_BUILD = "it only serves to refuse builds that a namespace calls bad, and none can be called so here"
LIFE_CYCLE = "it names the worker, whose heartbeats say the same for lists of workers"
NO_SYSTEM_WORKERS = "the engine has no workers of its own: there is none to be shown"
CONTROL_QUEUE = "a worker offers it for commands from the server; it gets none, cancellation comes with heartbeats"
PRIORITY = "passed on to workers and shown; the tasks of a queue are served in the order in which they came"
