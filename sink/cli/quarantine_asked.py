"""Which kept messages a command line means: places, reasons, schemas, stretches by offset, record time or arrival."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, TypeVar, get_args

import typer

from sink.cli import arguments, bounds, connections, options, wiring
from sink.cli.replayed import say
from sink.datasets import Dataset
from sink.db import quarantined
from sink.db.contents import next_offsets, reading
from sink.db.quarantined import Edge, Place, State, Wanted
from sink.errors import ConfigError
from sink.ledger import Source
from sink.quarantine.cures import CURES
from sink.replaying.ranges import Bound
from sink.settings import Settings

Words = list[str] | None
T = TypeVar("T", int, datetime)
MOST_NAMED = 10
"""Messages that a sentence names."""

DatasetName = Annotated[str, typer.Argument(metavar="DATASET", help="Dataset.", autocompletion=options.completed)]
Places = Annotated[
    Words, typer.Argument(metavar="P:OFFSET", help="Only these messages, such as 3:120000; default: all.")
]
Faults = Annotated[
    Words, typer.Option("--fault", metavar="REASON", help="Only those kept for these reasons, such as decode,text.")
]
SchemaIds = Annotated[
    Words,
    typer.Option("--schema", metavar="ID", help="Only those of these writer schemas: registry ids, fingerprints."),
]
Numbers = Annotated[Words, typer.Option("--partitions", help="Only these, such as 0,3.")]
From = Annotated[
    Words,
    typer.Option("--from", help="From here in the topic: 3:120000 (partition 3), or a record time: 2h, yesterday."),
]
To = Annotated[Words, typer.Option("--to", help="Up to here in the topic, exclusive.")]
Since = Annotated[str | None, typer.Option(help="Quarantined since: 2h, yesterday, 2026-06-01T12:00Z.")]
Until = Annotated[str | None, typer.Option(help="Quarantined before.")]
States = Annotated[Words, typer.Option("--state", help="open, replayed, dropped or all.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the options say, as words."""

    places: Words = None
    faults: Words = None
    schemas: Words = None
    partitions: Words = None
    start: Words = None
    end: Words = None
    since: str | None = None
    until: str | None = None
    states: Words = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One dataset and what of its kept messages is meant."""

    settings: Settings
    dataset: Dataset
    source: Source
    wanted: Wanted

    @property
    def url(self) -> str:
        """The database."""
        return connections.database_url(self.settings)


def ask(name: str, filters: Filters, settings: Settings, states: Collection[State]) -> Asked:
    """Read the command line; refuse partitions that the sink has never read."""
    (dataset,) = connections.chosen([name])
    source = wiring.source_of(dataset, settings)
    meant = wanted(filters, source, now=datetime.now(UTC), states=states)
    asked = Asked(settings=settings, dataset=dataset, source=source, wanted=meant)
    with reading(asked.url) as session:
        _refuse_unknown_partitions(meant, next_offsets(session, sink_id=source.sink_id, topic=source.topic))
        there = quarantined.entries(session, meant, limit=len(meant.places)) if meant.places else []
    missing = sorted(set(meant.places) - {entry.place for entry in there})
    if missing:
        named = ", ".join(f"{partition}:{offset}" for partition, offset in missing[:MOST_NAMED])
        raise ConfigError(
            f"not in quarantine ({', '.join(sorted(meant.states))}) of {source.topic}: {named}; look with:"
            f" sink quarantine list {name} --state all"
        )
    return asked


def wanted(filters: Filters, source: Source, *, now: datetime, states: Collection[State]) -> Wanted:
    """Read the filters; ``states`` are meant where they name none. Says what was understood that they did not say."""
    start = bounds.bound(filters.start or [], option="--from", now=now)
    end = bounds.bound(filters.end or [], option="--to", now=now)
    first, last = _edge(start), _edge(end)
    since, until = _moment(filters.since, "--since", now), _moment(filters.until, "--until", now)
    for note in (*start.notes, *end.notes):
        say(note)
    if start.place == "end" or end.place == "beginning":
        raise ConfigError("--from end and --to beginning leave nothing between them; exchange them")
    _refuse_inverted("--from and --to", first.moment, last.moment)
    _refuse_inverted("--since and --until", since, until)
    for number, offset in first.offsets.items():
        _refuse_inverted(f"--from and --to of partition {number}", offset, last.offsets.get(number))
    faults = _listed(filters.faults)
    unknown = sorted(faults - set(CURES))
    if unknown:
        raise ConfigError(f"--fault: nothing is kept for {', '.join(unknown)}; the reasons are {', '.join(CURES)}")
    return Wanted(
        sink_id=source.sink_id,
        topic=source.topic,
        states=_states(filters.states) or frozenset(states),
        places=frozenset(place(text) for text in filters.places or []),
        reasons=faults,
        schema_ids=_listed(filters.schemas),
        partitions=bounds.partitions(filters.partitions or []),
        start=first,
        end=last,
        since=since,
        until=until,
    )


def place(text: str) -> Place:
    """Read ``3:120000``."""
    match = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,18})", text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no message; write partition and offset, such as 3:120000")
    return int(match[1]), int(match[2])


def _refuse_unknown_partitions(wanted: Wanted, known: Collection[int]) -> None:
    """Refuse partitions other than those ``known``, which the sink has read."""
    named = {*wanted.partitions, *wanted.start.offsets, *wanted.end.offsets, *(number for number, _ in wanted.places)}
    unknown = sorted(named - set(known))
    if unknown:
        there = f"it has read {', '.join(map(str, sorted(known)))}" if known else "it has read none"
        raise ConfigError(f"{wanted.sink_id} knows no partition {', '.join(map(str, unknown))}; {there}")


def states_of_named(filters: Filters) -> frozenset[State]:
    """Say which states are meant by a command that changes something: a dropped message only where it is named."""
    return frozenset({"open", "dropped"}) if filters.places else frozenset({"open"})


def _states(texts: Words) -> frozenset[State]:
    known: tuple[State, ...] = get_args(State)
    words = _listed(texts)
    if "all" in words:
        return frozenset(known)
    unknown = sorted(words - set(known))
    if unknown:
        raise ConfigError(f"--state: {', '.join(unknown)} is none of {', '.join(known)}, all")
    return frozenset(state for state in known if state in words)


def _listed(texts: Words) -> frozenset[str]:
    return frozenset(name for text in texts or [] for name in arguments.names(text))


def _edge(bound: Bound) -> Edge:
    return Edge(offsets=bound.offsets, moment=bound.place if isinstance(bound.place, datetime) else None)


def _moment(text: str | None, option: str, now: datetime) -> datetime | None:
    if text is None:
        return None
    bound = bounds.bound([text], option=option, now=now)
    if bound.offsets or not isinstance(bound.place, datetime):
        raise ConfigError(f"{option}: {text!r} is no time; write 2h, yesterday or 2026-06-01T12:00Z")
    for note in bound.notes:
        say(note)
    return bound.place.astimezone(UTC)


def _refuse_inverted(options: str, first: T | None, last: T | None) -> None:
    """Refuse a stretch that nothing can be in."""
    if first is not None and last is not None and not first < last:
        raise ConfigError(f"{options} leave nothing between them: the end is exclusive and must be later")
