"""``sink config``: what is in force, redacted, with the source of each value."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sink.cli import options
from sink.datasets import DATASETS
from sink.settings import InForce, explain, reference_page

app = typer.Typer(add_completion=False)


@app.command()
def config(
    *,
    file: Annotated[
        Path | None, typer.Option("--file", help="Check this TOML file instead of SINK_CONFIG or sink.toml.")
    ] = None,
    as_json: options.AsJson = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference of all settings, docs/configuration.md.")
    ] = False,
) -> None:
    """Check the settings and print what is in force, redacted, with the source of each value.

    For example:

    - `sink config`
    - `sink config --markdown`
    """
    if as_markdown:
        typer.echo(reference_page(), nl=False)
        return
    rows = explain(config=file, datasets=DATASETS)
    console = Console()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
    elif console.is_terminal:
        console.print(_table(rows))
    else:
        for row in rows:
            typer.echo(f"{row.variable}={_text(row)}  # {row.source}")


def _table(rows: list[InForce]) -> Table:
    table = Table("setting", "value", "source", title="Settings in force")
    for row in rows:
        style = "dim" if row.source == "default" else ""
        table.add_row(Text(row.variable), Text(_text(row), overflow="fold"), Text(row.source), style=style)
    return table


def _text(row: InForce) -> str:
    return "" if row.value is None else str(row.value)
