"""Keys."""

from __future__ import annotations

import pytest

from hotmesh_temporal.contracts.errors import InvalidArgument, NotInitialized
from hotmesh_temporal.contracts.keys import (
    ParsedKey,
    mint_key,
    parse_key,
    parse_signal_target,
    signal_target,
    stats_bucket_key,
)
from hotmesh_temporal.contracts.types import KeyParams, KeyType

AWKWARD = ["", "a", "a:b", "a%3Ab", "a%", ":", "%"]


def test_parsing_splits_the_first_three_colons() -> None:
    key = mint_key("ns", "app", KeyType.JOB_STATE, KeyParams(job_id="a:b::c"))
    assert parse_key(key) == ParsedKey("ns", "app", "j", "a:b::c")
    assert parse_key(mint_key("ns", "app", KeyType.APP, KeyParams())) == ParsedKey("ns", "app", "a", "")
    assert parse_key(mint_key("ns", "app", KeyType.HOOKS, KeyParams())) == ParsedKey("ns", "app", "hooks", "")
    assert parse_key(mint_key("ns", "", KeyType.HOTMESH, KeyParams())) == ParsedKey("ns", "", "", "")


def test_stats_keys_are_injective() -> None:
    for key_type in (KeyType.JOB_STATS_INDEX, KeyType.JOB_STATS_MEDIAN):
        params = [KeyParams(job_key=k, date_time=d, facet=f) for k in AWKWARD for d in AWKWARD for f in AWKWARD]
        assert len({mint_key("ns", "app", key_type, each) for each in params}) == len(params)
    params = [KeyParams(job_key=k, date_time=d) for k in AWKWARD for d in AWKWARD]
    assert len({mint_key("ns", "app", KeyType.JOB_STATS_GENERAL, each) for each in params}) == len(params)


def test_types_do_not_mix() -> None:
    params = KeyParams(job_id="x", topic="x", activity_id="x", engine_id="x", scout_type="x", job_key="x")
    keys = [mint_key("ns", "app", each, params) for each in KeyType if each is not KeyType.JOB_STATS_MEDIAN]
    assert len(set(keys)) == len(keys)


def test_a_facet_leads_to_its_bucket() -> None:
    params = KeyParams(job_key="orders:eu", date_time="2026", facet="a:b")
    general = mint_key("ns", "app", KeyType.JOB_STATS_GENERAL, params)
    assert stats_bucket_key(mint_key("ns", "app", KeyType.JOB_STATS_INDEX, params)) == general


def test_the_app_of_the_parameters_wins() -> None:
    assert mint_key("ns", "app", KeyType.JOB_STATE, KeyParams(app_id="other")) == "ns:other:j:"


@pytest.mark.parametrize(("namespace", "app_id"), [("n:s", "app"), ("ns", ""), ("ns", "a"), ("ns", "x:y")])
def test_unusable_names(namespace: str, app_id: str) -> None:
    with pytest.raises(InvalidArgument):
        mint_key(namespace, app_id, KeyType.JOB_STATE, KeyParams())


def test_no_namespace() -> None:
    with pytest.raises(NotInitialized):
        mint_key("", "app", KeyType.JOB_STATE, KeyParams())


def test_signal_targets_are_injective() -> None:
    pairs = [(topic, resolved) for topic in AWKWARD for resolved in AWKWARD]
    assert [parse_signal_target(signal_target(*pair)) for pair in pairs] == pairs
