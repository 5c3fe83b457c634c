"""What a replay or dry run is to read: its range, what is said before, its entry in the table of replays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from sink.cli import connections, wiring
from sink.cli.replayed import say
from sink.datasets import Dataset
from sink.db import replays
from sink.db.contents import reading
from sink.db.hypertables import read_hypertables
from sink.errors import TransientError
from sink.kafka.consumer import TopicConsumer
from sink.kafka.stretch import Range
from sink.ledger import Source
from sink.replaying import ranges
from sink.replaying.ranges import Bound
from sink.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says."""

    dataset: Dataset
    start: Bound
    end: Bound
    partitions: Collection[int]
    symbols: Sequence[str]
    max_rate: float | None
    samples: int | None
    """Rows that a dry run shows; None to write."""
    file: Path | None


@dataclass(slots=True, kw_only=True)
class Job:
    """One replay or dry run and everything it is made of; ``notes`` grow on the way."""

    id: str
    asked: Asked
    settings: Settings
    source: Source
    """The sink's own."""
    consumer: TopicConsumer
    stop: threading.Event
    ranges: Mapping[int, Range]
    symbols: Sequence[str]
    notes: list[str] = field(default_factory=list)
    resumed: bool = False

    @property
    def url(self) -> str:
        """The database."""
        return connections.database_url(self.settings)

    @property
    def resuming(self) -> str:
        """The command that goes on after an interruption."""
        file = f" --file {self.asked.file}" if self.asked.file else ""
        return f"sink replay {self.asked.dataset.name} --resume {self.id}{file}"

    def note(self, sentence: str) -> None:
        """Say something now, and keep it for the summary."""
        self.notes.append(sentence)
        say(sentence)


def patiently(ask: Callable[[], T]) -> T:
    """Ask Kafka again for a few seconds: a broker that has just made a topic does not know its leaders yet."""
    tries = Retrying(
        retry=retry_if_exception_type(TransientError), stop=stop_after_delay(3), wait=wait_fixed(0.3), reraise=True
    )
    return tries(ask)


def take_over(job: Job) -> None:
    """Go on with the replay that the job names, whoever was at it."""
    with reading(job.url) as session:
        known = replays.take(session, replay_id=job.id, sink_id=job.source.sink_id, owner=wiring.owner_name())
    job.ranges, job.symbols = known.ranges, list(known.symbols or ())
    if known.alive:
        job.note(
            f"taking replay {job.id} over from {known.owner}, who was last heard of at {ranges.shown(known.seen_at)}"
        )
    say(f"going on with replay {job.id}: {known.done:,} of {known.total:,} offsets are done")


def choose(job: Job, now: datetime) -> None:
    """Find the ranges, and say what is to be known before anything is read."""
    chosen = patiently(lambda: ranges.choose(job.consumer, job.asked.start, job.asked.end, job.asked.partitions))
    job.ranges = chosen.ranges
    for note in chosen.notes:
        job.note(note)
    if not job.ranges:
        return
    with reading(job.url) as session:
        table = read_hypertables(session.connection()).get(job.asked.dataset.name)
    if table is not None and table.retain is not None:
        old = sum(ranges.before(job.consumer, job.ranges, now - table.retain).values())
        if old:
            job.note(
                f"{old:,} of the offsets were recorded before {ranges.shown(now - table.retain)}: rows that old are"
                f" beyond the {table.retain.days} days for which {job.asked.dataset.name} keeps them, and are dropped"
                " again"
            )
    for number, (start, end) in job.ranges.items():
        say(f"{job.source.topic}/{number}: offsets [{start}, {end})")


def register(job: Job) -> None:
    """Enter the replay in the table, and name dead ones that overlap it; refused while one lives."""
    with reading(job.url) as session:
        dead = replays.register(
            session,
            replay_id=job.id,
            sink_id=job.source.sink_id,
            topic=job.source.topic,
            ranges=job.ranges,
            symbols=job.symbols,
            owner=wiring.owner_name(),
        )
    for known in dead:
        job.note(
            f"replay {known.id} of an overlapping range stopped with {known.done:,} of {known.total:,} offsets done;"
            f" it can go on with: sink replay {job.asked.dataset.name} --resume {known.id}"
        )
    say(f"replay {job.id}; if it is interrupted, go on with: {job.resuming}")
