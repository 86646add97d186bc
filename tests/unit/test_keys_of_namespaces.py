"""Keys of things in a namespace: any name gives keys of its own, and a run's job id gives the run back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hotmesh_temporal.runtime.keys import QueueKey, RunKey, namespace_job, namespace_of_job, pointer_id, run_key

NAMES = st.text(alphabet="a/%2F:\n ü", min_size=1, max_size=6)


@given(NAMES, NAMES)
def test_the_job_id_of_a_run_names_the_run(namespace: str, workflow_id: str) -> None:
    key = RunKey(namespace, workflow_id, "run")
    assert run_key(key.job_id) == key
    assert namespace_of_job(namespace_job(namespace)) == namespace
    assert namespace_of_job(key.job_id) is None


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_two_namespaces_share_a_key(first: str, one: str, second: str, other: str) -> None:
    different = (first, one) != (second, other)
    assert (pointer_id(first, one) != pointer_id(second, other)) == different
    assert (QueueKey(first, False, one).topic != QueueKey(second, False, other).topic) == different


def test_plain_names_are_kept() -> None:
    assert pointer_id("default", "order/7") == "c/default/order/7"
    assert RunKey("default", "order/7", "id").job_id == "r/default/id/order/7"
