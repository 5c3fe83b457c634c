"""The ``sink`` command: one file a command, each building what it needs from the settings."""

from __future__ import annotations

import typer

from sink.cli.config import config
from sink.cli.produce import produce
from sink.cli.topics import app as topics

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(config)
app.command()(produce)
app.add_typer(topics, name="topics")


@app.callback()
def sink() -> None:
    """Kafka market topics into TimescaleDB hypertables: at-least-once delivery, exactly-once data."""
