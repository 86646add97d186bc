"""The conformance kit: what every provider must pass, as a pytest module.

A provider's test module adds one fixture and imports the rest (see README.md)::

    from hotmesh_temporal.conformance import *

    @pytest.fixture
    def connect(tmp_path):
        return lambda: MyBackend(ConnectionSpec("mine", url=f"mine://{tmp_path}"))

``connect()`` makes a new, unopened backend; all of one test reach the same database. The database may be shared by all
tests, as every test opens a namespace of its own.
"""

import pytest

_MODULES = (
    "support",
    "fixtures",
    "services",
    "session",
    "store_symbols",
    "store_state",
    "store_end",
    "store_find",
    "store_routing",
    "time_hooks",
    "transactions",
    "commit",
    "history",
    "timers",
    "outbox",
    "leases",
    "stream_delivery",
    "stream_upkeep",
    "sub_messages",
    "search_documents",
)
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MODULES))

# The imports come after the registration, as only then pytest explains their failed assertions.
# ruff: noqa: E402
from .commit import TestCommitMessages, TestCurrentRun, TestMarks, TestRuns, TestWholeCommit
from .fixtures import (
    Connect,
    Names,
    OpenBackend,
    backend,
    names,
    open_backend,
    orders,
    peer,
    peer_store,
    peer_stream,
    peer_sub,
    search,
    store,
    stream,
    sub,
)
from .history import TestHistory
from .inspection import TestStoreInspection, TestStreamInspection
from .leases import TestLeases
from .outbox import TestOutbox
from .search_documents import TestDocuments, TestPaging, TestQuery
from .services import TestServices
from .session import TestAppVersions, TestIsolation, TestScoutRoles, TestSession, TestSettings
from .store_end import TestDependencies, TestExpiry, TestInterrupt, TestScrub
from .store_find import TestFindJobFields, TestFindJobs
from .store_routing import TestHookSignals, TestRouting, TestThrottle, TestWorkLists
from .store_state import TestCollation, TestJobState, TestJobStatus
from .store_symbols import TestStats, TestSymbols
from .stream_delivery import TestConsuming, TestDisposal, TestFeatures, TestJobMessages, TestPublishing, TestStreams
from .stream_upkeep import TestDeadLetters, TestLeaseKeeping, TestMonitoring, TestRetry, TestTrimming
from .sub_messages import TestPatterns, TestSubscriptions, TestSubSession
from .time_hooks import TestTimeHooks
from .timers import TestTimers
from .transactions import TestGuard, TestTransactions

__all__ = [
    "Connect",
    "Names",
    "OpenBackend",
    "TestAppVersions",
    "TestCollation",
    "TestCommitMessages",
    "TestConsuming",
    "TestCurrentRun",
    "TestDeadLetters",
    "TestDependencies",
    "TestDisposal",
    "TestDocuments",
    "TestExpiry",
    "TestFeatures",
    "TestFindJobFields",
    "TestFindJobs",
    "TestGuard",
    "TestHistory",
    "TestHookSignals",
    "TestInterrupt",
    "TestIsolation",
    "TestJobMessages",
    "TestJobState",
    "TestJobStatus",
    "TestLeaseKeeping",
    "TestLeases",
    "TestMarks",
    "TestMonitoring",
    "TestOutbox",
    "TestPaging",
    "TestPatterns",
    "TestPublishing",
    "TestQuery",
    "TestRetry",
    "TestRouting",
    "TestRuns",
    "TestScoutRoles",
    "TestScrub",
    "TestServices",
    "TestSession",
    "TestSettings",
    "TestStats",
    "TestStoreInspection",
    "TestStreamInspection",
    "TestStreams",
    "TestSubSession",
    "TestSubscriptions",
    "TestSymbols",
    "TestThrottle",
    "TestTimeHooks",
    "TestTimers",
    "TestTransactions",
    "TestTrimming",
    "TestWholeCommit",
    "TestWorkLists",
    "backend",
    "names",
    "open_backend",
    "orders",
    "peer",
    "peer_store",
    "peer_stream",
    "peer_sub",
    "search",
    "store",
    "stream",
    "sub",
]
