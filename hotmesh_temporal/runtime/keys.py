"""Names of stored things. Job ids start with a letter for their kind, so that no two kinds can clash."""

from __future__ import annotations

import uuid
from typing import NamedTuple

import msgspec

from ..contracts.types import STREAM_GROUP_ENGINE, STREAM_GROUP_WORKER

APP_ID = "temporal"
"""The HotMesh app under which everything of the engine is stored."""

HOTMESH_NAMESPACE = "hmsh"
"""HotMesh's namespace (not to be confused with Temporal's, which are part of the ids below)."""


def namespace_id(namespace: str) -> str:
    """The id of a namespace that is there from the start; others get a random one."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"hotmesh-temporal:{namespace}"))


def escaped(namespace: str) -> str:
    """A namespace as part of a key: without a slash, so that what follows it can be told from it."""
    if "/" not in namespace and "%" not in namespace:
        return namespace
    return namespace.replace("%", "%25").replace("/", "%2F")


def unescaped(part: str) -> str:
    return part.replace("%2F", "/").replace("%25", "%") if "%" in part else part


def namespace_job(namespace: str) -> str:
    """Job id of the record of a namespace."""
    return f"n/{escaped(namespace)}"


def namespace_of_job(job_id: str) -> str | None:
    """The namespace whose record it is; None for any other job id."""
    return unescaped(job_id[2:]) if job_id.startswith("n/") else None


def batch_job(namespace: str, batch_id: str) -> str:
    """Job id of a batch operation."""
    return f"b/{escaped(namespace)}/{batch_id}"


def batch_of_job(job_id: str) -> tuple[str, str]:
    """``(namespace, id)`` of the batch operation of a job id that `batch_job` made."""
    _, namespace, batch_id = job_id.split("/", 2)
    return unescaped(namespace), batch_id


def schedule_job(namespace: str, schedule_id: str) -> str:
    """Job id of a schedule."""
    return f"s/{escaped(namespace)}/{schedule_id}"


def schedule_of_job(job_id: str) -> tuple[str, str] | None:
    """``(namespace, id)`` of the schedule of a job id that `schedule_job` made; None for any other job id."""
    if not job_id.startswith("s/"):
        return None
    _, namespace, schedule_id = job_id.split("/", 2)
    return unescaped(namespace), schedule_id


def schedules_of_namespace(namespace: str) -> str:
    """Pattern (see ``find_jobs``) of the job ids of all schedules of a namespace."""
    return _literal(f"s/{escaped(namespace)}/") + "*"


def queue_configs_job(namespace: str) -> str:
    """Job id of the configurations of a namespace's task queues."""
    return f"q/{escaped(namespace)}"


def moving_job(namespace: str) -> str:
    """Job id of the note that a namespace is being moved here."""
    return f"m/{escaped(namespace)}"


def upkeep_job(kind: str, namespace: str) -> str:
    """Job id that the time hooks of a namespace's upkeep belong to."""
    return f"u/{kind}/{escaped(namespace)}"


def runs_of_namespace(namespace: str) -> str:
    """Pattern (see ``find_jobs``) of the job ids of all runs of a namespace."""
    return _literal(f"r/{escaped(namespace)}/") + "*"


def batches_of_namespace(namespace: str) -> str:
    """The same of its batch operations."""
    return _literal(f"b/{escaped(namespace)}/") + "*"


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("*", "\\*")


class RunKey(NamedTuple):
    """Which run."""

    namespace: str
    workflow_id: str
    run_id: str

    @property
    def job_id(self) -> str:
        """Its job id. The run id comes first because it holds no slash, so that no workflow id can imitate another."""
        return f"r/{escaped(self.namespace)}/{self.run_id}/{self.workflow_id}"


def run_key(job_id: str) -> RunKey:
    """The run of a job id that `RunKey.job_id` made."""
    _, namespace, run_id, workflow_id = job_id.split("/", 3)
    return RunKey(unescaped(namespace), workflow_id, run_id)


def pointer_id(namespace: str, workflow_id: str) -> str:
    """Job id of the pointer to the current run of a workflow id."""
    return f"c/{escaped(namespace)}/{workflow_id}"


class QueueKey(NamedTuple):
    """Which task queue: of workflow or activity tasks, normal or sticky (a sticky one has a name of its own)."""

    namespace: str
    activity: bool
    name: str

    @property
    def topic(self) -> str:
        """Topic of the stream."""
        if self == ENGINE_QUEUE:
            return "e"
        return f"{'a' if self.activity else 'w'}/{escaped(self.namespace)}/{self.name}"

    @property
    def group(self) -> str:
        """Who consumes the stream."""
        return STREAM_GROUP_ENGINE if self == ENGINE_QUEUE else STREAM_GROUP_WORKER


def queue_of_topic(topic: str) -> QueueKey | None:
    """The task queue of a topic that `QueueKey.topic` made; None for any other topic."""
    letter, _, rest = topic.partition("/")
    namespace, _, name = rest.partition("/")
    if letter not in ("a", "w") or not name:
        return None
    return QueueKey(unescaped(namespace), letter == "a", name)


ENGINE_QUEUE = QueueKey("", False, "")
"""The engine's own work: what runs do to each other."""


class TaskMessage(msgspec.Struct, omit_defaults=True):
    """What a task queue holds: which task of which run, or (``query``) a question to the workers of the queue.

    ``work`` (a value of `Work`) in the engine's own queue: what the run has to do to another one.
    """

    job: str
    event: int = 0
    stamp: int = 0
    work: str = ""
    query: str = ""
    asker: str = ""
    request: bytes = b""
    expires_at_ms: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(TaskMessage)


def encode_task(message: TaskMessage) -> str:
    """The message's text."""
    return _encoder.encode(message).decode()


def decode_task(text: str) -> TaskMessage:
    """The message of a text. Raises ``msgspec.DecodeError`` for anything else."""
    return _decoder.decode(text)
