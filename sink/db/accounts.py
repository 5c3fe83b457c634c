"""Reads how the ledger accounts for the offsets of a topic, and which of its messages are in quarantine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, text
from sqlalchemy.orm import Session

from sink.db import standing
from sink.db.contents import reading
from sink.db.models import Flush, Position, Quarantine, Replay
from sink.db.replays import COUNTS

_AT_A_TIME = 5_000
"""Entries of the ledger that are in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One entry of the ledger; ``counts`` has COUNTS."""

    id: int
    partition: int
    from_offset: int
    to_offset: int
    kind: str
    owner: str
    at: datetime
    """When it was last added to."""
    counts: Mapping[str, int]
    kept: int
    """Messages of these offsets that sink.quarantine has; 0 is not asked for where the entry counts none."""
    opened_at: datetime
    schema_ids: Sequence[str] = ()
    replay_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where the database says that a sink stands."""

    positions: Mapping[int, int]
    """Next offset by partition."""
    topic_ids: frozenset[str]
    cluster_id: str | None


@contextmanager
def snapshot(url: str) -> Iterator[Session]:
    """Give a session that sees one moment of the database, however long it reads, and cannot write."""
    with reading(url) as session:
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        yield session


def stored(session: Session, sink_id: str, topic: str) -> Stored:
    """Read the positions of a sink, and what they are positions of."""
    stood = standing.positions(session, sink_id=sink_id, topic=topic)
    return Stored(
        positions={number: row.next_offset for number, row in stood.items()},
        topic_ids=frozenset(row.topic_id for row in stood.values() if row.topic_id),
        cluster_id=standing.cluster_of(session, sink_id),
    )


def others(session: Session, sink_id: str, dataset: str) -> list[str]:
    """Name the other sinks (not replays of this one) that have positions for this dataset."""
    query = (
        select(Position.sink_id)
        .distinct()
        .where(
            Position.sink_id != sink_id,
            ~Position.sink_id.startswith(f"{sink_id}/", autoescape=True),
            Position.sink_id.endswith(f".{dataset}", autoescape=True),
        )
    )
    return sorted(session.scalars(query))


def entries(session: Session, sink_id: str, topic: str, partition: int) -> Iterator[Account]:
    """Give a sink's own entries for a partition, the oldest first."""
    query = _entries(sink_id, topic, partition).where(Flush.sink_id == sink_id)
    return _accounts(session, query.order_by(Flush.id))


def replayed(session: Session, sink_id: str, topic: str, partition: int) -> Iterator[Account]:
    """Give the entries of a sink's replays for a partition, the oldest first."""
    return _accounts(
        session,
        _entries(sink_id, topic, partition).where(Flush.sink_id.in_(_replays(session, sink_id))).order_by(Flush.id),
    )


def covering(session: Session, sink_id: str, topic: str, partition: int, offset: int) -> list[Account]:
    """Give the entries under which one message was read, by the sink or its replays, the oldest first."""
    query = _entries(sink_id, topic, partition).where(
        Flush.sink_id.in_([sink_id, *_replays(session, sink_id)]),
        Flush.from_offset <= offset,
        Flush.to_offset > offset,
    )
    return list(_accounts(session, query.order_by(Flush.id)))


def quarantined(
    session: Session, sink_id: str, topic: str, ranges: Mapping[int, tuple[int, int]]
) -> list[tuple[int, int, bool]]:
    """Give partition and offset of the messages of these ranges in quarantine, and whether a replay has let them by."""
    within = [
        (Quarantine.partition == number) & (Quarantine.offset >= start) & (Quarantine.offset < end)
        for number, (start, end) in ranges.items()
    ]
    if not within:
        return []
    query = select(Quarantine.partition, Quarantine.offset, Quarantine.replayed_at.is_not(None)).where(
        Quarantine.sink_id == sink_id, Quarantine.topic == topic, or_(*within)
    )
    return [(partition, offset, passed) for partition, offset, passed in session.execute(query)]


def deadly(session: Session, sink_id: str, topic: str) -> set[tuple[int, int]]:
    """Give partition and offset of the messages in quarantine because decoding them ended the process."""
    query = select(Quarantine.partition, Quarantine.offset).where(
        Quarantine.sink_id == sink_id,
        Quarantine.topic == topic,
        Quarantine.reason == "crash",
        Quarantine.replayed_at.is_(None),
    )
    return {(partition, offset) for partition, offset in session.execute(query)}


def _replays(session: Session, sink_id: str) -> list[str]:
    return [f"{sink_id}/replay/{one}" for one in session.scalars(select(Replay.id).where(Replay.sink_id == sink_id))]


def _entries(sink_id: str, topic: str, partition: int) -> Select[Any]:
    kept = (
        select(func.count())
        .select_from(Quarantine)
        .where(
            Flush.quarantined > 0,
            Quarantine.sink_id == sink_id,
            Quarantine.topic == Flush.topic,
            Quarantine.partition == Flush.partition,
            Quarantine.offset >= Flush.from_offset,
            Quarantine.offset < Flush.to_offset,
        )
        .scalar_subquery()
    )
    return select(Flush, kept.label("kept")).where(Flush.topic == topic, Flush.partition == partition)


def _accounts(session: Session, query: Select[Any]) -> Iterator[Account]:
    for flush, kept in session.execute(query.execution_options(yield_per=_AT_A_TIME)):
        session.expunge(flush)  # the session would keep every one of them until its end
        yield Account(
            id=flush.id,
            partition=flush.partition,
            from_offset=flush.from_offset,
            to_offset=flush.to_offset,
            kind=flush.kind,
            owner=flush.owner,
            at=flush.committed_at,
            counts={name: getattr(flush, name) for name in COUNTS},
            kept=kept,
            opened_at=flush.opened_at,
            schema_ids=tuple(flush.schema_ids or ()),
            replay_id=flush.replay_id,
            reason=flush.reason,
        )
