"""Whether an address can be served, asked before grpcio is, which says little of what is wrong."""

from __future__ import annotations

import errno
import socket


def check_address(host: str, port: int) -> None:
    """Raise `OSError` with what is wrong and what to do, unless this port (0: any) can be bound."""
    place = f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(
            f"cannot listen on {place}: {host!r} is no interface of this machine, nor a name of one"
        ) from error
    family, kind, _, _, address = found[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise OSError(f"cannot listen on {place}: {_advice(error, port)}") from error


def _advice(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken, maybe by another server; stop that, or choose another port (--port 0: any)"
    if error.errno == errno.EADDRNOTAVAIL:
        return "no interface of this machine has that address (0.0.0.0: all of them)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this user may not use port {port}; choose one above 1023"
    return error.strerror or str(error)
