"""End the connections of a port, from the outside of the library that serves it.

grpcio can stop a server in one way only: it tells the clients to go away, and answers what they send until they have
read that with CANCELLED, which no client repeats. A connection that ends is UNAVAILABLE to its client, which connects
to another server and goes on there. So a port is left by ending its connections, once there is no answer to be sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator

_OPEN_FILES = "/dev/fd"


def stop_listening(port: int) -> None:
    """Take no new connections: they are refused, and whoever balances them tries another server."""
    for number, each in _sockets_of(port):
        if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            # Shut down it would make grpcio print an error; a socket that never listened in its place is silent.
            with socket.socket(each.family) as silent:
                os.dup2(silent.fileno(), number, inheritable=False)


def hang_up(port: int) -> int:
    """End all connections; what was written to them is still delivered. How many there were."""
    ended = 0
    for _, each in _sockets_of(port):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_WR)
            ended += 1
    return ended


def _sockets_of(port: int) -> Iterator[tuple[int, socket.socket]]:
    """The TCP sockets of this process at that local port: the number of each, and a copy that is closed soon."""
    try:
        numbers = [int(name) for name in os.listdir(_OPEN_FILES)]
    except OSError:
        return  # Windows: connections end when the server is stopped
    for number in numbers:
        if not _is_socket(number):
            continue
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as copy:
            if copy.family in (socket.AF_INET, socket.AF_INET6) and copy.getsockname()[1] == port:
                yield number, copy


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False  # closed meanwhile
