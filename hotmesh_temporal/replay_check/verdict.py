"""What became of one history."""

from __future__ import annotations

from dataclasses import dataclass

from hotmesh_temporal.histories import Run


@dataclass(frozen=True)
class Verdict:
    """How a history replays.

    Args:
        run: Whose history it is.
        problem: "" if it replays; "different" if the code does something else than it did, "error" if the code fails,
            "unknown type" if there is no code for it.
        event_id: At which event; 0 if that is not known.
        event: What the history has there, such as "ActivityTaskScheduled charge".
        did: What the code did in its place, such as "TimerStarted".
        where: The line of code that did it, ``file:line``; "" if none did.
        message: What the SDK says.
    """

    run: Run
    problem: str = ""
    event_id: int = 0
    event: str = ""
    did: str = ""
    where: str = ""
    message: str = ""

    @property
    def kind(self) -> tuple[str, str, str, str, str]:
        """Equal for runs that break in the same way."""
        return (self.run.workflow_type, self.problem, self.event, self.did or self.message, self.where)

    @property
    def text(self) -> str:
        """What is wrong, in one line."""
        at = f"at event {self.event_id} " if self.event_id else ""
        if self.problem == "unknown type":
            return f"no workflow class for the type {self.run.workflow_type!r}"
        if self.problem == "error":
            return f"{at}the code fails: {self.message}"
        if self.event and self.did:
            return f"{at}the history has {self.event}, the code does {self.did}"
        return f"{at}{self.message}"
