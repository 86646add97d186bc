"""A lamp that can be asked, told and changed while it runs."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

QUEUE = "message-passing-introduction"
COLORS = ("white", "red", "green")


@activity.defn
async def mix(color: str) -> list[int]:
    """The parts of red, green and blue."""
    parts = {"white": [255, 255, 255], "red": [255, 0, 0], "green": [0, 255, 0]}
    if color not in parts:
        raise ApplicationError(f"nobody knows how to mix {color}", type="UnknownColor", non_retryable=True)
    return parts[color]


@workflow.defn
class LampWorkflow:
    """Is on until someone allows it to go out."""

    def __init__(self) -> None:
        self.color = "white"
        self.may_go_out = False
        self.by = ""
        self.changing = asyncio.Lock()

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.may_go_out and workflow.all_handlers_finished())
        return f"{self.color}, put out by {self.by}"

    @workflow.query
    def colors(self, with_white: bool) -> list[str]:
        """What there is to choose from."""
        return [color for color in COLORS if with_white or color != "white"]

    @workflow.query(name="now")
    def color_now(self) -> str:
        """The color of the lamp."""
        return self.color

    @workflow.signal
    def put_out(self, by: str) -> None:
        """Let it go out."""
        self.by = by
        self.may_go_out = True

    @workflow.update
    def paint(self, color: str) -> str:
        """Change the color at once; returns the one before."""
        before, self.color = self.color, color
        return before

    @paint.validator
    def check_color(self, color: str) -> None:
        """Refuse what there is not."""
        if color not in COLORS:
            raise ValueError(f"there is no {color}")

    @workflow.update
    async def paint_exactly(self, color: str) -> list[int]:
        """Change the color with the help of an activity, one change at a time; returns its parts."""
        async with self.changing:
            parts = await workflow.execute_activity(mix, color, start_to_close_timeout=timedelta(seconds=30))
            self.color = color
            return parts
