"""One Batch becomes durable in one transaction together with its new positions; claims take partitions likewise."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import structlog

from sink import ledger, repairs
from sink.batch import Batch, Rejected
from sink.datasets import Dataset
from sink.db.connect import cut_after
from sink.db.models import table_of
from sink.db.target import Revisions, refuse_revision, refuse_table
from sink.errors import SinkError
from sink.ledger import Claim, Entry, Locked, Source, Start, Times
from sink.prepared import Prepared, prepare
from sink.transactions import Limits, Transactions
from sink.write import RowWriter, Written

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Flushed:
    """What a flush did: partitions made durable, and those that were no longer ours or stand elsewhere."""

    durable: dict[int, int] = field(default_factory=dict)
    """Partition to its new next offset."""
    fenced: dict[int, str] = field(default_factory=dict)
    """Partition to the owner that holds it now."""
    moved: dict[int, int] = field(default_factory=dict)
    """Partition to the next offset that stands in the database."""
    entries: list[Entry] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    """Quarantined messages by reason."""
    durable_at: datetime | None = None
    """When it was durable, by the database's clock; None where nothing was left to write."""
    prepare_seconds: float = 0.0
    """What working out the rows took, where that was not done beforehand."""
    write_seconds: float = 0.0
    """From BEGIN on, without that."""
    commit_seconds: float = 0.0


class Flusher(Transactions):
    """Owns the writing connection of one dataset; every method is one transaction or nothing.

    Runs on the writer thread alone. A lost connection raises TransientError and the next call opens a new one, so that
    a flush whose COMMIT was not answered is simply run again: the locking read then finds the end position (it was
    applied) or the base (it was not).
    """

    def __init__(
        self,
        *,
        dataset: Dataset,
        source: Source,
        owner: str,
        connect: Callable[[], psycopg.Connection],
        limits: Limits | None = None,
    ) -> None:
        super().__init__(table=dataset.name, connect=connect, limits=limits or Limits())
        self._dataset = dataset
        self._source = source
        self._owner = owner
        self._writer = RowWriter(dataset)
        self._database_clock: tuple[datetime, float] | None = None
        """The database's time, and the monotonic clock's when it was read."""
        self._ending = 0.0
        """Seconds that the flush before took after its entry in the ledger, COMMIT included."""

    def prepare(self, batch: Batch) -> Prepared | None:
        """Work out what a flush of this batch will write, if nothing of it is durable yet; on any thread.

        None before the database's clock is known: what is plausible is judged by it, not by this host's.
        """
        now = self.database_time()
        if now is None:
            return None
        return self._prepare(batch, {number: span.base for number, span in batch.spans.items()}, now)

    def database_time(self) -> datetime | None:
        """Say what the database's clock shows now, as last heard; None before that. On any thread."""
        if self._database_clock is None:
            return None
        then, at = self._database_clock
        return then + timedelta(seconds=time.monotonic() - at)

    def _prepare(self, batch: Batch, starts: Mapping[int, int], now: datetime) -> Prepared:
        latest = now + self._limits.future_tolerance
        return prepare(batch, self._dataset, self._writer.columns, starts, now=now, latest=latest)

    def flush(
        self,
        batch: Batch,
        claims: Mapping[int, Claim],
        prepared: Prepared | None = None,
        *,
        times: Times | None = None,
    ) -> Flushed:
        """Make a batch durable for the partitions that are still ours; ``times`` is what went before.

        Raises TransientError (run it again), OversizeError (run its halves), DefinitionError or UnlistedError (halt).
        """
        done = Flushed()
        began = time.monotonic()
        entered: float | None = None
        with self._transaction(ledger.lock(self._source, list(batch.spans))) as cursor:
            now, locked = ledger.locked(cursor)
            starts = self._judge(batch, claims, locked, done)
            if now is not None:
                self._database_clock = (now, time.monotonic())
            if starts and now is not None:
                self._write(cursor, batch, claims, starts, prepared, now, done)
                entered = time.monotonic()
                ledger.record(
                    cursor,
                    self._source,
                    done.entries,
                    kind=self._source.kind,
                    owner=self._owner,
                    schema_ids=batch.schema_ids,
                    times=times and replace(times, written=self._ending + entered - began),
                )
                ledger.advance(cursor, self._source, done.entries)
            wrote = time.monotonic()
        if entered is not None:
            self._ending = time.monotonic() - entered
        done.write_seconds = wrote - began - done.prepare_seconds
        done.commit_seconds = time.monotonic() - wrote
        done.durable_at = self.database_time() if done.entries else None
        done.durable |= {entry.partition: entry.to_offset for entry in done.entries}
        return done

    def claim(self, start: Start, token: UUID) -> Claim:
        """Take a partition for this owner; waits for the flush of its present one, but not for ever.

        No server time-out ends a COPY whose client has stopped in the middle of it: its backend waits for the client
        with the position row locked. So a claim that waits too long has a second connection end that backend.
        """
        with self._transaction() as cursor:
            waiting = threading.Timer(
                self._limits.claim_patience, self._end_blockers, [cursor.connection.info.backend_pid]
            )
            waiting.daemon = True
            waiting.start()
            try:
                return ledger.claim(cursor, self._source, start, token=token, owner=self._owner)
            finally:
                waiting.cancel()

    def _end_blockers(self, backend: int) -> None:
        """End the backends of our own role that keep this one waiting."""
        try:
            with self._connect() as second, cut_after(second, self._limits.claim_patience):
                # two statements: in one, the planner may call pg_terminate_backend before it has joined
                blockers = second.execute(
                    "SELECT b.pid FROM unnest(pg_blocking_pids(%s)) AS b(pid)"
                    " JOIN pg_stat_activity a USING (pid) WHERE a.usename = current_user",
                    [backend],
                ).fetchall()
                for (blocker,) in blockers:
                    second.execute("SELECT pg_terminate_backend(%s)", [blocker])
            if blockers:
                log.warning("ended a stuck owner's connection", owner=self._owner, backends=blockers)
        except (psycopg.Error, SinkError) as error:
            log.warning("a claim waits, and what blocks it cannot be ended", error=str(error))

    def inspect(self, revisions: Revisions) -> None:
        """Refuse a database that this version of the code must not write into."""
        with self._transaction() as cursor:
            refuse_revision(cursor, revisions)
            refuse_table(cursor, table_of(self._dataset.model))

    def recognise(self, cluster_id: str, group_id: str) -> None:
        """Refuse to go on where the positions belong to another Kafka cluster; warn of others who write here."""
        with self._transaction() as cursor:
            ledger.recognise(cursor, self._source.keeper, cluster_id, group_id)
            others = ledger.others(cursor, self._source.keeper, self._dataset.name)
        if others:
            log.warning(
                "other sinks have written into this table; rows converge as long as all read the same messages",
                dataset=self._dataset.name,
                sinks=others,
            )

    def positions(self) -> dict[int, Locked]:
        """Read where every partition stands, without locking."""
        with self._transaction() as cursor:
            return ledger.positions(cursor, self._source)

    def skip(self, claim: Claim, to_offset: int) -> Flushed:
        """Record that [claim.start, to_offset) is gone from Kafka's log and move on behind it."""
        done = Flushed()
        with self._transaction(ledger.lock(self._source, [claim.partition])) as cursor:
            _, locked = ledger.locked(cursor)
            if locked[claim.partition].token != claim.token:
                done.fenced[claim.partition] = locked[claim.partition].owner
                return done
            entry = Entry(partition=claim.partition, from_offset=claim.start, to_offset=to_offset, claim=claim)
            ledger.record(cursor, self._source, [entry], kind="gap", owner=self._owner)
            ledger.advance(cursor, self._source, [entry])
        done.durable[claim.partition] = to_offset
        return done

    def move(self, targets: Mapping[int, int], *, reason: str | None = None) -> dict[int, int]:
        """Set positions as an operator wants them, recorded as rewind or skip; give where each stood."""
        with self._transaction() as cursor:
            return repairs.move(cursor, self._source, targets, owner=self._owner, reason=reason)

    def _judge(
        self, batch: Batch, claims: Mapping[int, Claim], locked: Mapping[int, Locked], done: Flushed
    ) -> dict[int, int]:
        """Say for each partition from which offset on its rows are written; the others are fenced or moved."""
        starts: dict[int, int] = {}
        for partition, span in batch.spans.items():
            row = locked.get(partition)
            if row is None or row.token != claims[partition].token:
                done.fenced[partition] = row.owner if row else ""
            elif not span.base <= row.next_offset <= span.end:
                done.moved[partition] = row.next_offset
            elif row.next_offset == span.end:
                done.durable[partition] = span.end  # this very flush was applied before, its answer got lost
            else:
                starts[partition] = row.next_offset
        return starts

    def _write(
        self,
        cursor: psycopg.Cursor,
        batch: Batch,
        claims: Mapping[int, Claim],
        starts: Mapping[int, int],
        prepared: Prepared | None,
        now: datetime,
        done: Flushed,
    ) -> None:
        """Write rows and quarantine of the accepted stretches, and make their ledger entries."""
        if prepared is None or prepared.starts != starts:
            began = time.monotonic()
            prepared = self._prepare(batch, starts, now)
            done.prepare_seconds = time.monotonic() - began
        written = Written()
        if prepared.newest is not None:
            written = self._writer.write(cursor, prepared.newest, prepared.encoded)
        rejected = rejected_of(batch, prepared, written)
        ledger.quarantine(cursor, self._source.keeper, self._source.topic, rejected)
        done.reasons.update(row.reason for row in rejected)
        done.entries += entries_of(batch, claims, prepared, written, rejected)
        if self._source.replay_id is not None:
            refused = {(row.partition, row.offset) for row in rejected}
            repairs.mark_replayed(cursor, self._source, done.entries, lambda: batch.wanted() - refused)


def rejected_of(batch: Batch, prepared: Prepared, written: Written) -> list[Rejected]:
    """Give the messages that go to quarantine: undecodable, not plausible, refused by the database."""
    return [*prepared.rejected, *(batch.reject(chunk, bad) for chunk, bad in written.refused)]


def entries_of(
    batch: Batch,
    claims: Mapping[int, Claim],
    prepared: Prepared,
    written: Written,
    rejected: Sequence[Rejected],
) -> list[Entry]:
    """Make the ledger's entries of what was written; their counts of messages add up."""
    quarantined = Counter(row.partition for row in rejected)
    entries = []
    for partition, start in prepared.starts.items():
        first, last = prepared.times.get(partition, (None, None))
        messages, ignored = prepared.messages[partition], prepared.ignored.get(partition, 0)
        entries.append(
            Entry(
                partition=partition,
                from_offset=start,
                to_offset=batch.spans[partition].end,
                claim=claims[partition],
                leader_epoch=batch.spans[partition].leader_epoch,
                messages=messages,
                rows_written=written.changed[partition],
                rows_not_newer=written.accepted[partition] - written.changed[partition],
                # what is neither written, refused nor ignored gave way to a newer version in this very batch
                rows_deduplicated=messages - written.accepted[partition] - quarantined[partition] - ignored,
                ignored=ignored,
                late=prepared.late.get(partition, 0),
                quarantined=quarantined[partition],
                first_event_at=first,
                last_event_at=last,
            )
        )
    return entries
