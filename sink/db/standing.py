"""What the database knows of a sink's progress: positions, the ledger's last entries, quarantine, chunks and size."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import TextClause, select, text
from sqlalchemy.orm import Session

from sink.db.hypertables import PUBLIC, read_hypertables
from sink.db.models import Base, Position, Sink, table_of

LAST_ENTRIES = 12
"""Entries of the ledger that are read for each partition: one spans a minute at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """The position row of one partition."""

    next_offset: int
    topic_id: str | None
    owner: str
    claimed_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """An entry of the ledger, made and extended by flushes between two moments."""

    partition: int
    opened_at: datetime
    committed_at: datetime
    messages: int
    rows_written: int
    rows_not_newer: int
    rows_deduplicated: int
    ignored: int
    late: int
    quarantined: int
    last_event_at: datetime | None
    flushes: int | None = None
    """How many made it; this and the seconds are None where no times were taken."""
    filled_seconds: float | None = None
    waited_seconds: float | None = None
    written_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one sink has come with one topic."""

    now: datetime
    """The database's clock."""
    cluster_id: str | None
    """Of the Kafka cluster whose offsets these are; None for a sink that has never run."""
    positions: Mapping[int, Stood]
    entries: Sequence[Entered]
    """The last ones of each partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Messages in quarantine: those that nobody has replayed or dropped, and those of the last hour."""

    waiting: int
    last_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A hypertable's chunks, size in bytes with indexes, oldest chunk's begin, retention (None: kept for ever)."""

    chunks: int
    size: int
    oldest: datetime | None
    retain: timedelta | None


def limit_statements(session: Session, seconds: float) -> None:
    """Bound each statement of the session's transaction."""
    session.execute(_LIMIT, {"limit": f"{max(1, round(seconds * 1000))}ms"})


def positions(session: Session, *, sink_id: str, topic: str) -> dict[int, Stood]:
    """Give the position rows by partition."""
    query = select(
        Position.partition,
        Position.next_offset,
        Position.topic_id,
        Position.owner,
        Position.claimed_at,
        Position.updated_at,
    ).where(Position.sink_id == sink_id, Position.topic == topic)
    return {
        row.partition: Stood(
            next_offset=row.next_offset,
            topic_id=row.topic_id,
            owner=row.owner,
            claimed_at=row.claimed_at,
            updated_at=row.updated_at,
        )
        for row in session.execute(query.order_by(Position.partition))
    }


def cluster_of(session: Session, sink_id: str) -> str | None:
    """Name the Kafka cluster that a sink reads; None where it has never run."""
    return session.scalar(select(Sink.kafka_cluster_id).where(Sink.sink_id == sink_id))


def progress(session: Session, *, sink_id: str, topic: str) -> Progress:
    """Read how far a sink has come; cheap however long its ledger is."""
    names = {"sink_id": sink_id, "topic": topic, "count": LAST_ENTRIES}
    return Progress(
        now=session.execute(text("SELECT clock_timestamp()")).scalar_one(),
        cluster_id=cluster_of(session, sink_id),
        positions=positions(session, sink_id=sink_id, topic=topic),
        entries=[Entered(**row) for row in session.execute(_ENTRIES, names).mappings()],
    )


def newest(session: Session, model: type[Base], *, time: str) -> datetime | None:
    """Give the greatest time in a table; ``time`` is its column."""
    column = table_of(model).columns[time]
    return session.scalar(select(column).order_by(column.desc()).limit(1))


def quarantined(session: Session, *, sink_id: str, topic: str) -> Quarantined:
    """Count what is in quarantine."""
    row = session.execute(_QUARANTINED, {"sink_id": sink_id, "topic": topic}).one()
    return Quarantined(waiting=row.waiting, last_hour=row.last_hour)


def stored(session: Session, tables: Collection[str]) -> dict[str, Stored]:
    """Look at the hypertables of these names; those that do not exist are left out."""
    retain = {name: options.retain for name, options in read_hypertables(session.connection()).items()}
    return {
        row.name: Stored(chunks=row.chunks, size=row.size or 0, oldest=row.oldest, retain=retain.get(row.name))
        for row in session.execute(_STORED, {"schema": PUBLIC, "names": sorted(tables)})
    }


_LIMIT: TextClause = text("SELECT set_config('statement_timeout', :limit, true)")
# by the index, newest first: the ledger of a month has millions of entries. The times through JSON, so that a status
# tells all else of a database that `sink migrate` has not given these columns yet
_ENTRIES = text(
    """
    SELECT p.partition, f.opened_at, f.committed_at, f.messages, f.rows_written, f.rows_not_newer, f.rows_deduplicated,
           f.ignored, f.late, f.quarantined, f.last_event_at, t.flushes, t.filled_seconds, t.waited_seconds,
           t.written_seconds
    FROM sink.positions p CROSS JOIN LATERAL (
        SELECT * FROM sink.flushes l WHERE l.sink_id = p.sink_id AND l.topic = p.topic AND l.partition = p.partition
        ORDER BY l.id DESC LIMIT :count
    ) f CROSS JOIN LATERAL jsonb_to_record(to_jsonb(f)) AS t(
        flushes int, filled_seconds real, waited_seconds real, written_seconds real
    )
    WHERE p.sink_id = :sink_id AND p.topic = :topic ORDER BY p.partition, f.id
    """
)
_QUARANTINED = text(
    """
    SELECT count(*) FILTER (WHERE replayed_at IS NULL AND dropped_at IS NULL) AS waiting,
           count(*) FILTER (WHERE quarantined_at > now() - interval '1 hour') AS last_hour
    FROM sink.quarantine WHERE sink_id = :sink_id AND topic = :topic
    """
)
_STORED = text(
    """
    SELECT h.hypertable_name AS name, h.num_chunks AS chunks,
           hypertable_size(to_regclass(format('%I.%I', h.hypertable_schema, h.hypertable_name))) AS size,
           (SELECT min(c.range_start) FROM timescaledb_information.chunks c
            WHERE c.hypertable_schema = h.hypertable_schema AND c.hypertable_name = h.hypertable_name) AS oldest
    FROM timescaledb_information.hypertables h WHERE h.hypertable_schema = :schema AND h.hypertable_name = ANY(:names)
    """
)
