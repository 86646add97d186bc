"""Symbols of custom search attributes: the fields of the search index that their values are in.

A namespace has a symbol map in the store (``$<namespace id>``, further ones when it is full). A path in it is type and
name, so an attribute that is removed and added again with another type has another field, and old values are not taken
for new ones. The namespace's record says which symbols are given away; the map repeats it for readers of the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from ..contracts.errors import InvalidArgument
from ..contracts.store import StoreService
from ..contracts.symbols import RESERVED_SLOTS, symbol_key, symbol_slot
from ..engine.attribute_values import BOOL, DATETIME, DOUBLE, INT, KEYWORD, KEYWORD_LIST, KIND_NAMES, TEXT

COLUMNS = {TEXT: 3, KEYWORD: 10, INT: 3, DOUBLE: 3, BOOL: 3, DATETIME: 3, KEYWORD_LIST: 3}
"""How many columns for search attributes of each type a Temporal server with an SQL database has. There is no such
limit here; the names of the columns are as they are there, and this project used them before it had symbols.
"""

_FIRST_BLOCK = 2 * RESERVED_SLOTS
"""Slots of a namespace's first symbol map; each further one has twice as many as the one before."""


def columns_of(kind: int) -> list[str]:
    """The columns that a Temporal server has for a type: ``Int01``, …"""
    return [f"{KIND_NAMES[kind]}{number:02}" for number in range(1, COLUMNS[kind] + 1)]


_KIND_OF_COLUMN = {column: kind for kind in COLUMNS for column in columns_of(kind)}


def kind_of_column(column: str) -> int:
    """The type that a column is for. Raises `KeyError` for what is no column."""
    return _KIND_OF_COLUMN[column]


def path_of(name: str, kind: int) -> str:
    """What a symbol stands for: an attribute of a type."""
    return f"{KIND_NAMES[kind]}/{name}"


def maps_of(namespace_id: str) -> Iterator[tuple[str, int]]:
    """The symbol maps of a namespace and how many slots each gets, without end."""
    number = 0
    while True:
        yield f"${namespace_id}" + (f"/{number + 1}" if number else ""), _FIRST_BLOCK << number
        number += 1


async def free_symbols(store: StoreService, namespace_id: str, paths: Sequence[str], taken: Set[str]) -> dict[str, str]:
    """A symbol for each path, none of them in ``taken``. If the app has none left, the path is its own symbol."""
    free: list[str] = []
    for target, size in maps_of(namespace_id):
        try:
            first, last, _ = await store.reserve_symbol_range(target, size, "JOB")
        except InvalidArgument:
            break
        free += [symbol for slot in range(first, last + 1) if (symbol := symbol_key(slot)) not in taken]
        if len(free) >= len(paths):
            break
    free += paths[len(free) :]
    return dict(zip(paths, free, strict=False))


async def keep_symbols(store: StoreService, namespace_id: str, symbols: Mapping[str, str]) -> None:
    """Write the symbols into the maps that they come from. To be repeated at will."""
    missing = {path: symbol for path, symbol in symbols.items() if symbol_slot(symbol) >= 0}
    for target, size in maps_of(namespace_id):
        if not missing:
            return
        _, last, known = await store.reserve_symbol_range(target, size, "JOB")
        here = {path: symbol for path, symbol in missing.items() if last - size < symbol_slot(symbol) <= last}
        if here.items() - known.items():
            await store.add_symbols(target, here)
        missing = {path: symbol for path, symbol in missing.items() if path not in here}
