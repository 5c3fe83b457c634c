"""The sink's own tables: positions (with the fence), flushes and quarantine, and their SQL.

Every function works on an open transaction of its caller; none commits.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import psycopg
from psycopg import sql

from sink.batch import Rejected, recorded_at
from sink.errors import DefinitionError

Kind = Literal["flush", "replay", "rewind", "skip", "gap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Whose positions: one sink (a consumer group's id) reading one topic, or one of its replays.

    A replay has positions and flushes of its own, but quarantines as the sink whose messages it reads again.
    """

    sink_id: str
    topic: str
    replay_id: str | None = None
    replay_of: str | None = None
    """The sink whose messages are replayed."""

    @property
    def keeper(self) -> str:
        """The sink under whose id bad messages are kept."""
        return self.replay_of or self.sink_id

    @property
    def kind(self) -> Kind:
        """What a flush is called in the ledger."""
        return "flush" if self.replay_id is None else "replay"


def replay_of(sink: Source, replay_id: str) -> Source:
    """Give the source of one of a sink's replays."""
    return Source(
        sink_id=f"{sink.sink_id}/replay/{replay_id}", topic=sink.topic, replay_id=replay_id, replay_of=sink.sink_id
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A position row under lock: what stands in the database while the transaction lasts."""

    next_offset: int
    token: UUID
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What Kafka says of a partition when it is claimed.

    ``log_start`` is the first offset that still exists. ``initial`` is where a sink that has never seen this topic
    begins. ``committed`` is the group's commit, ``marked`` whether this package wrote it.
    """

    partition: int
    log_start: int
    initial: Mapping[int, int]
    committed: int | None = None
    marked: bool = False
    topic_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A partition is ours from ``start`` on, until somebody else claims it."""

    partition: int
    token: UUID
    seq: int
    start: int
    rewound_from: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One partition's share of a flush, as the ledger keeps it; offsets are [from, to)."""

    partition: int
    from_offset: int
    to_offset: int
    claim: Claim
    leader_epoch: int | None = None
    messages: int = 0
    rows_written: int = 0
    rows_not_newer: int = 0
    rows_deduplicated: int = 0
    ignored: int = 0
    late: int = 0
    quarantined: int = 0
    first_event_at: datetime | None = None
    last_event_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Where the time of a batch went, in seconds; `sink.db.models.Flush` says what each means."""

    filled: float
    waited: float
    written: float = 0.0


def recognise(cursor: psycopg.Cursor, sink_id: str, cluster_id: str, group_id: str) -> None:
    """Remember which Kafka cluster this sink reads; refuse another one: its offsets mean other messages."""
    cursor.execute(
        "INSERT INTO sink.sinks (sink_id, kafka_cluster_id, group_id) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (sink_id, cluster_id, group_id),
    )
    row = cursor.execute("SELECT kafka_cluster_id FROM sink.sinks WHERE sink_id = %s", (sink_id,)).fetchone()
    if row is None or row[0] != cluster_id:
        known = row[0] if row else None
        raise DefinitionError(
            f"sink {sink_id} has read Kafka cluster {known}, but this is cluster {cluster_id}: its positions do not"
            " fit. Point SINK_KAFKA__BOOTSTRAP_SERVERS at the old cluster, or choose another SINK_GROUP_PREFIX"
        )


def others(cursor: psycopg.Cursor, sink_id: str, dataset: str) -> list[str]:
    """Name the other sinks (not replays of ours) that have positions for this dataset."""
    found = cursor.execute(
        "SELECT DISTINCT sink_id FROM sink.positions"
        " WHERE sink_id <> %(own)s AND NOT starts_with(sink_id, %(own)s || '/')"
        " AND right(sink_id, %(length)s) = %(end)s",
        {"own": sink_id, "end": f".{dataset}", "length": len(dataset) + 1},
    ).fetchall()
    return sorted(row[0] for row in found)


def lock(source: Source, partitions: Sequence[int]) -> sql.Composed:
    """Give the statement that locks the position rows, in order of partition; :func:`locked` reads its answer."""
    return sql.SQL(
        "SELECT partition, next_offset, claim_token, owner, clock_timestamp() FROM sink.positions"
        " WHERE sink_id = {} AND topic = {} AND partition = ANY({}) ORDER BY topic, partition FOR UPDATE"
    ).format(source.sink_id, source.topic, sorted(partitions))


def locked(cursor: psycopg.Cursor) -> tuple[datetime | None, dict[int, Locked]]:
    """Give what stands in the locked rows, and the database's time if there are any.

    Never this host's time, which may be wrong by an hour or jump.
    """
    rows = cursor.fetchall()
    return rows[0][4] if rows else None, {
        row[0]: Locked(next_offset=row[1], token=row[2], owner=row[3]) for row in rows
    }


def positions(cursor: psycopg.Cursor, source: Source) -> dict[int, Locked]:
    """Read, without locking, where every partition of the topic stands."""
    cursor.execute(
        "SELECT partition, next_offset, claim_token, owner FROM sink.positions WHERE sink_id = %s AND topic = %s",
        (source.sink_id, source.topic),
    )
    return {row[0]: Locked(next_offset=row[1], token=row[2], owner=row[3]) for row in cursor.fetchall()}


def claim(cursor: psycopg.Cursor, source: Source, start: Start, *, token: UUID, owner: str) -> Claim:
    """Take a partition: wait for its present owner's flush, put our token into the row, resolve and store the start.

    The database row decides where reading starts. A Kafka commit counts only as an operator's rewind: lower than the
    row and without our mark. A partition without a row starts at its log's start if the topic is already known,
    because it was added later and nothing of it may be missed; else where the initial offset says.
    """
    key = (source.sink_id, source.topic, start.partition)
    # a topic never seen gets the rows of all its partitions at once, so that "added later" is exact from then on
    known = cursor.execute("SELECT 1 FROM sink.positions WHERE sink_id = %s AND topic = %s LIMIT 1", key[:2]).fetchone()
    starts = dict(start.initial) if known is None else {start.partition: start.log_start}
    starts.setdefault(start.partition, start.log_start)
    cursor.executemany(
        "INSERT INTO sink.positions (sink_id, topic, partition, topic_id, next_offset, claim_token, claim_seq, owner)"
        " VALUES (%s, %s, %s, %s, %s, gen_random_uuid(), 0, '') ON CONFLICT DO NOTHING",
        [(*key[:2], partition, start.topic_id, starts[partition]) for partition in sorted(starts)],
    )
    row = cursor.execute(
        "UPDATE sink.positions SET claim_token = %s, claim_seq = claim_seq + 1, owner = %s, claimed_at = now(),"
        " updated_at = now() WHERE sink_id = %s AND topic = %s AND partition = %s"
        " RETURNING next_offset, claim_seq, topic_id",
        (token, owner, *key),
    ).fetchone()
    if row is None:
        raise DefinitionError(f"the position row of {source.topic}/{start.partition} vanished during its claim")
    next_offset, seq, topic_id = row
    same_topic(source, start.topic_id, topic_id)
    claimed = Claim(partition=start.partition, token=token, seq=seq, start=next_offset)
    if start.committed is not None and not start.marked and start.committed < next_offset:
        return _rewind(cursor, source, claimed, start.committed, owner)
    return claimed


def same_topic(source: Source, topic_id: str | None, stored: str | None) -> None:
    """Refuse positions that were stored for another topic of the same name; None is not known, and passes."""
    if stored and topic_id and stored != topic_id:
        raise DefinitionError(
            f"topic {source.topic} was deleted and made anew (id {stored} became {topic_id}): the stored offsets"
            f" mean other messages. If the new topic is right, remove the rows of sink_id '{source.sink_id}' and this"
            " topic from sink.positions; the sink then starts at the initial offset"
        )


def _rewind(cursor: psycopg.Cursor, source: Source, claimed: Claim, target: int, owner: str) -> Claim:
    cursor.execute(
        "UPDATE sink.positions SET next_offset = %s WHERE sink_id = %s AND topic = %s AND partition = %s",
        (target, source.sink_id, source.topic, claimed.partition),
    )
    entry = Entry(partition=claimed.partition, from_offset=claimed.start, to_offset=target, claim=claimed)
    record(cursor, source, [entry], kind="rewind", owner=owner)
    return Claim(
        partition=claimed.partition, token=claimed.token, seq=claimed.seq, start=target, rewound_from=claimed.start
    )


def advance(cursor: psycopg.Cursor, source: Source, entries: Sequence[Entry]) -> None:
    """Move the positions; every row must still carry our token, which the lock guarantees."""
    cursor.execute(
        "UPDATE sink.positions p SET next_offset = t.next_offset, updated_at = now(),"
        " leader_epoch = COALESCE(t.leader_epoch, p.leader_epoch)"
        " FROM unnest(%s::int[], %s::bigint[], %s::int[], %s::uuid[]) AS t(partition, next_offset, leader_epoch, token)"
        " WHERE p.sink_id = %s AND p.topic = %s AND p.partition = t.partition AND p.claim_token = t.token",
        (
            [entry.partition for entry in entries],
            [entry.to_offset for entry in entries],
            [entry.leader_epoch for entry in entries],
            [entry.claim.token for entry in entries],
            source.sink_id,
            source.topic,
        ),
    )
    if cursor.rowcount != len(entries):
        raise DefinitionError(f"moved {cursor.rowcount} of {len(entries)} positions of {source.topic} under lock")


_COUNTED = ("messages", "rows_written", "rows_not_newer", "rows_deduplicated", "ignored", "late", "quarantined")
_TIMES = {"flushes": "int", "filled_seconds": "real", "waited_seconds": "real", "written_seconds": "real"}
_RECORD = f"""
WITH part AS (
    SELECT * FROM unnest(
        %(partition)s::int[], %(from_offset)s::bigint[], %(to_offset)s::bigint[], %(claim_seq)s::bigint[],
        %(first_event_at)s::timestamptz[], %(last_event_at)s::timestamptz[],
        {", ".join(f"%({name})s::bigint[]" for name in _COUNTED)}
    ) AS t(partition, from_offset, to_offset, claim_seq, first_event_at, last_event_at, {", ".join(_COUNTED)})
), extended AS (
    UPDATE sink.flushes f SET to_offset = p.to_offset, committed_at = clock_timestamp(),
        first_event_at = LEAST(f.first_event_at, p.first_event_at),
        last_event_at = GREATEST(f.last_event_at, p.last_event_at),
        schema_ids = ARRAY(SELECT DISTINCT s FROM unnest(f.schema_ids || %(schema_ids)s::text[]) AS s ORDER BY s),
        {", ".join(f"{name} = f.{name} + p.{name}" for name in _COUNTED)},
        {", ".join(f"{name} = f.{name} + %({name})s::{kind}" for name, kind in _TIMES.items())}
    FROM part p
    WHERE f.id = (SELECT l.id FROM sink.flushes l WHERE l.sink_id = %(sink_id)s AND l.topic = %(topic)s
                  AND l.partition = p.partition ORDER BY l.id DESC LIMIT 1)
        AND f.to_offset = p.from_offset AND f.claim_seq = p.claim_seq AND f.kind = %(kind)s
        AND f.kind IN ('flush', 'replay') AND f.opened_at > clock_timestamp() - interval '60 seconds'
    RETURNING f.partition
)
INSERT INTO sink.flushes (sink_id, topic, partition, from_offset, to_offset, claim_seq, owner, kind, replay_id,
    reason, schema_ids, first_event_at, last_event_at, opened_at, committed_at, {", ".join((*_COUNTED, *_TIMES))})
SELECT %(sink_id)s, %(topic)s, partition, from_offset, to_offset, claim_seq, %(owner)s, %(kind)s, %(replay_id)s,
    %(reason)s, %(schema_ids)s::text[], first_event_at, last_event_at, clock_timestamp(), clock_timestamp(),
    {", ".join(_COUNTED)}, {", ".join(f"%({name})s::{kind}" for name, kind in _TIMES.items())}
FROM part p WHERE NOT EXISTS (SELECT FROM extended e WHERE e.partition = p.partition)
"""  # noqa: S608 (only the column names above are composed)


def record(
    cursor: psycopg.Cursor,
    source: Source,
    entries: Sequence[Entry],
    *,
    kind: Kind,
    owner: str,
    schema_ids: Iterable[str] = (),
    reason: str | None = None,
    times: Times | None = None,
) -> None:
    """Account for the offsets of a flush; a contiguous row of the same claim, younger than 60 s, is extended.

    Each partition gets the ``times`` of the whole flush, so that a mean of one partition's is true.
    """
    names = ("partition", "from_offset", "to_offset", "first_event_at", "last_event_at", *_COUNTED)
    arrays = {name: [getattr(entry, name) for entry in entries] for name in names}
    cursor.execute(
        _RECORD,
        arrays
        | {
            "claim_seq": [entry.claim.seq for entry in entries],
            "sink_id": source.sink_id,
            "topic": source.topic,
            "kind": kind,
            "owner": owner,
            "replay_id": source.replay_id,
            "reason": reason,
            "schema_ids": sorted(schema_ids),
            "flushes": None if times is None else 1,
            "filled_seconds": None if times is None else times.filled,
            "waited_seconds": None if times is None else times.waited,
            "written_seconds": None if times is None else times.written,
        },
    )


def quarantine(cursor: psycopg.Cursor, sink_id: str, topic: str, rejected: Iterable[Rejected]) -> None:
    """Keep bad messages whole, with the reason; quarantining one again clears that it was replayed."""
    cursor.executemany(
        'INSERT INTO sink.quarantine (sink_id, topic, partition, "offset", reason, error, sqlstate, schema_id, key,'
        " value, headers, kafka_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s)"
        ' ON CONFLICT (sink_id, topic, partition, "offset") DO UPDATE SET reason = EXCLUDED.reason,'
        " error = EXCLUDED.error, sqlstate = EXCLUDED.sqlstate, schema_id = EXCLUDED.schema_id,"
        " quarantined_at = now(), replayed_at = NULL",
        [
            (
                sink_id,
                topic,
                row.partition,
                row.offset,
                row.reason,
                _printable(row.error),
                row.sqlstate,
                row.schema_id,
                row.key,
                row.value,
                _headers(row.headers),
                recorded_at(row.timestamp),
            )
            for row in rejected
        ],
    )


def _printable(text: str) -> str:
    # an error may quote the very bytes that PostgreSQL refuses
    return text.encode("unicode_escape", "surrogateescape").decode("ascii") if not text.isprintable() else text


def _headers(headers: Sequence[tuple[str, bytes | None]] | None) -> str | None:
    if not headers:
        return None
    return json.dumps(
        [
            [_printable(name), None if value is None else base64.b64encode(value).decode("ascii")]
            for name, value in headers
        ]
    )
