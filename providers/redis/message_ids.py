"""Ids of messages: 16 digits, so that order as text is order of publication."""

from __future__ import annotations

from collections.abc import Sequence

_DIGITS = 16


def to_id(text: str) -> str:
    """An id to compare with, of the full length; before all others for what is not an id."""
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        return text.zfill(_DIGITS)
    return "0" * _DIGITS


def real_ids(message_ids: Sequence[str]) -> list[str]:
    """Those that may be ids of messages, each once."""
    return [each for each in dict.fromkeys(message_ids) if len(each) == _DIGITS and each == to_id(each)]
