"""The ``sink`` command: one file a command, each building what it needs from the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "demo": "Start the servers, send real exchange data and a simulated market through Kafka, and show what arrived.",
    "run": "Read the market topics into TimescaleDB until SIGTERM or Ctrl-C; exactly once, whatever happens.",
    "status": "Show live, per dataset and partition: owner, position, lag, rate, freshness, quarantine, size; Ctrl-C"
    " ends it.",
    "replay": "Read a stretch of a topic again into its table, outside the consumer group: nothing regresses, nothing"
    " doubles.",
    "rewind": "Have the sink itself read on from elsewhere; running replicas notice within seconds, stopped ones at"
    " their start.",
    "verify": "Prove that every offset is accounted for; with --deep, that every row is what the newest message says.",
    "trace": "Tell from which message a row came, under which flush and owner, and show the message if Kafka still has"
    " it.",
    "quarantine": "Messages that could not become rows: look at them, try them again after a fix, hand them on, give"
    " them up.",
    "offsets": "Look at positions, take them elsewhere, take them over from a consumer group.",
    "produce": "Produce public exchange dumps (klines, trades, aggTrades, fundingRate, metrics) or a simulated market.",
    "migrate": "Make or update the tables: run this before the first start and with each new version.",
    "check": "Look at broker, registry and database as `sink run` would use them, and name everything wrong with its"
    " cure.",
    "config": "Check the settings and print what is in force, redacted, with the source of each value.",
    "metrics": "List every metric that `sink run` gives at /metrics, with its type, labels and meaning.",
    "topics": "Check or create the market topics, one per dataset.",
    "schemas": "Check and register the shipped Avro schemas.",
    "stack": "Development servers: a real broker, schema registry and database.",
}
"""Each is a module of this package, whose ``app`` is the command; with the first line of its help, so that
`sink --help` imports none of them."""


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

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the commands with what COMMANDS says of them."""
        listed = TyperGroup(
            name=self.name,
            help=self.help,
            params=self.params,
            commands={name: TyperCommand(name, help=line) for name, line in COMMANDS.items()},
            rich_markup_mode=self.rich_markup_mode,
        )
        listed.format_help(ctx, formatter)


app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def sink() -> None:
    """Kafka market topics into TimescaleDB hypertables: at-least-once delivery, exactly-once data."""
