"""What is said in a conversation, and what a model may answer. Plain data, kept in histories."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Message:
    """``role``: user, assistant, or tool (what a tool gave)."""

    role: str
    text: str


@dataclass
class ToolCall:
    """The model wants a tool to be used."""

    tool: str
    arguments: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return f"{self.tool}({', '.join(f'{name}={value}' for name, value in sorted(self.arguments.items()))})"


@dataclass
class Answer:
    """Either something to say, or a tool to call first."""

    text: str = ""
    call: ToolCall | None = None
