"""What every request from outside has to pass: who is it, and may they do that?"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from google.protobuf.message import Message

from ..errors import unauthorized
from ..transport.interface import Metadata, Peer
from .interface import Authenticator, Authorizer, Claims, Credentials, Decision, InvalidCredentials, Target
from .roles import RoleAuthorizer
from .targets import targets_of

_LOG = logging.getLogger(__name__)


class Gate:
    """Lets requests pass, or not.

    Args:
        authenticators: Asked one after the other, until one knows the caller.
        authorizer: Decides; by default roles are compared with what methods need.
    """

    def __init__(self, authenticators: Sequence[Authenticator] = (), authorizer: Authorizer | None = None) -> None:
        self._authenticators = authenticators
        self._authorizer = authorizer or RoleAuthorizer()

    async def admit(self, path: str, request: Message, metadata: Metadata, peer: Peer) -> None:
        """See ``transport.interface.Gate``."""
        claims = await self._identified(Credentials(metadata, peer.certificate, peer.common_name))
        for target in targets_of(path, request):
            decision = await self._decided(claims, target)
            if not decision.allowed:
                who = claims.subject if claims else "somebody without credentials"
                _LOG.info("%s may not call %s in namespace %r", who, target.name, target.namespace)
                raise unauthorized(decision.reason)

    async def _identified(self, credentials: Credentials) -> Claims | None:
        try:
            return await self._claims(credentials)
        except InvalidCredentials as error:
            _LOG.info("credentials were refused: %s", error)
            raise unauthorized() from error
        except Exception as error:
            _LOG.exception("an authenticator failed")
            raise unauthorized() from error

    async def _decided(self, claims: Claims | None, target: Target) -> Decision:
        try:
            return await self._authorizer.authorize(claims, target)
        except Exception as error:
            _LOG.exception("the authorizer failed")
            raise unauthorized() from error

    async def _claims(self, credentials: Credentials) -> Claims | None:
        for each in self._authenticators:
            claims = await each.authenticate(credentials)
            if claims is not None:
                return claims
        if credentials.authorization and self._authenticators:
            raise InvalidCredentials("the header 'authorization' has nothing that is known here")
        return None
