"""The ``sink`` command: one file a command, each building what it needs from the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = (
    "demo",
    "run",
    "status",
    "replay",
    "rewind",
    "verify",
    "trace",
    "quarantine",
    "offsets",
    "produce",
    "migrate",
    "check",
    "config",
    "topics",
    "schemas",
    "stack",
)
"""Each is a module of this package, whose ``app`` is the command."""


class _Modules(Mapping[str, Any]):
    """The commands by name, imported when asked for: `sink stack` needs no data frames, `sink config` no Kafka."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        app: typer.Typer = import_module(f"{__name__}.{name}").app
        app.rich_markup_mode = "markdown"  # the help of commands is Markdown, in the terminal as in docs/cli.md
        command = typer.main.get_command(app)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Commands(TyperGroup):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Modules()  # type: ignore[assignment] # nothing is ever added to it


app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def sink() -> None:
    """Kafka market topics into TimescaleDB hypertables: at-least-once delivery, exactly-once data."""
