"""The namespaces of a database: their records, kept in memory for a short while.

A record is a job of the store under a revision, so that two processes cannot change it unseen by each other, and a
document of the search index (in the space of no namespace), so that all can be listed. Whoever changes one lets the
other processes know; if that gets lost they find out when what they have is older than `Limits.namespace_fresh`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec

from ..contracts.commit import Commit, RunWrite
from ..contracts.errors import RevisionConflict
from ..contracts.search import (
    All,
    Compare,
    Condition,
    Operator,
    Order,
    SearchDocument,
    SearchPage,
    SearchService,
    SearchValue,
)
from ..contracts.store import StoreService
from ..engine.attribute_values import KIND_NAMES
from ..engine.context import SECOND, CustomAttribute, Limits, Namespace
from ..errors import Code, RpcError, namespace_not_found
from .attribute_symbols import free_symbols, keep_symbols, kind_of_column, path_of
from .keys import namespace_id, namespace_job, namespace_of_job

DEFAULT, SYSTEM = "default", "temporal-system"

# temporal.api.enums.v1.NamespaceState and ReplicationState
REGISTERED, DEPRECATED, DELETED = 1, 2, 3
NORMAL = 1

_NO_NAMESPACE = ""
_PAGE = 100
_SYSTEM_ID = "32049b68-7872-4094-8e63-d0dd59896a83"
_DAY = 86_400 * SECOND


class NamespaceRecord(msgspec.Struct, omit_defaults=True):
    """A namespace as it is stored.

    ``kinds`` are its custom search attributes with their types. ``symbols`` are the fields that search documents have
    for them, by path (``Int/Amount``): those of removed ones too, so that no field ever gets a second meaning.
    ``attributes`` is from before there were symbols, by column: ``{"Int01": "Amount"}``; see `_decoded`.
    ``past_retentions`` says up to which end of a run which retention was in force before the present one, the oldest
    first. Times and durations are nanoseconds, times since the epoch.

    A namespace that was deleted gets another name, and keeps in ``stored_as`` the name under which its runs are stored
    until they are gone; its record goes after ``removed_after``. The name that it had is ``gone``: nobody finds it, and
    nobody can have it yet.
    """

    name: str
    id: str
    state: int = REGISTERED
    description: str = ""
    owner: str = ""
    data: dict[str, str] = {}
    retention: int = _DAY
    replication_state: int = 0
    attributes: dict[str, str] = {}
    kinds: dict[str, int] = {}
    symbols: dict[str, str] = {}
    past_retentions: list[tuple[int, int]] = []
    created_at: int = 0
    stored_as: str = ""
    deleted_at: int = 0
    removed_after: int = 0
    gone: bool = False


_BUILT_IN = (
    NamespaceRecord(DEFAULT, namespace_id(DEFAULT)),
    NamespaceRecord(
        SYSTEM,
        _SYSTEM_ID,
        description="Temporal internal system namespace",
        owner="temporal-core@temporal.io",
        retention=7 * _DAY,
    ),
)
"""The namespaces that are there from the start."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(NamespaceRecord)


def _decoded(data: bytes) -> NamespaceRecord:
    """A stored record. One from before there were symbols: its documents have the attributes under their names."""
    record = _decoder.decode(data)
    for column, name in record.attributes.items():
        kind = kind_of_column(column)
        record.kinds[name] = kind
        record.symbols[path_of(name, kind)] = name
    record.attributes = {}
    return record


@dataclass(slots=True)
class _Known:
    """A record at its revision, and what decisions see of it. ``until``: monotonic time up to which it is fresh."""

    record: NamespaceRecord
    revision: int
    view: Namespace
    until: float


class Namespaces:
    """The registry of namespaces."""

    def __init__(self, store: StoreService, search: SearchService, limits: Limits | None = None) -> None:
        self._store = store
        self._search = search
        self._fresh_seconds = (limits or Limits()).namespace_fresh / SECOND
        self._known: dict[str, _Known] = {}
        self.changed: Callable[[str], None] = lambda job_id: None
        """Told the job id of a record that was changed here."""

    async def start(self) -> None:
        """Make those that are there from the start."""
        known = await asyncio.gather(*(self._load(record.name) for record in _BUILT_IN))
        for record, found in zip(_BUILT_IN, known, strict=True):
            if found is None:
                await self.create(record)

    # -- reading ----------------------------------------------------------------------------------------------

    def known(self, name: str) -> Namespace | None:
        """The namespace as this process last saw it, or None. Once `find` has found it, it stays known."""
        known = self._known.get(name)
        return known.view if known is not None else None

    def fresh(self, name: str) -> NamespaceRecord | None:
        """The record, if it is known well enough to be used without looking."""
        known = self._known.get(name)
        return known.record if known is not None and time.monotonic() < known.until else None

    async def find(self, name: str, *, now: bool = False) -> NamespaceRecord | None:
        """The record, not older than `Limits.namespace_fresh` or as it is right now; None if there is none."""
        record = None if now else self.fresh(name)
        if record is not None:
            return record
        known = await self._load(name)
        return known.record if known is not None else None

    async def view(self, name: str, *, now: bool = False) -> Namespace:
        """What decisions see of it, as `find` would give its record. NOT_FOUND if there is none."""
        if not now and self.fresh(name) is not None:
            return self._known[name].view
        known = await self._load(name)
        if known is None:
            raise namespace_not_found(name)
        return known.view

    async def by_id(self, given: str) -> NamespaceRecord | None:
        """The record with this id."""
        page = await self._search.query(_NO_NAMESPACE, Compare("Id", Operator.EQ, given), page_size=1)
        return _record_of(page.documents[0]) if page.documents else None

    async def page(self, size: int, token: bytes, *, with_deleted: bool) -> tuple[list[NamespaceRecord], bytes]:
        """Records in the order of their ids, and the token of the next page: the last id. Any bytes are a token."""
        condition: Condition = Compare("Id", Operator.GT, token.decode(errors="replace"))
        if not with_deleted:
            condition = All((condition, Compare("State", Operator.NE, DELETED)))
        order = (Order("Id", descending=False),)
        page: SearchPage = await self._search.query(_NO_NAMESPACE, condition, order=order, page_size=size)
        records = [_record_of(each) for each in page.documents]
        return records, records[-1].id.encode() if page.next_page_token else b""

    async def all(self) -> AsyncIterator[NamespaceRecord]:
        """Every record, those of deleted namespaces too."""
        token = b""
        while True:
            records, token = await self.page(_PAGE, token, with_deleted=True)
            for record in records:
                yield record
            if not token:
                return

    async def _load(self, name: str) -> _Known | None:
        found = await self._store.load_run(namespace_job(name))
        record = _decoded(found.state) if found is not None else None
        if found is None or record is None or record.gone:
            self._known.pop(name, None)
            return None
        return self._keep(record, found.revision)

    def _keep(self, record: NamespaceRecord, revision: int) -> _Known:
        known = self._known.get(record.name)
        if known is not None and known.record.id != record.id:
            known = None  # deleted, and made anew under the same name
        if known is not None and known.revision > revision:
            return known
        until = time.monotonic() + self._fresh_seconds
        if known is not None and known.revision == revision:
            known.until = until
            return known
        known = self._known[record.name] = _Known(record, revision, _view(record), until)
        return known

    def hinted(self, topic: str) -> None:
        """Another process has changed something: if it is a record that is known here, look at it again."""
        name = namespace_of_job(topic)
        if name is not None and name in self._known:
            self._known[name].until = 0.0

    # -- changing ---------------------------------------------------------------------------------------------

    async def create(self, record: NamespaceRecord) -> bool:
        """Add a namespace. False if there is one of that name already."""
        try:
            await self._write(record, 0)
        except RevisionConflict:
            return False
        return True

    async def is_being_removed(self, name: str) -> bool:
        """The name is that of a namespace which is being deleted."""
        found = await self._store.load_run(namespace_job(name))
        return found is not None and _decoded(found.state).gone

    async def rename(self, name: str, change: Callable[[NamespaceRecord], None]) -> NamespaceRecord:
        """As `update`, where ``change`` gives the record another name. The old one is kept from others, see `forget`.

        Both are one commit.
        """
        while True:
            known = await self._load(name)
            if known is None:
                raise namespace_not_found(name)
            record = _decoded(_encoder.encode(known.record))
            change(record)
            kept = NamespaceRecord(name, record.id, gone=True)
            writes = sorted((_run_of(kept, known.revision), _run_of(record, 0)), key=lambda write: write.job_id)
            try:
                await self._store.commit(Commit(runs=tuple(writes), search=(_document_of(kept), _document_of(record))))
            except RevisionConflict:
                continue
            self._known.pop(name, None)
            self._keep(record, 1)
            self.changed(namespace_job(name))
            return record

    async def forget(self, name: str) -> None:
        """Remove a record, and with it the name."""
        await self._store.scrub(namespace_job(name))
        self._known.pop(name, None)
        self.changed(namespace_job(name))

    async def update(self, name: str, change: Callable[[NamespaceRecord], None]) -> NamespaceRecord:
        """Change a record, as one step. ``change`` may be called several times, each time with a copy of its own.

        Raises what it raises, and NOT_FOUND if there is no such namespace.
        """
        while True:
            known = await self._load(name)
            if known is None:
                raise namespace_not_found(name)
            data = _encoder.encode(known.record)
            record = _decoded(data)
            change(record)
            if _encoder.encode(record) == data:
                return record
            try:
                await self._write(record, known.revision)
            except RevisionConflict:
                continue
            return record

    async def _write(self, record: NamespaceRecord, revision: int) -> None:
        await self._store.commit(Commit(runs=(_run_of(record, revision),), search=(_document_of(record),)))
        self._keep(record, revision + 1)
        self.changed(namespace_job(record.name))

    # -- custom search attributes -----------------------------------------------------------------------------

    async def add_attributes(self, name: str, kinds: dict[str, int]) -> None:
        """Give a namespace search attributes (name to type); those that it has are left as they are.

        The record decides which symbol an attribute has, and then the symbol map is told. A caller that dies in
        between got no answer; when it asks again, the map is told as well.
        Raises INVALID_ARGUMENT for a type that does not exist.
        """
        for attribute, kind in kinds.items():
            _check_kind(attribute, kind)
        record = await self._add_attributes(name, {attribute: kind for attribute, kind in kinds.items() if attribute})
        await keep_symbols(self._store, record.id, record.symbols)

    async def _add_attributes(self, name: str, kinds: dict[str, int]) -> NamespaceRecord:
        while True:
            record = await self.find(name, now=True)
            if record is None:
                raise namespace_not_found(name)
            paths = [path_of(attribute, kind) for attribute, kind in kinds.items() if attribute not in record.kinds]
            new = [path for path in paths if path not in record.symbols]
            given = await free_symbols(self._store, record.id, new, set(record.symbols.values())) if new else {}

            def change(record: NamespaceRecord, given: dict[str, str] = given) -> None:
                if not given.keys().isdisjoint(record.symbols) or not _is_free(given, record):
                    raise _TakenMeanwhile
                record.symbols.update(given)
                for attribute, kind in kinds.items():
                    if attribute not in record.kinds and path_of(attribute, kind) in record.symbols:
                        record.kinds[attribute] = kind

            try:
                return await self.update(name, change)
            except _TakenMeanwhile:
                continue

    async def remove_attributes(self, name: str, names: list[str]) -> None:
        """Take search attributes away; those that are not there are left out."""

        def change(record: NamespaceRecord) -> None:
            record.kinds = {attribute: kind for attribute, kind in record.kinds.items() if attribute not in names}

        await self.update(name, change)


class _TakenMeanwhile(Exception):
    """Another process has given a symbol away that this one was about to give."""


def _is_free(given: dict[str, str], record: NamespaceRecord) -> bool:
    return set(given.values()).isdisjoint(record.symbols.values())


def _check_kind(attribute: str, kind: int) -> None:
    if attribute and kind not in KIND_NAMES:
        raise RpcError(
            Code.INVALID_ARGUMENT,
            "Unable to create search attributes: cannot have more than 0 search attribute of type Unspecified.",
        )


def fields_of(record: NamespaceRecord) -> dict[str, str]:
    """The custom search attributes by the fields that search documents have for them."""
    return {record.symbols[path_of(name, kind)]: name for name, kind in record.kinds.items()}


def _view(record: NamespaceRecord) -> Namespace:
    attributes = {name: CustomAttribute(record.kinds[name], symbol) for symbol, name in fields_of(record).items()}
    return Namespace(record.name, record.id, record.retention, attributes)


def _run_of(record: NamespaceRecord, revision: int) -> RunWrite:
    data = _encoder.encode(record)
    origin = data if revision == 0 else None
    return RunWrite(job_id=namespace_job(record.name), expected_revision=revision, status=1, state=data, origin=origin)


def _document_of(record: NamespaceRecord) -> SearchDocument:
    """What lists find. A name that is kept from others has no fields, so that no list finds it."""
    fields: dict[str, SearchValue] = {} if record.gone else {"Id": record.id, "State": record.state}
    return SearchDocument(namespace_job(record.name), _NO_NAMESPACE, fields, _encoder.encode(record))


def _record_of(document: SearchDocument) -> NamespaceRecord:
    return _decoded(document.data)
