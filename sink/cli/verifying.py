"""Verifies a dataset with the servers that the settings name, and gives what came of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from sink.cli import wiring
from sink.cli.replay_asked import patiently
from sink.cli.verified import document
from sink.cli.verify_asked import Asked, Job
from sink.cli.verify_deep import compared
from sink.db import accounts
from sink.db.accounts import Stored
from sink.errors import DefinitionError
from sink.inspection import chain
from sink.inspection.chain import Judged, Standing
from sink.inspection.intervals import Interval
from sink.replaying.ranges import Bound, meant
from sink.settings import Settings

FOREVER = 2**62
"""An offset behind every other: where nobody named an end, also what lies beyond the log is looked at."""


def run(asked: Asked, settings: Settings, *, stop: threading.Event) -> dict[str, Any]:
    """Verify; gives the document of docs/verify.md."""
    source = wiring.source_of(asked.dataset, settings)
    with wiring.groupless(source, settings, purpose="verify") as consumer:
        job = Job(asked=asked, settings=settings, source=source, consumer=consumer, stop=stop)
        for note in (*asked.start.notes, *asked.end.notes):
            job.note(note)
        judged = _ledger(job, _meant(job))
        for one in judged:
            for note in one.notes:
                job.note(note)
        deep = compared(job, judged) if asked.deep else None
    file = f" --file {asked.file}" if asked.file else ""
    return document(
        asked.dataset,
        source,
        judged,
        notes=job.notes,
        deep=None if deep is None else (deep.comparison, deep.found, deep.ranges, deep.seconds),
        further=file,
    )


def _meant(job: Job) -> dict[int, Interval]:
    """Find the offsets by partition that are to be judged."""
    asked = job.asked
    nowhere = not asked.start.offsets and asked.start.place is None
    start = Bound(place="beginning") if nowhere else asked.start
    found = patiently(lambda: meant(job.consumer, start, asked.end, asked.partitions))
    for number, (begin, end) in found.items():
        if begin == end and not asked.everything:
            job.note(f"partition {number}: no offsets in [{begin}, {end})")
    return {
        number: (
            0 if nowhere else begin,
            FOREVER if asked.end.place in {None, "end"} and number not in asked.end.offsets else end,
        )
        for number, (begin, end) in found.items()
    }


def _ledger(job: Job, ranges: Mapping[int, Interval]) -> list[Judged]:
    """Judge the ledger, in one moment of the database."""
    source = job.source
    with accounts.snapshot(job.url) as session:
        stored = accounts.stored(session, source.sink_id, source.topic)
        _refuse_others(job, stored)
        # asked after the positions were read, which therefore cannot lie behind these ends
        logs = {number: job.consumer.log_range(number) for number in ranges}
        return [
            chain.judge(
                Standing(partition=number, position=stored.positions.get(number), log=logs[number]),
                accounts.entries(session, source.sink_id, source.topic, number),
                accounts.replayed(session, source.sink_id, source.topic, number),
                asked,
            )
            for number, asked in ranges.items()
        ]


def _refuse_others(job: Job, stored: Stored) -> None:
    """Refuse positions that mean other messages than those of this topic."""
    if not stored.positions:
        raise DefinitionError(
            f"{job.source.sink_id} has no positions in this database, so there is nothing to verify; has it run with"
            " this SINK_GROUP_PREFIX and SINK_TOPIC_PREFIX?"
        )
    identity = job.consumer.identity()
    if stored.cluster_id not in {None, identity.cluster_id}:
        raise DefinitionError(
            f"the positions belong to Kafka cluster {stored.cluster_id}, but this is cluster {identity.cluster_id}:"
            " point SINK_KAFKA__BOOTSTRAP_SERVERS at the other one"
        )
    if stored.topic_ids - {identity.topic_id}:
        raise DefinitionError(
            f"topic {job.source.topic} was deleted and made anew: the stored offsets mean other messages, and cannot be"
            " compared with it"
        )
