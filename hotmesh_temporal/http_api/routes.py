"""Which RPC a verb and a path mean: the ``google.api.http`` annotations of the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.api import annotations_pb2  # pyright: ignore[reportMissingTypeStubs]  # it has none
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.operatorservice.v1 import service_pb2 as operator_pb2
from temporalio.api.workflowservice.v1 import service_pb2 as workflow_pb2

from ..transport.methods import Method

_SERVICES = {"workflow": workflow_pb2, "operator": operator_pb2}
_VERBS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Route:
    """One verb and path of an RPC.

    ``segments``: of the path; those in braces are the names of fields, such as ``{execution.workflow_id}``. ``body``:
    which field the body is, ``*`` for the whole request, empty for none. ``rpc`` is the gRPC path.
    """

    verb: str
    segments: tuple[str, ...]
    body: str
    rpc: str
    method: Method

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The values of the fields in a path; None if it is another one."""
        if len(segments) != len(self.segments):
            return None
        values: dict[str, str] = {}
        for wanted, given in zip(self.segments, segments, strict=True):
            if wanted.startswith("{"):
                values[wanted[1:-1]] = given
            elif wanted != given:
                return None
        return values


@dataclass(frozen=True)
class Found:
    """A route, and what its path says."""

    route: Route
    values: dict[str, str]


def find(verb: str, path: str) -> Found | None:
    """The route of a verb and a path (without its escapes). Of several that fit, it is the one that is listed last."""
    segments = path.lstrip("/").split("/")
    for route in routes().get((verb, len(segments)), ()):
        values = route.match(segments)
        if values is not None:
            return Found(route, values)
    return None


def verbs_of(path: str) -> list[str]:
    """Every verb that a path can be used with."""
    return [verb.upper() for verb in _VERBS if find(verb.upper(), path)]


@cache
def routes() -> dict[tuple[str, int], list[Route]]:
    """All routes by verb and number of segments, the last first."""
    found: dict[tuple[str, int], list[Route]] = {}
    for service, module in _SERVICES.items():
        services: dict[str, Any] = dict(module.DESCRIPTOR.services_by_name)
        for descriptor in services.values():
            for method in descriptor.methods:
                for route in _of_method(service, method):
                    found.setdefault((route.verb, len(route.segments)), []).insert(0, route)
    return found


def _of_method(service: str, method: MethodDescriptor) -> Iterator[Route]:
    options: Any = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule = options.Extensions[annotations_pb2.http]
    served = Method(service, method.name, GetMessageClass(method.input_type))
    for each in (rule, *rule.additional_bindings):
        verb = each.WhichOneof("pattern")
        segments = tuple(getattr(each, verb).lstrip("/").split("/"))
        rpc = f"/{method.containing_service.full_name}/{method.name}"
        yield Route(verb.upper(), segments, each.body, rpc, served)
