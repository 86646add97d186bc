"""Symbols: short names for long field paths. Pure functions that every store shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from .errors import InvalidArgument

SymbolType = Literal["JOB", "ACTIVITY"]

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
SYMBOL_LENGTH = 3
MAX_SYMBOLS = len(ALPHABET) ** SYMBOL_LENGTH
RESERVED_SLOTS = 26
"""The first slots of every block belong to the metadata below."""

LEDGER_PATH = "output/metadata/as"
"""The path of an activity whose symbol names its collation ledger."""

_JOB_NAMES = [
    "ngn",
    "tpc",
    "pj",
    "pg",
    "pd",
    "px",
    "pa",
    "key",
    "app",
    "vrs",
    "jid",
    "gid",
    "aid",
    "ts",
    "jc",
    "ju",
    "js",
    "err",
    "trc",
]
_ACTIVITY_NAMES = ["aid", "dad", "as", "atp", "stp", "ac", "au", "err", "l1s", "l2s"]
_SEED_PATHS: dict[SymbolType, list[str]] = {
    "JOB": [f"metadata/{name}" for name in _JOB_NAMES],
    "ACTIVITY": [f"output/metadata/{name}" for name in _ACTIVITY_NAMES],
}


def symbol_key(index: int) -> str:
    """The symbol of a slot: ``aaa`` for 0, ``aab`` for 1 and so on."""
    if not 0 <= index < MAX_SYMBOLS:
        raise InvalidArgument(f"symbol slot {index} is not in 0..{MAX_SYMBOLS - 1}")
    letters = ""
    for _ in range(SYMBOL_LENGTH):
        index, digit = divmod(index, len(ALPHABET))
        letters = ALPHABET[digit] + letters
    return letters


def seed_symbols(symbol_type: SymbolType, lower: int) -> dict[str, str]:
    """Path to symbol of the metadata of a block that starts at slot ``lower``."""
    return {path: symbol_key(lower + offset) for offset, path in enumerate(_SEED_PATHS[symbol_type])}


def check_range_size(size: int) -> None:
    """Raise `InvalidArgument` unless a block of ``size`` slots has room beside the reserved ones."""
    if not RESERVED_SLOTS < size <= MAX_SYMBOLS:
        raise InvalidArgument(f"symbol range of {size} must be in {RESERVED_SLOTS + 1}..{MAX_SYMBOLS}")


def check_cursor(upper: int) -> None:
    """Raise `InvalidArgument` if a block that ends before slot ``upper`` does not fit any more."""
    if upper > MAX_SYMBOLS:
        raise InvalidArgument(f"all {MAX_SYMBOLS} symbols of the app are taken")


def symbol_slot(symbol: str) -> int:
    """Undo `symbol_key`; -1 for a text that is no symbol."""
    if len(symbol) != SYMBOL_LENGTH or any(letter not in ALPHABET for letter in symbol):
        return -1
    slot = 0
    for letter in symbol:
        slot = slot * len(ALPHABET) + ALPHABET.index(letter)
    return slot


def range_result(lower: int, size: int, existing: Mapping[str, str]) -> tuple[int, int, dict[str, str]]:
    """What ``reserve_symbol_range`` returns for a block that starts at ``lower`` and holds ``existing`` (seeds too)."""
    upper = lower + size - 1
    slots = (symbol_slot(symbol) for symbol in existing.values())
    last_taken = max((slot for slot in slots if lower <= slot <= upper), default=-1)
    return max(lower + RESERVED_SLOTS, last_taken + 1), upper, dict(existing)
