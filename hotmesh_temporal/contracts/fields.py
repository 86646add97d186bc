"""How a job's state becomes the fields of its hash, and back. Pure functions that every store shares.

A state is a nested JSON object. A *symbol name* is an activity id, or ``$<topic>`` for the job itself; its symbol map
gives paths relative to it (``output/data/x``; ``data/x`` for the job). In the state an activity's values stand under
its id, the job's at the top. The field of a value is its symbol, for an activity followed by its dimensional address.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from .errors import InvalidArgument, NotFound
from .symbols import LEDGER_PATH
from .types import JsonObject, StringMap

STATUS_FIELD = ":"
"""The field of the status semaphore in ``get_raw`` and ``find_job_fields``."""

ERROR_PATH = "metadata/err"
"""Where ``interrupt`` leaves the error of a job."""

STATUS_PATH = "metadata/js"
"""The job's copy of its status; never stored, because the semaphore is the truth."""

_LITERALS: dict[str, bool | None] = {"/t": True, "/f": False, "/n": None}


def encode_value(value: Any) -> str:
    """A JSON value as the text that is stored; raises `InvalidArgument` for what JSON does not have."""
    if isinstance(value, str):
        return value if not value.startswith("/") else "/s" + json.dumps(value)
    if value is None:
        return "/n"
    if isinstance(value, bool):
        return "/t" if value else "/f"
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"not a JSON value: {error}") from error
    return f"/d{text}" if isinstance(value, (int, float)) else f"/s{text}"


def decode_value(text: str) -> Any:
    """Undo `encode_value`."""
    if not text.startswith("/"):
        return text
    if text in _LITERALS:
        return _LITERALS[text]
    return json.loads(text[2:])


def field_name(symbol_name: str, symbol: str, dids: StringMap) -> str:
    """The field of a symbol: an activity's carries its dimensional address, the job's does not."""
    return symbol if symbol_name.startswith("$") else symbol + dids.get(symbol_name, "")


def _leaves(value: Any, symbols: StringMap, path: str = "") -> Iterator[tuple[str, Any]]:
    """``(symbol, value)`` of every path with a symbol; the shortest such path takes the whole value below it."""
    if path in symbols:
        yield symbols[path], value
    elif isinstance(value, Mapping):
        for key, child in cast("Mapping[str, Any]", value).items():
            yield from _leaves(child, symbols, f"{path}/{key}" if path else key)


def state_to_fields(state: JsonObject, symbols: Mapping[str, StringMap], dids: StringMap) -> dict[str, str]:
    """The fields of ``state``; ``symbols`` is symbol name to symbol map. Paths without a symbol are left out."""
    fields: dict[str, str] = {}
    for name, symbol_map in symbols.items():
        is_job = name.startswith("$")
        kept = {path: symbol for path, symbol in symbol_map.items() if not (is_job and path == STATUS_PATH)}
        for symbol, value in _leaves(state if is_job else state.get(name, {}), kept):
            fields[field_name(name, symbol, dids)] = encode_value(value)
    return fields


def consumed_fields(
    consumes: Mapping[str, Sequence[str]], symbols: Mapping[str, StringMap], dids: StringMap
) -> dict[str, tuple[str, ...]]:
    """Field to its path in the state, for every consumed path that has a symbol."""
    wanted: dict[str, tuple[str, ...]] = {}
    for name, paths in consumes.items():
        prefix = () if name.startswith("$") else (name,)
        for path in paths:
            if path in symbols.get(name, {}):
                wanted[field_name(name, symbols[name][path], dids)] = (*prefix, *path.split("/"))
    return wanted


def fields_to_state(wanted: Mapping[str, tuple[str, ...]], fields: StringMap) -> dict[str, Any]:
    """The nested state of the wanted fields that are present."""
    state: dict[str, Any] = {}
    for field, path in wanted.items():
        if field in fields:
            _put(state, path, decode_value(fields[field]))
    return state


def _put(state: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *parents, leaf = path
    for key in parents:
        state = state.setdefault(key, {})
    state[leaf] = value


def ledger_field(activity_id: str, symbols: StringMap, dids: StringMap) -> str:
    """The ledger of ``collate``; `NotFound` if the activity has no symbols yet."""
    if LEDGER_PATH not in symbols:
        raise NotFound(f"activity {activity_id!r} has no symbol for {LEDGER_PATH}: call reserve_symbol_range first")
    return field_name(activity_id, symbols[LEDGER_PATH], dids)


def query_field(name: str) -> str:
    """The stored name of a user field: ``x`` is ``_x``, ``"x"`` in double quotes is ``x`` itself."""
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1]
    return f"_{name}"


def like_pattern(glob: str) -> str:
    r"""A SQL ``LIKE`` pattern, with ``\`` as escape, for a glob in which ``*`` is any text and ``\`` escapes."""
    out: list[str] = []
    characters = iter(glob)
    for character in characters:
        if character == "*":
            out.append("%")
            continue
        if character == "\\":
            character = next(characters, "\\")
        out.append("\\" + character if character in "\\%_" else character)
    return "".join(out)
