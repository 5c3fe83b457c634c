"""``sink replay``: read a stretch of a topic again into its table, beside the running sink."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from sink.cli import arguments, connections, options, replay_jobs, wiring
from sink.cli.bounds import bound, partitions
from sink.cli.manners import give_way
from sink.cli.replay_asked import Asked
from sink.cli.replayed import show, show_discarded, show_list
from sink.cli.stopping import stop_on_signals
from sink.db import replays
from sink.db.contents import reading
from sink.errors import ConfigError

app = typer.Typer(add_completion=False)

Words = list[str] | None


@app.command()
def replay(
    dataset: Annotated[
        str | None,
        typer.Argument(help="Dataset; --list alone shows the replays of all.", autocompletion=options.completed),
    ] = None,
    *,
    start: Annotated[
        Words, typer.Option("--from", help="Where to begin: 3:120000 (partition 3), 2h, yesterday, a time, beginning.")
    ] = None,
    end: Annotated[Words, typer.Option("--to", help="Where to end, exclusive; default: the log's end now.")] = None,
    numbers: Annotated[Words, typer.Option("--partitions", help="Only these, such as 0,3.")] = None,
    symbols: Annotated[Words, typer.Option("--symbols", help="Only these, such as BTCUSDT,ETHUSDT.")] = None,
    max_rate: Annotated[str, typer.Option(help="At most so many messages a second, such as 5000/s.")] = "max",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would change.")] = False,
    samples: Annotated[int, typer.Option(min=0, max=1000, help="Rows of each kind that a dry run shows.")] = 5,
    resume: Annotated[str | None, typer.Option(metavar="ID", help="Go on with a replay that was interrupted.")] = None,
    discard: Annotated[
        str | None, typer.Option(metavar="ID", help="Forget a replay that was interrupted; what it wrote stays.")
    ] = None,
    list_replays: Annotated[bool, typer.Option("--list", help="Show the replays that the database knows.")] = False,
    json_output: options.AsJson = False,
    file: options.SettingsFile = None,
) -> None:
    """Read a stretch of a topic again into its table, outside the consumer group: nothing regresses, nothing doubles.

    The running sink goes on undisturbed. Exits 6 where it stops before its end, and names the command that goes on.

    For example:

    - `sink replay trades --from yesterday --to today --dry-run`
    - `sink replay trades --from 3:120000 --to 3:130000`
    - `sink replay trades --from beginning --symbols BTCUSDT --max-rate 5000/s`
    """
    settings = options.settings_from(file)
    if list_replays:
        chosen = connections.chosen([] if dataset is None else [dataset])
        with reading(connections.database_url(settings)) as session:
            known = replays.listed(session, [wiring.source_of(one, settings).sink_id for one in chosen])
        show_list(known, json_output=json_output)
        return
    if dataset is None:
        raise ConfigError("name the dataset to be replayed, for example: sink replay trades --from 2h")
    (chosen_one,) = connections.chosen([dataset])
    if discard is not None:
        if start or end or numbers or symbols or dry_run or resume:
            raise ConfigError("--discard forgets a replay: give it no range, no --dry-run and no --resume")
        with reading(connections.database_url(settings)) as session:
            sink_id = wiring.source_of(chosen_one, settings).sink_id
            show_discarded(replays.discard(session, replay_id=discard, sink_id=sink_id), json_output=json_output)
        return
    now = datetime.now(UTC)
    asked = Asked(
        dataset=chosen_one,
        start=bound(start or [], option="--from", now=now),
        end=bound(end or [], option="--to", now=now),
        partitions=partitions(numbers or []),
        symbols=sorted({name for text in symbols or [] for name in arguments.names(text)}),
        max_rate=arguments.rate(max_rate),
        samples=samples if dry_run else None,
        file=file,
    )
    if resume is not None and (start or end or numbers or symbols or dry_run):
        raise ConfigError("--resume goes on with the range that the replay has: give it no other, and no --dry-run")
    if resume is None and not start:
        raise ConfigError("say where to begin, for example --from 2h, --from yesterday or --from beginning")
    give_way()
    document = replay_jobs.run(asked, settings, resume=resume, now=now, stop=stop_on_signals(settings))
    if json_output:
        typer.echo(json.dumps(document, indent=2))
    else:
        show(document)
