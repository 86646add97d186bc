"""Page tokens of a reader of both sides: the tokens of the sides, and what else the next page needs."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from .calls import Side, invalid


class HistoryPosition(msgspec.Struct, frozen=True, tag="side-history", array_like=True):
    """Where a reader of a history is. ``last``: the number of the last event that it was given, 0 at the beginning."""

    side: Side
    run_id: str
    token: bytes
    last: int


class ListPosition(msgspec.Struct, frozen=True, tag="side-list", array_like=True):
    """Where a reader of two lists is. None: that list is at its end."""

    hotmesh: bytes | None
    temporal: bytes | None


_T = TypeVar("_T", HistoryPosition, ListPosition)


def encode(position: msgspec.Struct) -> bytes:
    """The bytes to give away."""
    return msgspec.msgpack.encode(position)


def decode(kind: type[_T], token: bytes) -> _T:
    """What `encode` was given.

    Raises:
        RPCError: INVALID_ARGUMENT: the token is not one of this client's.
    """
    try:
        return msgspec.msgpack.decode(token, type=kind)
    except msgspec.MsgspecError as error:
        raise invalid("the page token is not one of a side-by-side client") from error
