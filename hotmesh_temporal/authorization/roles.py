"""The built-in `Authorizer`: it compares the caller's role with what the method needs, as a Temporal server does."""

from __future__ import annotations

from .interface import Access, Claims, Decision, Role, Scope, Target
from .methods import OF_WORKERS

_LEAST = {Access.READ: Role.READER, Access.WRITE: Role.WRITER, Access.ADMIN: Role.ADMIN}
_YES, _NO = Decision(True), Decision(False)


class RoleAuthorizer:
    """See the module."""

    async def authorize(self, claims: Claims | None, target: Target) -> Decision:
        """See `Authorizer.authorize`."""
        if target.access is Access.OPEN:
            return _YES
        if claims is None:
            return _NO
        role = claims.system
        if target.scope is Scope.NAMESPACE:
            role |= claims.namespaces.get(target.namespace, Role.UNDEFINED)
        if role >= _LEAST[target.access]:
            return _YES
        return _YES if role & Role.WORKER and target.method in OF_WORKERS else _NO
