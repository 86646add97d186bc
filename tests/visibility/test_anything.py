"""Whatever text is given as a query: an answer, or INVALID_ARGUMENT, and the documents are as they were."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
)

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.errors import Code, RpcError
from hotmesh_temporal.frontend.server import Frontend
from tests.support.by_hand import call, start

SEED = int(os.environ.get("FILTER_SEED", "0"))
EACH = int(os.environ.get("FILTER_COUNT", "1000"))
"""How many queries of each kind."""

_VALID = (Path(__file__).parents[2] / "compat_tests" / "list_queries.txt").read_text().splitlines()
_TOKENS = (
    "WorkflowId", "WorkflowType", "StartTime", "ExecutionStatus", "CloseTime", "RunId", "HistoryLength", "Nobody",
    "AND", "OR", "NOT", "IN", "IS", "NULL", "BETWEEN", "STARTS_WITH", "LIKE", "GROUP BY", "ORDER BY", "LIMIT", "SELECT",
    "EXISTS", "UNION", "(", ")", ",", ";", "=", "!=", "<>", "<", ">=", "<=>", "<<", "+", "-", "~", "!", "*", "/", ".",
    "||", "&&", "|", "'a'", "'", '"b"', '"', "`WorkflowId`", "`", "1", "-1", "1.5", "1e9", "0x1", "1a", "1e999",
    "99999999999999999999", "?", ":a", "$1", "%s", "{}", "--", "/*", "*/", "#", "\\", "\x00", "\u00fc", "\ud83d",
    "'; DROP TABLE search; --", "' OR '1' = '1", "\" OR 1 = 1 --", "') OR ('a' = 'a", "true", "\n", "'1h'", "'Running'",
)  # fmt: skip


def random_bytes(draw: Random) -> str:
    """Any bytes, read as Latin-1."""
    return draw.randbytes(draw.randrange(60)).decode("latin-1")


def random_tokens(draw: Random) -> str:
    """Words and signs of the language, and of others, in any order."""
    return draw.choice((" ", " ", "")).join(draw.choices(_TOKENS, k=draw.randrange(12)))


def spoiled(draw: Random) -> str:
    """A query that was one before something was changed in it."""
    text = list(draw.choice(_VALID))
    for _ in range(draw.randrange(1, 4)):
        place = draw.randrange(len(text) + 1)
        text[place : place + draw.randrange(3)] = draw.choice((*_TOKENS, *"'\"`()\\ \x00;#-/*", ""))
    return "".join(text)


def injected(draw: Random) -> str:
    """A value that would like to be more than that."""
    inside = "".join(draw.choices(("'", '"', "\\", "--", "/*", "*/", ";", "#", "\n", "%", "_", "x", " OR 1=1 "), k=8))
    return f"{draw.choice(('WorkflowId', 'WorkflowType'))} = '{inside}' {draw.choice(('', 'OR', '--', ';'))}"


def queries(draw: Random) -> Iterator[str]:
    """Some of each kind. A request is UTF-8: no half of a surrogate pair gets as far as here."""
    for make in (random_bytes, random_tokens, spoiled, injected):
        for _ in range(EACH):
            yield make(draw).encode("utf-8", "replace").decode()


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Frontend]:
    """An engine on SQLite, with three runs."""
    frontend = Frontend(resolve(connection=f"sqlite:///{tmp_path / 'anything.sqlite3'}").backend())
    await frontend.start()
    for workflow_id in ("a", "b", "x"):
        await start(frontend, workflow_id)
    yield frontend
    await frontend.close()


async def test_whatever_is_asked_is_answered_or_refused(engine: Frontend) -> None:
    answers = Counter[int]()
    for query in queries(Random(SEED)):
        try:
            answers[await _answer(engine, query)] += 1
        except Exception as error:
            raise AssertionError(f"FILTER_SEED={SEED}: {query!r}") from error
    assert set(answers) == {Code.OK, Code.INVALID_ARGUMENT}
    assert min(answers.values()) > EACH / 5
    assert await _ask(engine, "") == {"a", "b", "x"}


async def _answer(engine: Frontend, query: str) -> int:
    try:
        await _ask(engine, query)
    except RpcError as error:
        return error.code
    return Code.OK


@pytest.mark.parametrize("quote", ["'", '"'])
async def test_a_value_is_only_a_value(engine: Frontend, quote: str) -> None:
    draw = Random(SEED)
    for number in range(60):
        value = "".join(draw.choices(("'", '"', "`", "\\", "--", "/*", ";", "#", "\n", "%", "_", " OR 1=1 ", "x"), k=6))
        workflow_id = f"{number}{value}"
        await start(engine, workflow_id)
        literal = (
            quote + workflow_id.replace("\\", "\\\\").replace(quote, draw.choice((quote * 2, f"\\{quote}"))) + quote
        )
        assert await _ask(engine, f"WorkflowId = {literal}") == {workflow_id}
        assert await _ask(engine, f"WorkflowId IN ({literal}, 'a')") == {workflow_id, "a"}


async def _ask(engine: Frontend, query: str) -> set[str]:
    """The workflow ids that a list finds; a count finds as many."""
    request = ListWorkflowExecutionsRequest(namespace="default", query=query)
    found = await call(engine, request, ListWorkflowExecutionsResponse)
    counting = CountWorkflowExecutionsRequest(namespace="default", query=query)
    assert (await call(engine, counting, CountWorkflowExecutionsResponse)).count == len(found.executions)
    return {each.execution.workflow_id for each in found.executions}
