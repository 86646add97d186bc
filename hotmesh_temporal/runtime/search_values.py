"""Search attributes of a run: as they are shown, listed and indexed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from temporalio.api.common.v1 import SearchAttributes

from ..contracts.search import SearchValue
from ..engine.attribute_values import (
    DATETIME,
    KEYWORD_LIST,
    TEXT,
    AttributeValue,
    InvalidValue,
    encoded,
    parse_time,
    value_of,
)
from ..engine.context import Namespace
from ..engine.model import ExecutionState
from ..engine.search_attributes import field_of, kind_of

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def shown_attributes(state: ExecutionState, namespace: Namespace) -> SearchAttributes:
    """What describe answers with: those of the workflow that the namespace still has, and those kept by the service."""
    attributes = SearchAttributes.FromString(state.search_attributes)
    for name in [name for name in attributes.indexed_fields if kind_of(name, namespace) is None]:
        del attributes.indexed_fields[name]
    for name, value in _kept(state).items():
        attributes.indexed_fields[name].CopyFrom(encoded(value, KEYWORD_LIST))
    return attributes


def pauses_of(state: ExecutionState) -> list[str]:
    """What of the run is paused, as its search attribute ``TemporalPauseInfo`` says it."""
    return [f"property:activityType={each}" for each in state.paused_types]


def _kept(state: ExecutionState) -> dict[str, list[str]]:
    """What the service itself says of the run: the builds of its workers, and what is paused."""
    kept = {"BuildIds": list(state.build_ids), "TemporalPauseInfo": pauses_of(state)}
    return {name: value for name, value in kept.items() if value}


def listed_attributes(state: ExecutionState, namespace: Namespace) -> SearchAttributes:
    """What list answers with: the same, each payload in the form that its type has in the index."""
    attributes = SearchAttributes()
    for name, kind, value in _values(state, namespace):
        attributes.indexed_fields[name].CopyFrom(encoded(value, kind))
    return attributes


def indexed_attributes(state: ExecutionState, namespace: Namespace) -> dict[str, SearchValue]:
    """What the search index holds: a time as microseconds since the epoch, a text as its words."""
    return {field_of(name, namespace): _indexed(value, kind) for name, kind, value in _values(state, namespace)}


def listed_values(attributes: SearchAttributes, namespace: Namespace) -> SearchAttributes:
    """`listed_attributes` of something that is no run."""
    listed = SearchAttributes()
    for name, kind, value in _given(attributes, namespace):
        listed.indexed_fields[name].CopyFrom(encoded(value, kind))
    return listed


def indexed_values(attributes: SearchAttributes, namespace: Namespace) -> dict[str, SearchValue]:
    """`indexed_attributes` of something that is no run."""
    return {field_of(name, namespace): _indexed(value, kind) for name, kind, value in _given(attributes, namespace)}


def words_of(text: str) -> list[str]:
    """The words that a text is found by, each once, without accents and in lower case."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return list(dict.fromkeys(re.findall(r"[^\W_]+", plain.lower())))


def microseconds(text: str) -> int:
    """A time as the index has it. Raises ``ValueError`` for what is no time."""
    return (parse_time(text) - _EPOCH) // timedelta(microseconds=1)


def _values(state: ExecutionState, namespace: Namespace) -> Iterator[tuple[str, int, AttributeValue]]:
    attributes, kept = SearchAttributes.FromString(state.search_attributes), _kept(state)
    yield from (each for each in _given(attributes, namespace) if each[0] not in kept)
    for name, value in kept.items():
        yield name, KEYWORD_LIST, value


def _given(attributes: SearchAttributes, namespace: Namespace) -> Iterator[tuple[str, int, AttributeValue]]:
    """Name, type and value of those that the namespace still has."""
    for name, payload in attributes.indexed_fields.items():
        kind = kind_of(name, namespace)
        if kind is None:
            continue
        try:
            value = value_of(payload, kind)
        except InvalidValue:  # it was set when the namespace had another attribute of that name
            continue
        if value is not None:
            yield name, kind, value


def _indexed(value: AttributeValue, kind: int) -> SearchValue:
    if kind == DATETIME:
        return microseconds(str(value))
    return words_of(str(value)) if kind == TEXT else value
