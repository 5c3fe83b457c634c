"""``sink metrics``: every metric of a running sink, with its type, labels and meaning."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sink.cli import options
from sink.http.reference import explained, page

app = typer.Typer(add_completion=False)


@app.command()
def metrics(
    *,
    as_json: options.AsJson = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference of all metrics, docs/metrics.md.")
    ] = False,
) -> None:
    """List every metric that `sink run` gives at /metrics, with its type, labels and meaning.

    It asks no sink; the values are where `SINK_HTTP__PORT` says.

    For example:

    - `sink metrics`
    - `sink metrics --markdown`
    """
    if as_markdown:
        typer.echo(page(), nl=False)
    elif as_json:
        typer.echo(json.dumps([asdict(one) for one in explained()], indent=2))
    else:
        table = Table("metric", "type", "labels", "meaning")
        for one in explained():
            table.add_row(one.name, one.type, ", ".join(one.labels), Text(one.meaning))
        Console().print(table)
