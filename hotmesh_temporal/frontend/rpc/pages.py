"""Pages of lists of executions and schedules, as callers ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...contracts.errors import InvalidArgument
from ...contracts.search import Condition, SearchDocument
from ...errors import invalid_argument
from ...runtime.pages import read_page
from ...runtime.service import Runtime

_LARGEST_PAGE = 1000


class Paged(Protocol):
    """A request for a page."""

    @property
    def namespace(self) -> str: ...

    @property
    def next_page_token(self) -> bytes: ...


async def page_of(
    runtime: Runtime, request: Paged, condition: Condition, size: int
) -> tuple[Sequence[SearchDocument], bytes]:
    """The documents, and the token of the next page. INVALID_ARGUMENT for a token that is none of ours."""
    size = min(size, _LARGEST_PAGE) if size > 0 else _LARGEST_PAGE
    now = runtime.clock.now() // 1000
    try:
        return await read_page(runtime.search, now, request.namespace, condition, size, request.next_page_token)
    except InvalidArgument as error:
        raise invalid_argument(f"invalid next page token: {error}") from error
