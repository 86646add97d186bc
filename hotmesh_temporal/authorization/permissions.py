"""Permissions as they are written down: ``namespace:role``, and ``temporal-system:role`` for all namespaces."""

from __future__ import annotations

from collections.abc import Iterable

from .interface import Claims, Role

SYSTEM = "temporal-system"
ROLES = {"read": Role.READER, "write": Role.WRITER, "worker": Role.WORKER, "admin": Role.ADMIN}


def parse_permission(text: str) -> tuple[str, Role]:
    """The namespace and the role. Raises `ValueError` with what is wrong."""
    namespace, colon, role = text.rpartition(":")
    if not colon or not namespace:
        raise ValueError(f"{text!r} is not of the form namespace:role, such as orders:write")
    if role.lower() not in ROLES:
        raise ValueError(f"{text!r} has no role that is known; there are {', '.join(ROLES)}")
    return namespace, ROLES[role.lower()]


def claims_of(subject: str, permissions: Iterable[tuple[str, Role]]) -> Claims:
    """The claims of somebody with these permissions."""
    system, namespaces = Role.UNDEFINED, dict[str, Role]()
    for namespace, role in permissions:
        if namespace == SYSTEM:
            system |= role
        else:
            namespaces[namespace] = namespaces.get(namespace, Role.UNDEFINED) | role
    return Claims(subject, system, namespaces)
