"""Reads a topic and a table with the servers that the settings name, and has them compared."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sink.avro.columns import ColumnarDecoder
from sink.avro.decode import ReferenceDecoder
from sink.cli import connections, wiring
from sink.cli.replayed import progress_bar
from sink.cli.verify_asked import Job
from sink.db import accounts, scan
from sink.db.hypertables import read_hypertables
from sink.db.models import table_of
from sink.errors import Interrupted
from sink.inspection.chain import Judged
from sink.inspection.compare import Scope
from sink.inspection.deep import Comparison, Excused, Found, place_frame
from sink.inspection.intervals import Interval, joined, length
from sink.inspection.reread import Bystander, Reread
from sink.kafka.stretch import Stretch


@dataclass(slots=True, kw_only=True)
class Deep:
    """A comparison that has been made."""

    comparison: Comparison
    found: Found
    ranges: Mapping[int, Interval]
    seconds: float


def compared(job: Job, judged: Sequence[Judged]) -> Deep:
    """Read the topic up to where the sink stood, then the table, and compare."""
    dataset, settings, began = job.asked.dataset, job.settings, time.monotonic()
    ranges = {one.standing.partition: stretch for one in judged if (stretch := _readable(one)) is not None}
    with accounts.snapshot(job.url) as session:
        deadly = accounts.deadly(session, job.source.sink_id, job.source.topic)
    with (
        tempfile.TemporaryDirectory(prefix="sink-verify-") as directory,
        connections.registry(settings, url=None) as registry,
    ):
        comparison = Comparison(
            dataset,
            decoder=wiring.careful_onlooker(
                wiring.decoder_for(
                    dataset, settings, registry, kind=ColumnarDecoder if job.asked.fast else ReferenceDecoder
                ),
                settings,
                job.source,
                purpose="verify",
                deadly=deadly,
            ),
            clock=settings.clock_of(dataset.name),
            directory=Path(directory),
            offsets=length(list(ranges.values())),
        )
        gone = _read(job, comparison, ranges)
        ranges |= {number: (end, ranges[number][1]) for number, (_, end) in gone}
        scope, excused = _hold(job, comparison, ranges, judged)
        found = comparison.judge(scope, excused, samples=job.asked.samples)
    return Deep(comparison=comparison, found=found, ranges=ranges, seconds=time.monotonic() - began)


def _readable(judged: Judged) -> Interval | None:
    """Say what of a partition is compared: what the sink has passed, as far as Kafka still has it."""
    position = judged.standing.position
    if position is None:
        return None
    start = max(judged.asked[0], judged.standing.log[0])
    end = min(judged.asked[1], judged.standing.log[1], position)
    return (start, end) if start < end else None


def _read(job: Job, comparison: Comparison, ranges: Mapping[int, Interval]) -> list[tuple[int, Interval]]:
    """Read the topic; gives what Kafka dropped before it could be read."""
    if not ranges:
        return []
    job.consumer.take(Bystander(), sorted(ranges))
    stretch = Stretch(
        job.consumer,
        ranges,
        topic=job.source.topic,
        max_rate=job.asked.max_rate,
        clock=time.monotonic,
        sleep=time.sleep,
    )
    with progress_bar(f"{job.asked.dataset.name} (verify)") as progress:

        def watch(done: int, total: int) -> None:
            if job.stop.is_set():
                raise Interrupted("stopped before the end; nothing was written, start it again")
            progress(done, total)

        reread = Reread(stretch, ranges, watch=watch)
        comparison.read(reread.messages())
    for number, (start, end) in reread.gone:
        job.note(f"partition {number}: Kafka dropped [{start}, {end}) while it was read; they are not compared")
    return reread.gone


def _hold(
    job: Job, comparison: Comparison, ranges: Mapping[int, Interval], judged: Sequence[Judged]
) -> tuple[Scope, Excused]:
    """Take the table's rows, and what excuses differences, from one later moment of the database."""
    dataset, source = job.asked.dataset, job.source
    with accounts.snapshot(job.url) as session:
        others = accounts.others(session, source.sink_id, dataset.name)
        kept = accounts.quarantined(session, source.sink_id, source.topic, ranges)
        hypertable = read_hypertables(session.connection()).get(dataset.name)
        retain = None if hypertable is None else hypertable.retain
        scope = Scope(
            ranges=ranges,
            partitions=job.consumer.partitions(),
            horizon=None if retain is None else scan.database_time(session) - retain,
        )
        window = None if job.asked.everything else comparison.window
        if job.asked.everything or window is not None:
            table = table_of(dataset.model)
            comparison.hold(
                scan.scan(session, table, time=dataset.time, window=window),
                rows=scan.count(session, table, time=dataset.time, window=window),
            )
    if others:
        job.note(
            f"other sinks have written into {dataset.name} as well ({', '.join(others)}): the partitions and offsets of"
            " their rows mean other messages, unless they read the same topic"
        )
    return scope, Excused(
        waiting=place_frame([(number, offset) for number, offset, passed in kept if not passed]),
        kept=place_frame([(number, offset) for number, offset, _ in kept]),
        left_out=_left_out(job, judged),
    )


def _left_out(job: Job, judged: Sequence[Judged]) -> dict[int, list[Interval]]:
    """Say what the sink passed over; where it did not begin at the log's start, also what came before its ledger."""
    left_out = {one.standing.partition: list(one.left_out) for one in judged}
    if job.settings.initial_offset != "earliest":
        for one in judged:
            before = (one.asked[0], one.proven[0])
            left_out[one.standing.partition] = joined([*left_out[one.standing.partition], before])
            if max(before[0], one.standing.log[0]) < before[1]:
                job.note(
                    f"partition {one.standing.partition}: messages before offset {before[1]} are not demanded: the"
                    f" sink began at its initial offset ({job.settings.initial_offset})"
                )
    return left_out
