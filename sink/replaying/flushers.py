"""The two flushers of a replay: the real one, which says that it lives, and the rehearsal, which writes nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from sink import ledger
from sink.batch import Batch
from sink.datasets import Dataset
from sink.db.models import table_of
from sink.db.rehearsing import Difference, Picture
from sink.db.replays import BEAT
from sink.errors import TransientError
from sink.flush import Flushed, Flusher, entries_of, rejected_of
from sink.ledger import Claim, Locked, Source, Start, Times
from sink.prepared import Prepared
from sink.transactions import Limits
from sink.write import RowWriter, Written


class Replayer(Flusher):
    """Writes a replay; whenever the loop compares positions, it notes that this owner lives."""

    def positions(self) -> dict[int, Locked]:
        """Read where every partition stands, without locking."""
        with self._transaction() as cursor:
            cursor.execute(BEAT, (self._source.replay_id, self._owner))
            return ledger.positions(cursor, self._source)


@dataclass(slots=True)
class Foreseen:
    """What a replay would do, as far as the rehearsal has come."""

    inserts: int = 0
    updates: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Messages, and those not newer, deduplicated, ignored, quarantined; late rows."""
    reasons: Counter[str] = field(default_factory=Counter)
    replaced: list[Difference] = field(default_factory=list)
    added: list[Difference] = field(default_factory=list)


class Rehearsal(Flusher):
    """Does what the flush does on a private picture of the table; the same code takes and refuses rows.

    The picture lives as long as the connection. Where that is lost the rehearsal cannot go on: ``lost`` is set, and
    every further call raises TransientError.
    """

    def __init__(
        self,
        *,
        dataset: Dataset,
        source: Source,
        owner: str,
        connect: Callable[[], psycopg.Connection],
        limits: Limits | None = None,
        samples: int,
    ) -> None:
        super().__init__(dataset=dataset, source=source, owner=owner, connect=connect, limits=limits)
        self.lost = False
        self.foreseen = Foreseen()
        self._samples = samples
        self._picture = Picture(table_of(dataset.model), time=dataset.time)
        self._writer = RowWriter(dataset, self._picture.target)
        self._held: dict[int, Locked] = {}
        self._begun = False

    def claim(self, start: Start, token: UUID) -> Claim:
        """Begin where the range begins, or go on where the rehearsal stands; nobody else is told."""
        before = self._held.get(start.partition)
        at = start.log_start if before is None else before.next_offset
        self._held[start.partition] = Locked(next_offset=at, token=token, owner=self._owner)
        return Claim(partition=start.partition, token=token, seq=0, start=at)

    def positions(self) -> dict[int, Locked]:
        """Say where the rehearsal stands."""
        return dict(self._held)

    def skip(self, claim: Claim, to_offset: int) -> Flushed:
        """Go on behind what is gone from Kafka's log."""
        self._pass(claim.partition, to_offset)
        return Flushed(durable={claim.partition: to_offset})

    def flush(
        self,
        batch: Batch,
        claims: Mapping[int, Claim],
        prepared: Prepared | None = None,
        *,
        times: Times | None = None,
    ) -> Flushed:
        """Count what a flush would do."""
        del times  # there is no ledger to keep them
        starts = {number: span.base for number, span in batch.spans.items()}
        done = Flushed()
        with self._transaction() as cursor:
            (now,) = cursor.execute("SELECT clock_timestamp()").fetchone() or (datetime.now(UTC),)
            self._database_clock = (now, time.monotonic())
            if prepared is None or prepared.starts != starts:
                prepared = self._prepare(batch, starts, now)
            written = self._rehearse(cursor, prepared)
        rejected = rejected_of(batch, prepared, written)
        done.reasons.update(row.reason for row in rejected)
        done.entries += entries_of(batch, claims, prepared, written, rejected)
        self.foreseen.reasons.update(done.reasons)
        for entry in done.entries:
            self._pass(entry.partition, entry.to_offset)
            done.durable[entry.partition] = entry.to_offset
            self.foreseen.counts.update(
                messages=entry.messages,
                not_newer=entry.rows_not_newer,
                deduplicated=entry.rows_deduplicated,
                ignored=entry.ignored,
                quarantined=entry.quarantined,
                late=entry.late,
            )
        return done

    def _rehearse(self, cursor: psycopg.Cursor, prepared: Prepared) -> Written:
        if prepared.newest is None or not prepared.newest.winners.height:
            return Written()
        picture, seen = self._picture, self.foreseen
        written = self._writer.write(cursor, prepared.newest, prepared.encoded)
        written.changed.clear()  # so far they have all come into an empty table
        rows: Counter[bool] = Counter()
        for effect in picture.effects(cursor):
            written.changed[effect.partition] += effect.rows
            rows[effect.replacing] += effect.rows
        for replacing, samples in ((True, seen.replaced), (False, seen.added)):
            if rows[replacing]:
                samples.extend(picture.differences(cursor, self._samples - len(samples), replacing=replacing))
        if rows:
            picture.keep(cursor)
        seen.updates += rows[True]
        seen.inserts += rows[False]
        return written

    def _pass(self, partition: int, offset: int) -> None:
        held = self._held[partition]
        self._held[partition] = Locked(next_offset=offset, token=held.token, owner=held.owner)

    def _open(self) -> psycopg.Connection:
        if self._begun and (self._connection is None or self._connection.closed):
            self.lost = True
            raise TransientError("the database connection of the dry run was lost, and with it what it had worked out")
        connection = super()._open()
        if not self._begun:
            with connection.cursor() as cursor:
                self._picture.create(cursor)
            self._begun = True
        return connection


def place_of(difference: Difference) -> tuple[int, int]:
    """Give partition and offset of the message that makes the difference."""
    return difference.after["source_partition"], difference.after["source_offset"]
