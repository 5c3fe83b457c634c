"""The ``sink`` command: one file a command, each building what it needs from the settings."""

from __future__ import annotations

import typer

from sink.cli import stack, topics
from sink.cli.config import config
from sink.cli.produce import produce

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(config)
app.command()(produce)
app.add_typer(stack.app, name="stack")
app.add_typer(topics.app, name="topics")


@app.callback()
def sink() -> None:
    """Kafka market topics into TimescaleDB hypertables: at-least-once delivery, exactly-once data."""
