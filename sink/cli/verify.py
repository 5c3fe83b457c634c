"""``sink verify``: prove that every offset is accounted for, and that the table holds what the log says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sink.cli import arguments, connections, options, verifying
from sink.cli.bounds import bound, partitions
from sink.cli.manners import give_way
from sink.cli.stopping import stop_on_signals
from sink.cli.verified import show
from sink.cli.verify_asked import Asked
from sink.errors import Differences

app = typer.Typer(add_completion=False)

Words = list[str] | None


@app.command()
def verify(
    dataset: Annotated[str, typer.Argument(help="Dataset to be verified.", autocompletion=options.completed)],
    *,
    start: Annotated[
        Words, typer.Option("--from", help="Where to begin: 3:120000 (partition 3), 2h, yesterday, a time, beginning.")
    ] = None,
    end: Annotated[Words, typer.Option("--to", help="Where to end, exclusive; default: where the sink stands.")] = None,
    numbers: Annotated[Words, typer.Option("--partitions", help="Only these, such as 0,3.")] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read the topic again and compare every row and column of the table.")
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Decode as the sink itself does instead of with the reference decoder.")
    ] = False,
    max_rate: Annotated[str, typer.Option(help="Read at most so many messages a second, such as 5000/s.")] = "max",
    samples: Annotated[int, typer.Option(min=0, max=1000, help="Rows of each kind of difference to show.")] = 5,
    json_output: options.AsJson = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", hidden=True, help="Draw the terminal's picture into this file as well.")
    ] = None,
    file: options.SettingsFile = None,
) -> None:
    """Prove that every offset is accounted for; with --deep, that every row is what the newest message says.

    Writes nothing, joins no group, and works beside the running sink. Exits 7 where something is wrong, and names the
    replay that mends it.

    For example:

    - `sink verify trades`
    - `sink verify trades --deep --from yesterday --to today`
    - `sink verify candles_1m --deep --partitions 0,3 --json`
    """
    settings = options.settings_from(file)
    (chosen,) = connections.chosen([dataset])
    now = datetime.now(UTC)
    asked = Asked(
        dataset=chosen,
        start=bound(start or [], option="--from", now=now),
        end=bound(end or [], option="--to", now=now),
        partitions=partitions(numbers or []),
        deep=deep,
        fast=fast,
        max_rate=arguments.rate(max_rate),
        samples=samples,
        file=file,
    )
    give_way()
    document = verifying.run(asked, settings, stop=stop_on_signals(settings))
    if json_output:
        typer.echo(json.dumps(document, indent=2))
    else:
        show(document, picture=svg)
    if not document["clean"]:
        raise Differences
