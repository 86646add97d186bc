"""The same workflow, as it was changed over time."""

from datetime import timedelta

from temporalio import activity, workflow

PATIENCE = timedelta(seconds=30)


@activity.defn
async def send(what: str) -> str:
    """A letter, or something else."""
    return f"sent a {what}"


class Base:
    """What did not change."""

    def __init__(self) -> None:
        self.go = False
        self.sent = ""

    async def wait(self) -> str:
        """Until it may end."""
        await workflow.wait_condition(lambda: self.go)
        return self.sent

    @workflow.signal
    def end(self) -> None:
        """Let it end."""
        self.go = True

    @workflow.query
    def result(self) -> str:
        """What was sent so far."""
        return self.sent


@workflow.defn(name="Mail")
class MailV1(Base):
    """Sends letters."""

    @workflow.run
    async def run(self) -> str:
        self.sent = await workflow.execute_activity(send, "letter", start_to_close_timeout=PATIENCE)
        return await self.wait()


@workflow.defn(name="Mail")
class MailV2(Base):
    """Sends e-mails, but runs that began with a letter go on as they were."""

    @workflow.run
    async def run(self) -> str:
        kind = "message" if workflow.patched("messages") else "letter"
        self.sent = await workflow.execute_activity(send, kind, start_to_close_timeout=PATIENCE)
        return await self.wait()


@workflow.defn(name="Mail")
class MailV3(Base):
    """No run of the first version is left."""

    @workflow.run
    async def run(self) -> str:
        workflow.deprecate_patch("messages")
        self.sent = await workflow.execute_activity(send, "message", start_to_close_timeout=PATIENCE)
        return await self.wait()


@workflow.defn(name="Mail")
class MailV4(Base):
    """No run of the second version is left."""

    @workflow.run
    async def run(self) -> str:
        self.sent = await workflow.execute_activity(send, "message", start_to_close_timeout=PATIENCE)
        return await self.wait()
