"""What housekeeping does to a database: drop expired chunks, prune the ledger, on a connection that cannot hang."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from sink.db import standing
from sink.db.connect import cut_after, driver_of, open_connection
from sink.db.errors import translate
from sink.db.hypertables import PUBLIC, is_community

STATEMENT_LIMIT = 60.0
"""Seconds for one statement; none of them is in a hurry."""
LOCK_LIMIT = 2.0
"""Seconds to wait for the lock on a chunk: whoever wants that chunk meanwhile, late rows too, waits behind us."""
PRUNED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What came of dropping a table's expired chunks."""

    outcome: Literal["done", "locked_elsewhere", "policy"]
    """``policy``: on the community edition TimescaleDB does it, ``locked_elsewhere``: another session is at it."""
    chunks: Sequence[str] = ()


class Upkeep:
    """Does one chore at a time, each in a session of its own to the primary; raises the sink's errors."""

    def __init__(self, url: str, *, application_name: str) -> None:
        self._url, self._application_name = url, application_name
        self._engine = create_engine("postgresql+psycopg://", creator=self._connect, poolclass=NullPool)

    def drop_expired(self, table: str) -> Dropped:
        """Drop the chunks of a table that are older than its retention.

        A query that reads an expired chunk for longer than LOCK_LIMIT makes this a TransientError.
        """
        with self._session() as session:
            if is_community(session.connection()):
                return Dropped(outcome="policy")
            session.execute(_LOCK_LIMIT, {"limit": f"{LOCK_LIMIT}s"})
            chunks: list[str] | None = session.scalar(_DROP, {"table": f'"{PUBLIC}"."{table}"'})
        return Dropped(outcome="locked_elsewhere") if chunks is None else Dropped(outcome="done", chunks=chunks)

    def prune_flushes(self, *, sink_id: str, topic: str, keep: timedelta) -> int:
        """Remove the ledger's entries, of a sink and its replays, that are older than ``keep``; give their number.

        Of each partition the oldest entries go, up to the first one younger than that, so that what is left is still a
        chain without a hole. A partition without a younger entry keeps all: nothing is added there either, and a
        stretch that its last entry left out may have been read by a replay.
        """
        pruned = 0
        names = {"sink_id": sink_id, "topic": topic, "keep": keep, "count": PRUNED_AT_ONCE}
        while True:
            with self._session() as session:
                removed = len(session.execute(_PRUNE, names).all())
            pruned += removed
            if removed < PRUNED_AT_ONCE:
                return pruned

    def measured(self, table: str) -> standing.Stored | None:
        """Look at a hypertable's chunks and size."""
        with self._session() as session:
            return standing.stored(session, [table]).get(table)

    def quarantined(self, *, sink_id: str, topic: str) -> standing.Quarantined:
        """Count what a sink has in quarantine."""
        with self._session() as session:
            return standing.quarantined(session, sink_id=sink_id, topic=topic)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        try:
            with Session(self._engine) as session, cut_after(driver_of(session), STATEMENT_LIMIT * 1.5):
                standing.limit_statements(session, STATEMENT_LIMIT)
                yield session
                session.commit()
        except SQLAlchemyError as error:
            raise translate(error) from error

    def _connect(self) -> psycopg.Connection:
        connection = open_connection(self._url, application_name=self._application_name)
        connection.autocommit = False  # SQLAlchemy begins and commits
        return connection


_LOCK_LIMIT = text("SELECT set_config('lock_timeout', :limit, true)")
_DROP = text("SELECT sink.drop_expired_chunks(CAST(:table AS regclass))")
# What is older than a partition's first young entry has a lower id. Entries that another replica is removing are left
# to it. By the primary key from its lowest on: what stands there is what goes.
_PRUNE = text(
    """
    WITH young AS MATERIALIZED (
        SELECT p.partition, f.id FROM sink.positions p CROSS JOIN LATERAL (
            SELECT l.id FROM sink.flushes l
            WHERE l.sink_id = p.sink_id AND l.topic = p.topic AND l.partition = p.partition
                AND l.committed_at >= clock_timestamp() - CAST(:keep AS interval)
            ORDER BY l.id LIMIT 1
        ) f WHERE p.sink_id = :sink_id AND p.topic = :topic
    )
    DELETE FROM sink.flushes WHERE id IN (
        SELECT o.id FROM sink.flushes o JOIN young y ON o.partition = y.partition AND o.id < y.id
        WHERE o.topic = :topic AND o.id < (SELECT max(id) FROM young)
            AND (o.sink_id = :sink_id OR starts_with(o.sink_id, :sink_id || '/replay/'))
        ORDER BY o.id LIMIT :count FOR UPDATE OF o SKIP LOCKED
    ) RETURNING id
    """
)
