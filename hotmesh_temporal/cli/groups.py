"""A command whose help shows its options in groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., object])


class _GroupedOption(click.Option):
    """An option that is shown under a heading of its own."""

    def __init__(self, *arguments: Any, heading: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.heading = heading


def option(heading: str, *names: str, **settings: Any) -> Callable[[_Command], _Command]:
    """Like `click.option`, shown under a heading."""
    return click.option(*names, cls=_GroupedOption, heading=heading, **settings)


class GroupedCommand(click.Command):
    """Shows the options without a heading first, then each group in the order of its first option."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See base class."""
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                heading = parameter.heading if isinstance(parameter, _GroupedOption) else "Options"
                groups.setdefault(heading, []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)
