"""Finding jobs and their fields."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.commit import Commit, RunWrite
from ..contracts.store import StoreService
from .store_state import APP

ODD_IDS = ["a_b", "aXb", "a%b", "a*b", "a[b]", "a\\b", "A_B", "ä_b"]


async def walk_jobs(store: StoreService, pattern: str = "*", limit: int = 7) -> list[str]:
    """Every id of a full walk, page by page; no page is larger than ``limit``."""
    found: list[str] = []
    cursor = "0"
    while True:
        cursor, page = await store.find_jobs(pattern, limit, 3, cursor)
        assert len(page) <= limit
        found += page
        if cursor == "0":
            return found


@pytest.mark.asyncio
class TestFindJobs:
    """find_jobs."""

    async def test_a_walk_finds_each_job_once(self, store: StoreService) -> None:
        ids = [f"job-{n}" for n in range(40)]
        await asyncio.gather(*(store.set_state_nx(job_id, APP) for job_id in ids))
        assert sorted(await walk_jobs(store)) == sorted(ids)
        assert sorted(await walk_jobs(store, limit=40)) == sorted(ids)
        assert sorted((await store.find_jobs())[1]) == sorted(ids)

    async def test_a_walk_among_writers(self, store: StoreService, peer_store: StoreService) -> None:
        stable = [f"m{n:02}" for n in range(20)]
        for job_id in [*stable, *(f"gone{n}" for n in range(10))]:
            await store.set_state_nx(job_id, APP)
        found: list[str] = []
        cursor = "0"
        for turn in range(100):
            cursor, page = await store.find_jobs("*", 4, 2, cursor)
            found += page
            if cursor == "0":
                break
            await peer_store.scrub(f"gone{turn}")
            await peer_store.set_state_nx(f"aa{turn}", APP)
            await peer_store.set_status(1, stable[turn % 20], APP)
        assert cursor == "0"
        assert sorted(job_id for job_id in found if job_id in stable) == stable

    @pytest.mark.parametrize(
        ("pattern", "ids"),
        [
            ("*", ODD_IDS),
            ("a_b", ["a_b"]),
            ("a%b", ["a%b"]),
            ("a[*", ["a[b]"]),
            (r"a\*b", ["a*b"]),
            (r"a\\b", ["a\\b"]),
            ("a*b", ["a_b", "aXb", "a%b", "a*b", "a\\b"]),
            ("A*", ["A_B"]),
            ("*_b", ["a_b", "ä_b"]),
            ("b", []),
        ],
    )
    async def test_patterns(self, store: StoreService, pattern: str, ids: list[str]) -> None:
        for job_id in ODD_IDS:
            await store.set_state_nx(job_id, APP)
        assert sorted((await store.find_jobs(pattern))[1]) == sorted(ids)

    async def test_only_live_jobs(self, store: StoreService) -> None:
        for job_id in ("kept", "expired", "scrubbed"):
            await store.set_state_nx(job_id, APP)
        await store.expire_job("expired", 0.05)
        await store.scrub("scrubbed")
        await asyncio.sleep(0.1)
        assert await store.find_jobs() == ("0", ["kept"])

    async def test_runs_are_jobs(self, store: StoreService) -> None:
        await store.commit(Commit(runs=(RunWrite(job_id="run", expected_revision=0, status=1, state=b"", origin=b""),)))
        assert await store.find_jobs("r*") == ("0", ["run"])


@pytest.mark.asyncio
class TestFindJobFields:
    """find_job_fields."""

    async def test_patterns(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP)
        await store.set_query_state("job", {"x": "1", '"-sleep-1-"': "a", '"-proxy,0-2-"': "b", '"%"': "c"})
        everything = {":": "1", "_x": "1", "-sleep-1-": "a", "-proxy,0-2-": "b", "%": "c"}
        assert await store.find_job_fields("job") == ("0", everything)
        assert await store.find_job_fields("job", "-*-") == ("0", {"-sleep-1-": "a", "-proxy,0-2-": "b"})
        assert await store.find_job_fields("job", "%") == ("0", {"%": "c"})
        assert await store.find_job_fields("job", "_*") == ("0", {"_x": "1"})

    async def test_paging(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP)
        await store.set_query_state("job", {f"f{n}": str(n) for n in range(25)})
        found: dict[str, str] = {}
        cursor, pages = "0", 0
        while cursor != "0" or pages == 0:
            cursor, page = await store.find_job_fields("job", "_f*", 4, 2, cursor)
            assert len(page) <= 4
            assert not page.keys() & found.keys()
            found |= page
            pages += 1
        assert found == {f"_f{n}": str(n) for n in range(25)}

    async def test_a_missing_job(self, store: StoreService) -> None:
        assert await store.find_job_fields("job") == ("0", {})
