"""``sink offsets``: look at positions, take them elsewhere, take them over from a consumer group."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sink.cli import connections, offsets_file, options, wiring
from sink.cli.bounds import partitions as partition_numbers
from sink.cli.offsets_import import Import, adopt, from_file, from_group, planned
from sink.cli.offsets_shown import Shown, imported, show_parts, show_steps, shown_document
from sink.cli.replayed import say
from sink.datasets import Dataset
from sink.db import standing
from sink.db.contents import reading
from sink.errors import ConfigError, DefinitionError
from sink.inspection.record_times import record_times
from sink.inspection.status import KafkaView, parts_of
from sink.inspection.status_asked import ask_kafka
from sink.kafka.standing import Brokers
from sink.settings import Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Look at positions, take them elsewhere, take them over from a consumer group.",
)

TIMEOUT = 10.0
"""Seconds that one answer of the brokers may take."""
_PATIENCE = 10.0
"""Seconds in which the messages at the positions are to come."""


class Form(Enum):
    """What an export is for."""

    JSON = "json"
    CSV = "csv"
    CONNECT = "connect"


@app.command()
def show(
    names: options.Names = None,
    *,
    times: Annotated[
        bool, typer.Option("--times", help="Read one message of each partition: when was the next one recorded?")
    ] = False,
    as_json: options.AsJson = False,
    file: options.SettingsFile = None,
) -> None:
    """Show where each partition stands: our position, Kafka's commit beside it, the log's ends, lag, owner; read-only.

    For example:

    - `sink offsets show`
    - `sink offsets show trades --times`
    - `sink offsets show --json`
    """
    settings = options.settings_from(file)
    chosen = connections.chosen(names or [])
    sources = {dataset.name: wiring.source_of(dataset, settings) for dataset in chosen}
    told = ask_kafka(Brokers(connections.kafka_options(settings, servers=None), timeout=TIMEOUT), sources)
    found: list[Shown] = []
    with reading(connections.database_url(settings)) as session:
        for name, source in sources.items():
            progress = standing.progress(session, sink_id=source.sink_id, topic=source.topic)
            view = told.views[name]
            for note in view.notes:
                say(f"{name}: {note}")
            topic_id = None if view.topic is None else view.topic.topic_id
            found.append(Shown(dataset=name, source=source, topic_id=topic_id, parts=parts_of(source, view, progress)))
    if times:
        found = [one.at(_recorded(one, told.views[one.dataset], settings)) for one in found]
    if as_json:
        typer.echo(json.dumps(shown_document(told.cluster_id, found), indent=2))
    else:
        show_parts(found, times=times)


@app.command()
def export(
    names: options.Names = None,
    *,
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="json for sink offsets import; csv for kafka-consumer-groups --reset-offsets --from-file; connect for"
            " Kafka Connect's PATCH /connectors/NAME/offsets.",
        ),
    ] = Form.JSON,
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file instead of stdout.")] = None,
    file: options.SettingsFile = None,
) -> None:
    """Write the positions to a file: to keep, to import elsewhere, or to give them back to another consumer; read-only.

    For example:

    - `sink offsets export --output offsets.json`
    - `sink offsets export trades --format csv`
    """
    settings = options.settings_from(file)
    exported = _exported(connections.chosen(names or []), settings)
    if form is Form.JSON:
        text = exported.model_dump_json(indent=2)
    else:
        text = (offsets_file.as_csv if form is Form.CSV else offsets_file.as_connect)(exported.sinks)
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--output: {output} cannot be written: {error.strerror}") from error
    say(f"{sum(len(one.positions) for one in exported.sinks)} positions written to {output}")


@app.command("import")
def import_offsets(
    names: options.Names = None,
    *,
    group: Annotated[
        str | None, typer.Option("--from-group", help="Consumer group whose commits are taken over: connect-NAME.")
    ] = None,
    source_file: Annotated[
        Path | None, typer.Option("--from-file", help="File that sink offsets export has written.")
    ] = None,
    numbers: Annotated[list[str] | None, typer.Option("--partitions", help="Only these, such as 0,3.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Move positions that there are already.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Take over from a group that still has members.")] = False,
    yes: options.Yes = False,
    as_json: options.AsJsonUnasked = False,
    file: options.SettingsFile = None,
) -> None:
    """Begin where another consumer group (Kafka Connect's connect-NAME, say) or an exported file stands.

    Shows before and after and asks. Refuses a group that still reads, another cluster or topic, offsets that the log
    has not, and to move positions that there are. What lies before is entered in the ledger as skipped, with origin.

    For example:

    - `sink offsets import trades --from-group connect-trades-sink`
    - `sink offsets import --from-file offsets.json --overwrite --yes`
    """
    settings = options.settings_from(file)
    if (group is None) == (source_file is None):
        raise ConfigError("say whose offsets are meant: either --from-group GROUP or --from-file FILE")
    brokers = Brokers(connections.kafka_options(settings, servers=None), timeout=TIMEOUT)
    chosen, only = connections.chosen(names or []), partition_numbers(numbers or [])
    if group is not None:
        given = from_group(group, [wiring.source_of(one, settings) for one in chosen], brokers, force=force)
    else:
        given = from_file(Path(source_file or ""), brokers, [wiring.source_of(one, settings) for one in chosen])
    asked: list[Dataset] = []
    for dataset in chosen:
        topic = wiring.source_of(dataset, settings).topic
        if topic in given.offsets:
            asked.append(dataset)
        elif names:
            raise ConfigError(f"{given.origin} has no offsets of {topic}")
        else:
            say(f"{dataset.name}: {given.origin} has no offsets of {topic}; left as it is")
    imports: list[Import] = []
    try:
        for dataset in asked:
            imports.append(planned(dataset, settings, given, brokers, only=only, overwrite=overwrite))  # noqa: PERF401 (those made so far must be closed where one fails)
        if any(one.changes for one in imports) and not yes:
            options.confirm(
                "Set these positions?",
                act="set the positions",
                undone="nothing was changed",
                show=lambda: show_steps(imports),
                as_json=as_json,
            )
        adopt(imports, given)
    finally:
        for one in imports:
            one.adopter.close()
    _tell(imports, given.origin, as_json=as_json)


def _tell(imports: Sequence[Import], origin: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(imported(imports, origin), indent=2))
    elif any(one.changes for one in imports):
        show_steps(imports)
        say("done; a running sink reads on from there within seconds, a stopped one at its start")
    else:
        say("every position stands there already; nothing was changed")


def _recorded(one: Shown, view: KafkaView, settings: Settings) -> Mapping[int, datetime]:
    """Read when the messages were recorded at which the positions stand."""
    waiting = {
        part.partition: part.position
        for part in one.parts
        if part.position is not None and part.lag and part.position >= (part.log_start or 0)
    }
    if view.topic is None or not waiting:
        return {}
    with wiring.groupless(one.source, settings, purpose="offsets") as consumer:
        return record_times(consumer, waiting, patience=_PATIENCE, clock=time.monotonic)


def _exported(chosen: Sequence[Dataset], settings: Settings) -> offsets_file.Exported:
    clusters: set[str] = set()
    sinks: list[offsets_file.ExportedSink] = []
    with reading(connections.database_url(settings)) as session:
        for dataset in chosen:
            source = wiring.source_of(dataset, settings)
            stood = standing.positions(session, sink_id=source.sink_id, topic=source.topic)
            cluster = standing.cluster_of(session, source.sink_id)
            if not stood or cluster is None:
                say(f"{dataset.name}: {source.sink_id} has no positions of {source.topic}; left out")
                continue
            clusters.add(cluster)
            sinks.append(
                offsets_file.ExportedSink(
                    dataset=dataset.name,
                    sink_id=source.sink_id,
                    topic=source.topic,
                    topic_id=next((one.topic_id for one in stood.values() if one.topic_id), None),
                    positions={number: one.next_offset for number, one in stood.items()},
                )
            )
    if not sinks:
        raise DefinitionError("there are no positions in this database to export; the sink has never run on it")
    if len(clusters) > 1:
        raise DefinitionError(
            f"these datasets are read from several Kafka clusters ({', '.join(sorted(clusters))}); name those of one"
        )
    return offsets_file.Exported(exported_at=datetime.now(UTC), cluster_id=clusters.pop(), sinks=sinks)
