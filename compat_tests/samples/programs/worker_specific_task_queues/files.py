"""A workflow whose steps work on a file of one host."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow

SHARED = "files"


class FileActivities:
    """The activities of one host: they see its files only."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.files: dict[str, str] = {}

    @activity.defn
    async def choose_host(self) -> str:
        """The queue of the host that took this task."""
        return self.queue

    @activity.defn
    async def download(self, name: str) -> int:
        """Put a file onto this host; its size."""
        self.files[name] = f"content of {name}"
        return len(self.files[name])

    @activity.defn
    async def read(self, name: str) -> str:
        """What is in a file of this host."""
        return self.files[name].upper()

    @activity.defn
    async def remove(self, name: str) -> int:
        """Remove a file; how many are left."""
        del self.files[name]
        return len(self.files)


@workflow.defn
class ReadFile:
    """Downloads, reads and removes a file, all on one host."""

    @workflow.run
    async def run(self, name: str) -> str:
        """What is in the file."""
        limit = timedelta(seconds=60)
        host = await workflow.execute_activity_method(FileActivities.choose_host, start_to_close_timeout=limit)
        size = await workflow.execute_activity_method(
            FileActivities.download,
            name,
            task_queue=host,
            schedule_to_start_timeout=limit,
            start_to_close_timeout=limit,
        )
        text = await workflow.execute_activity_method(
            FileActivities.read, name, task_queue=host, start_to_close_timeout=limit
        )
        left = await workflow.execute_activity_method(
            FileActivities.remove, name, task_queue=host, start_to_close_timeout=limit
        )
        return f"{text} ({size} characters, {left} files left)"
