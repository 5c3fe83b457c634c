"""``sink quarantine``: the messages that could not become rows: look, try again, give up, hand on."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sink.avro.schemas import columns_of, known_schemas, shipped_schema
from sink.avro.writers import SchemaResolver
from sink.cli import connections, options, wiring
from sink.cli import quarantine_asked as asked
from sink.cli import quarantine_shown as shown
from sink.cli.quarantine_asked import Filters
from sink.cli.quarantine_changes import drop, retry
from sink.cli.quarantine_export import export
from sink.db import quarantined
from sink.db.contents import reading
from sink.db.quarantined import State
from sink.errors import ConfigError
from sink.quarantine.examine import Examiner
from sink.quarantine.letters import plain, plain_entry
from sink.settings import Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Messages that could not become rows: look at them, try them again after a fix, hand them on, give them up.",
)
app.command()(retry)
app.command()(drop)
app.command()(export)

_OPEN: frozenset[State] = frozenset({"open"})
_ALL: frozenset[State] = frozenset({"open", "replayed", "dropped"})


@app.command("list")
def list_(
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="DATASET", help="Dataset; without one the counts of all.", autocompletion=options.completed
        ),
    ] = None,
    *,
    summary: Annotated[bool, typer.Option("--summary", help="Count by reason instead of naming each.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Messages of one page.")] = 50,
    after: Annotated[
        str | None, typer.Option(metavar="P:OFFSET", help="Go on behind this one, as the page before says.")
    ] = None,
    faults: asked.Faults = None,
    schemas: asked.SchemaIds = None,
    partitions: asked.Numbers = None,
    start: asked.From = None,
    end: asked.To = None,
    since: asked.Since = None,
    until: asked.Until = None,
    states: asked.States = None,
    json_output: options.AsJson = False,
    file: options.SettingsFile = None,
) -> None:
    """Name kept messages by partition and offset; without --state those that wait for somebody.

    For example:

    - `sink quarantine list`
    - `sink quarantine list trades --fault decode --since 2h`
    - `sink quarantine list trades --summary --state all --json`
    """
    filters = Filters(
        faults=faults,
        schemas=schemas,
        partitions=partitions,
        start=start,
        end=end,
        since=since,
        until=until,
        states=states,
    )
    settings = options.settings_from(file)
    if summary or dataset is None:
        if after is not None:
            raise ConfigError("--after goes through the messages of one dataset; leave it out of a summary")
        counted = {name.name: _counts(name.name, filters, settings) for name in connections.chosen(_named(dataset))}
        shown.show_counts(counted, json_output=json_output)
        return
    meant = asked.ask(dataset, filters, settings, _OPEN)
    with reading(meant.url) as session:
        behind = None if after is None else asked.place(after)
        found = quarantined.entries(session, meant.wanted, limit=limit + 1, after=behind)
    page = found[:limit]
    following = f"{page[-1].partition}:{page[-1].offset}" if len(found) > limit else None
    if json_output:
        document = {"messages": [plain_entry(entry, dataset) for entry in page], "next": following}
        typer.echo(json.dumps(document, indent=2))
    else:
        shown.show_page(page, following)


@app.command()
def show(
    dataset: asked.DatasetName,
    place: Annotated[str, typer.Argument(metavar="P:OFFSET", help="Partition and offset, such as 3:120000.")],
    *,
    json_output: options.AsJson = False,
    file: options.SettingsFile = None,
) -> None:
    """Show one kept message: what is wrong, its cure, its fields as far as they can be read, its bytes.

    The bytes at fault are marked. It also says whether the message would pass the sink's checks today.

    For example:

    - `sink quarantine show trades 3:120000`
    - `sink quarantine show trades 3:120000 --json`
    """
    meant = asked.ask(dataset, Filters(places=[place]), options.settings_from(file), _ALL)
    settings = meant.settings
    with reading(meant.url) as session:
        found = quarantined.kept(session, meant.source.sink_id, meant.source.topic, meant.wanted.places)
        now = quarantined.moment(session)
    with connections.registry(settings, url=None) as registry:
        examiner = Examiner(
            dataset=meant.dataset,
            columns=columns_of(shipped_schema(dataset, settings.schemas)),
            resolver=SchemaResolver(registry, known_schemas(settings.schemas)),
            decoder=wiring.decoder_for(meant.dataset, settings, registry),
            clock=settings.clock_of(dataset),
            topic=meant.source.topic,
        )
        latest = now + wiring.limits_of(settings).future_tolerance
        examined = examiner.examine(found[0], now=now, latest=latest)
    if json_output:
        document = plain(found[0], dataset) | shown.examined_document(found[0], examined)
        typer.echo(json.dumps(document, indent=2))
    else:
        shown.show_message(found[0], examined)


def _named(dataset: str | None) -> list[str]:
    return [] if dataset is None else [dataset]


def _counts(dataset: str, filters: Filters, settings: Settings) -> list[quarantined.Count]:
    meant = asked.ask(dataset, filters, settings, _ALL)
    with reading(meant.url) as session:
        return quarantined.counts(session, meant.wanted)
