"""Namespaces and search attributes: both sides have the same ones."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from google.protobuf.message import Message
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.service import RPCError, RPCStatusCode

from .calls import Call, How, Side, Sides, is_not_found

_UNREADABLE = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.NOT_FOUND)
_LOG = logging.getLogger(__name__)


class Namespaces:
    """Makes namespaces in your database when they are first used, like those of the Temporal server."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._there: set[str] = set()
        self._lock = asyncio.Lock()

    async def ensure(self, name: str, how: How) -> None:
        """See to it that your database has the namespace and its search attributes, if the Temporal server has them.

        Raises:
            RPCError: As a side answered.
        """
        if name in self._there:
            return
        async with self._lock:
            if not await self._exists(name, how) and not await self._make(name, how):
                return
            try:
                await self._copy_search_attributes(name, how)
            except RPCError as error:
                # Some services, and some keys, have no operator service; some namespaces are only here.
                if error.status not in _UNREADABLE:
                    raise
                _LOG.warning("the search attributes of %s cannot be read on the Temporal server: %s", name, error)
            self._there.add(name)

    async def _exists(self, name: str, how: How) -> bool:
        try:
            await self._sides.ask(Side.HOTMESH, "describe_namespace", DescribeNamespaceRequest(namespace=name), how)
        except RPCError as error:
            if is_not_found(error):
                return False
            raise
        return True

    async def _make(self, name: str, how: How) -> bool:
        """Whether it is there now."""
        try:
            theirs = await self._sides.ask(
                Side.TEMPORAL, "describe_namespace", DescribeNamespaceRequest(namespace=name), how
            )
        except RPCError as error:
            if is_not_found(error):
                return False
            raise
        request = RegisterNamespaceRequest(
            namespace=name,
            description=theirs.namespace_info.description,
            owner_email=theirs.namespace_info.owner_email,
            workflow_execution_retention_period=theirs.config.workflow_execution_retention_ttl,
            data=theirs.namespace_info.data,
        )
        try:
            await self._sides.ask(Side.HOTMESH, "register_namespace", request, how)
        except RPCError as error:
            # Another process was faster.
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise
        return True

    async def _copy_search_attributes(self, name: str, how: How) -> None:
        request = ListSearchAttributesRequest(namespace=name)
        theirs = await self._sides.ask_operator(Side.TEMPORAL, "list_search_attributes", request, how)
        ours = await self._sides.ask_operator(Side.HOTMESH, "list_search_attributes", request, how)
        known = {*ours.custom_attributes, *ours.system_attributes}
        missing = {key: kind for key, kind in theirs.custom_attributes.items() if key not in known}
        if missing:
            add = AddSearchAttributesRequest(namespace=name, search_attributes=missing)
            await self._sides.ask_operator(Side.HOTMESH, "add_search_attributes", add, how)

    async def on_both(self, call: Call) -> Message:
        """Do it on the Temporal server, and then in your database if that has the namespace; the server's answer."""
        reply = await self._sides.send(Side.TEMPORAL, call)
        self._there.discard(call.request.namespace)
        try:
            await self._sides.send(Side.HOTMESH, call)
        except RPCError as error:
            # Registered here by another client, removed already, never used here: then it is as it should be.
            if error.status not in (RPCStatusCode.ALREADY_EXISTS, RPCStatusCode.NOT_FOUND):
                raise
        return reply

    async def search_attributes(self, call: Call) -> Message:
        """The search attributes of both sides."""
        replies: dict[Side, Any] = await self._sides.send_to_both(call)
        merged = replies[Side.HOTMESH]
        # What both have is shown as the Temporal server has it.
        merged.MergeFrom(replies[Side.TEMPORAL])
        return merged
