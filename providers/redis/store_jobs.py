"""Store: the state of jobs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hotmesh_temporal.contracts import fields as rules
from hotmesh_temporal.contracts.errors import AlreadyDone, InvalidArgument, NotFound
from hotmesh_temporal.contracts.store_jobs import JobStore
from hotmesh_temporal.contracts.types import InterruptOptions, JsonObject, StringMap, Transaction

from .database import flat, pairs, texts
from .service import Service, int64, nothing

_INTERRUPTED = 1_000_000_000
_START_CURSOR = "0"
_LONGEST_MS = 1e15


class JobGroup(Service, JobStore):
    """`JobStore` on Redis."""

    # -- status -----------------------------------------------------------------------------------------------

    async def set_state_nx(self, job_id: str, app_id: str, status: int = 1) -> bool:
        """See the contract."""
        self._check_app(app_id)
        return bool(await self._db.call("set_state_nx", job_id, int64(status)))

    async def set_status(self, delta: int, job_id: str, app_id: str, transaction: Transaction | None = None) -> int:
        """See the contract."""
        self._check_app(app_id)
        return await self._write("set_status", job_id, int64(delta), transaction=transaction, placeholder=0, decode=int)

    async def get_status(self, job_id: str, app_id: str) -> int:
        """See the contract."""
        self._check_app(app_id)
        return int(await self._read("get_status", job_id))

    # -- state ------------------------------------------------------------------------------------------------

    async def set_state(
        self,
        state: JsonObject,
        status: int | None,
        job_id: str,
        symbol_names: Sequence[str],
        dids: StringMap,
        transaction: Transaction | None = None,
    ) -> str:
        """See the contract."""
        fields = rules.state_to_fields(state, await self._symbol_maps(symbol_names), dids)
        stored_status = None if status is None else int64(status)
        await self._write(
            "set_fields",
            job_id,
            flat(fields),
            stored_status,
            transaction=transaction,
            placeholder="",
            decode=bytes.decode,
        )
        return job_id if transaction is None else ""

    async def get_state(
        self, job_id: str, consumes: Mapping[str, Sequence[str]], dids: StringMap
    ) -> tuple[dict[str, Any], int]:
        """See the contract."""
        wanted = rules.consumed_fields(consumes, await self._symbol_maps(list(consumes)), dids)
        found = await self._fields(job_id, list(wanted))
        if found is None:
            raise NotFound(f"job {job_id!r} does not exist")
        status, fields = found
        return rules.fields_to_state(wanted, fields), status

    async def set_query_state(self, job_id: str, fields: StringMap, transaction: Transaction | None = None) -> None:
        """See the contract."""
        stored = {rules.query_field(name): value for name, value in fields.items()}
        if rules.STATUS_FIELD in stored:
            raise InvalidArgument("the status is changed by set_status, not as a field")
        await self._write(
            "set_fields", job_id, flat(stored), None, transaction=transaction, placeholder=None, decode=nothing
        )

    async def get_query_state(self, job_id: str, fields: Sequence[str]) -> dict[str, str | None]:
        """See the contract."""
        names = {name: rules.query_field(name) for name in fields}
        found = await self._fields(job_id, list(names.values()))
        stored = {} if found is None else {**found[1], rules.STATUS_FIELD: str(found[0])}
        return {name: stored.get(field) for name, field in names.items()}

    async def get_raw(self, job_id: str) -> dict[str, str]:
        """See the contract. Ledgers are left out."""
        stored = await self._read("get_all_fields", job_id)
        if stored is None:
            raise NotFound(f"job {job_id!r} does not exist")
        return pairs(stored)

    async def _symbol_maps(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        maps = await self._read("get_symbols", list(names))
        return {name: pairs(stored) for name, stored in zip(names, maps, strict=True)}

    async def _fields(self, job_id: str, names: list[str]) -> tuple[int, dict[str, str]] | None:
        """Status and those of the fields that there are; None for a missing job."""
        values = await self._read("get_fields", job_id, names)
        if values is None:
            return None
        found = zip(names, values[1:], strict=True)
        return int(values[0]), {name: value.decode() for name, value in found if value is not None}

    # -- collation --------------------------------------------------------------------------------------------

    async def collate(
        self, job_id: str, activity_id: str, amount: int, dids: StringMap, transaction: Transaction | None = None
    ) -> int:
        """See the contract."""
        dimension = rules.field_name(activity_id, "", dids)
        return await self._write(
            "collate",
            job_id,
            activity_id,
            dimension,
            int64(amount),
            transaction=transaction,
            placeholder=0,
            decode=int,
        )

    async def collate_synthetic(
        self, job_id: str, guid: str, amount: int, transaction: Transaction | None = None
    ) -> int:
        """See the contract."""
        return await self._write(
            "collate_synthetic", job_id, guid, int64(amount), transaction=transaction, placeholder=0, decode=int
        )

    # -- end --------------------------------------------------------------------------------------------------

    async def expire_job(self, job_id: str, in_seconds: float, transaction: Transaction | None = None) -> None:
        """See the contract."""
        if math.isnan(in_seconds) or in_seconds <= 0:
            # Changes nothing, but is a command of its transaction.
            await self._write("get_dependencies", job_id, transaction=transaction, placeholder=None, decode=nothing)
            return
        milliseconds = math.ceil(min(in_seconds * 1000, _LONGEST_MS))
        await self._write("expire_job", job_id, milliseconds, transaction=transaction, placeholder=None, decode=nothing)

    async def interrupt(self, topic: str, job_id: str, options: InterruptOptions | None = None) -> None:
        """See the contract."""
        chosen = options or InterruptOptions()
        problem = {"code": chosen.code, "message": chosen.reason, "stack": chosen.stack, "job_id": job_id}
        stored = rules.encode_value(problem) if chosen.throw else None
        try:
            await self._db.call("interrupt", job_id, topic, str(-_INTERRUPTED), rules.ERROR_PATH, stored)
        except (NotFound, AlreadyDone):
            if not chosen.suppress:
                raise

    async def scrub(self, job_id: str) -> None:
        """See the contract."""
        await self._read("scrub", job_id)

    async def add_dependency(self, job_id: str, dependency: str, transaction: Transaction | None = None) -> None:
        """See the contract."""
        await self._write(
            "add_dependency", job_id, dependency, transaction=transaction, placeholder=None, decode=nothing
        )

    async def get_dependencies(self, job_id: str) -> list[str]:
        """See the contract."""
        return texts(await self._read("get_dependencies", job_id))

    # -- find -------------------------------------------------------------------------------------------------

    async def find_jobs(
        self, query_string: str = "*", limit: int = 1000, batch_size: int = 1000, cursor: str = "0"
    ) -> tuple[str, list[str]]:
        """See the contract."""
        pattern, after, found = _regex(query_string), _read_cursor(cursor), list[str]()
        while True:
            live, last = await self._read("find_jobs", after or "", max(batch_size, 1), after is None)
            found += [job_id for job_id in texts(live) if pattern.fullmatch(job_id)]
            if len(found) > limit:
                return _next_cursor(found[limit - 1]), found[:limit]
            if last is None:
                return _START_CURSOR, found
            after = last.decode()

    async def find_job_fields(
        self,
        job_id: str,
        field_match_pattern: str = "*",
        limit: int = 1000,
        batch_size: int = 1000,
        cursor: str = "0",
    ) -> tuple[str, dict[str, str]]:
        """See the contract. Reads all fields of the job, whatever ``batch_size`` is."""
        pattern, after = _regex(field_match_pattern), _read_cursor(cursor)
        stored = pairs(await self._read("get_all_fields", job_id) or [])
        names = sorted(
            name for name in stored if pattern.fullmatch(name) and (after is None or _in_order(name) > _in_order(after))
        )
        page = names[:limit]
        more = len(names) > limit and page
        return _next_cursor(page[-1]) if more else _START_CURSOR, {name: stored[name] for name in page}


def _in_order(name: str) -> bytes:
    return name.encode()


# -- patterns and cursors ----------------------------------------------------------------------------------------------


def _regex(pattern: str) -> re.Pattern[str]:
    r"""The contract's pattern: ``*`` is any text, ``\`` makes the next character literal."""
    parts = re.findall(r"\\.|\*|[^\\*]+|\\$", pattern, re.DOTALL)
    return re.compile("".join(".*" if part == "*" else re.escape(_literal(part)) for part in parts), re.DOTALL)


def _literal(part: str) -> str:
    return part[1:] if part.startswith("\\") and len(part) > 1 else part


def _read_cursor(cursor: str) -> str | None:
    """What a cursor stands behind; None: the beginning."""
    if cursor == _START_CURSOR:
        return None
    try:
        return str(json.loads(cursor)["after"])
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidArgument(f"{cursor!r} is not a cursor of this store") from error


def _next_cursor(name: str) -> str:
    return json.dumps({"after": name})
