"""The ``sink`` command: one file a command, each building what it needs from the settings."""

from __future__ import annotations

import typer

from sink.cli import stack, topics
from sink.cli.config import config
from sink.cli.demo import demo
from sink.cli.migrate import migrate
from sink.cli.produce import produce
from sink.cli.run import run
from sink.cli.schemas import schemas

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(demo)
app.command()(run)
app.command()(produce)
app.command()(migrate)
app.command()(config)
app.add_typer(topics.app, name="topics")
app.add_typer(schemas, name="schemas")
app.add_typer(stack.app, name="stack")


@app.callback()
def sink() -> None:
    """Kafka market topics into TimescaleDB hypertables: at-least-once delivery, exactly-once data."""
