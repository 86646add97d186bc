"""Who may do what on a served port. See docs/server.md."""

from .interface import (
    Access,
    Authenticator,
    Authorizer,
    Claims,
    Credentials,
    Decision,
    InvalidCredentials,
    Role,
    Scope,
    Target,
)

__all__ = [
    "Access",
    "Authenticator",
    "Authorizer",
    "Claims",
    "Credentials",
    "Decision",
    "InvalidCredentials",
    "Role",
    "Scope",
    "Target",
]
