"""``sink trace``: from a row to the message that it came from."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from sink.avro.decode import Decoder, ReferenceDecoder
from sink.cli import arguments, connections, options, wiring
from sink.cli.bounds import has_zone
from sink.cli.replay_asked import patiently
from sink.cli.replayed import say
from sink.cli.traced import row_document, show
from sink.datasets import Dataset
from sink.db import accounts
from sink.db.models import table_of
from sink.db.rows_at import Near, rows_near
from sink.errors import ConfigError, SinkError, TransientError
from sink.inspection.reread import Bystander, Reread
from sink.inspection.tracing import Place, Traced, trace
from sink.kafka.consumer import TopicConsumer
from sink.kafka.stretch import Range, Stretch
from sink.replaying.ranges import shown
from sink.settings import Settings

app = typer.Typer(add_completion=False)


@dataclass(slots=True, kw_only=True)
class Job:
    """One trace and what it works with; ``notes`` grow on the way."""

    dataset: Dataset
    settings: Settings
    near: int
    deadly: Collection[Place] = ()
    """Messages that are known to end the process."""
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Say something now, and keep it."""
        self.notes.append(sentence)
        say(sentence)


@app.command(name="trace")
def trace_row(
    dataset: Annotated[str, typer.Argument(help="Dataset whose row is traced.", autocompletion=options.completed)],
    symbol: Annotated[str, typer.Argument(help="Symbol, as the table has it.")],
    time: Annotated[str, typer.Argument(help="The row's time, such as 2026-06-02T12:00:01Z; UTC without a zone.")],
    *,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="A further column of the key, such as trade_id=42.")
    ] = None,
    within: Annotated[str, typer.Option(help="How far away the nearest row may be, such as 1s or 1h.")] = "1m",
    near: Annotated[
        int, typer.Option(min=0, max=100_000, help="Offsets on either side in which other versions are looked for.")
    ] = 500,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many rows of that time.")] = 5,
    json_output: options.AsJson = False,
    file: options.SettingsFile = None,
) -> None:
    """Tell from which message a row came, under which flush and owner, and show the message if Kafka still has it.

    Takes the row of that time, or the nearest one. Writes nothing and joins no group.

    For example:

    - `sink trace trades BTCUSDT 2026-06-02T12:00:01Z`
    - `sink trace trades BTCUSDT 2026-06-02T12:00:01Z --key trade_id=42`
    - `sink trace candles_1m ETHUSDT 2026-06-02T12:00Z --json`
    """
    settings = options.settings_from(file)
    (chosen,) = connections.chosen([dataset])
    job = Job(dataset=chosen, settings=settings, near=near)
    at, wanted = arguments.moment(time), {"symbol": symbol, **_key(chosen, key or [])}
    if not has_zone(time.strip()):
        job.note(f"{time} is {shown(at)} (no zone given, so UTC)")
    found, entries = _rows(job, wanted, at, within=arguments.duration(within), limit=limit)
    document = {
        "dataset": chosen.name,
        "topic": wiring.source_of(chosen, settings).topic,
        "symbol": symbol,
        "asked": at.isoformat(),
        "time": found.at.isoformat(),
        "rows": [row_document(chosen, *one) for one in _traced(job, found, entries)],
        "notes": job.notes,
    }
    if json_output:
        typer.echo(json.dumps(document, indent=2))
    else:
        show(document)


def _key(dataset: Dataset, words: Sequence[str]) -> dict[str, object]:
    """Read the further columns of the key that are named."""
    columns = table_of(dataset.model).columns
    further = [name for name in dataset.key if name not in {"symbol", dataset.time}]
    found: dict[str, object] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in further:
            there = f"has {', '.join(further)}" if further else "has no further column"
            raise ConfigError(f"--key {word!r}: the key of {dataset.name} {there}; write column=value")
        try:
            found[name] = columns[name].type.python_type(text)
        except ValueError:
            raise ConfigError(f"--key {word!r}: {text!r} is no value of {name}") from None
    return found


def _rows(
    job: Job, wanted: Mapping[str, object], at: datetime, *, within: timedelta, limit: int
) -> tuple[Near, list[list[accounts.Account]]]:
    """Find the rows, and the entries of the ledger under which each one's message was read."""
    dataset, source = job.dataset, wiring.source_of(job.dataset, job.settings)
    with accounts.snapshot(connections.database_url(job.settings)) as session:
        found = rows_near(
            session,
            table_of(dataset.model),
            time=dataset.time,
            wanted=wanted,
            at=at,
            within=within,
            limit=limit,
        )
        entries = [
            accounts.covering(session, source.sink_id, source.topic, *_place(row)) if _place(row)[1] >= 0 else []
            for row in found.rows
        ]
        job.deadly = accounts.deadly(session, source.sink_id, source.topic)
    if found.at != at:
        job.note(f"no row at {at.isoformat()}; the nearest is {abs(found.at - at).total_seconds():g} s away")
    if found.more:
        job.note(f"only the first {limit} rows of that time are shown; see more with --limit, or name one with --key")
    return found, entries


def _traced(
    job: Job, found: Near, entries: Sequence[Sequence[accounts.Account]]
) -> Iterator[tuple[Mapping[str, Any], Sequence[accounts.Account], Traced | str | None]]:
    """Give each row with its entries and its message: what was found, why nothing, or None for the repository's."""
    if all(_place(row)[1] < 0 for row in found.rows):
        yield from ((row, held, None) for row, held in zip(found.rows, entries, strict=True))
        return
    source = wiring.source_of(job.dataset, job.settings)
    with (
        connections.registry(job.settings, url=None) as registry,
        wiring.groupless(source, job.settings, purpose="trace") as consumer,
    ):
        decoder = wiring.careful_onlooker(
            wiring.decoder_for(job.dataset, job.settings, registry, kind=ReferenceDecoder),
            job.settings,
            source,
            purpose="trace",
            deadly=job.deadly,
        )
        for row, held in zip(found.rows, entries, strict=True):
            yield row, held, None if _place(row)[1] < 0 else _message(job, row, consumer, decoder)


def _message(job: Job, row: Mapping[str, Any], consumer: TopicConsumer, decoder: Decoder) -> Traced | str:
    """Look for a row's message; says why not where Kafka, or the registry, does not give it."""
    dataset, (partition, offset) = job.dataset, _place(row)
    try:
        low, high = patiently(lambda: consumer.log_range(partition))
        if not low <= offset < high:
            return f"Kafka no longer has offset {offset}: its log is [{low}, {high})"
        stretch: Range = (max(low, offset - job.near), min(high, offset + job.near + 1))
        return trace(
            list(_reread(consumer, partition, stretch).messages()),
            decoder,
            dataset,
            clock=job.settings.clock_of(dataset.name),
            place=(partition, offset),
            key={name: row[name] for name in dataset.key},
        )
    except TransientError as error:
        return str(error)
    except SinkError as error:
        return f"the message cannot be read: {error}"


def _reread(consumer: TopicConsumer, partition: int, stretch: Range) -> Reread:
    ranges = {partition: stretch}
    consumer.take(Bystander(), [partition])
    bounded = Stretch(
        consumer, ranges, topic=consumer.topic, max_rate=None, clock=lambda: 0.0, sleep=lambda _seconds: None
    )
    return Reread(bounded, ranges, watch=lambda _done, _total: None)


def _place(row: Mapping[str, Any]) -> Place:
    return row["source_partition"], row["source_offset"]
