"""What replays and operators change in the ledger: quarantined messages that pass, positions that are moved.

Every function works on an open transaction of its caller; none commits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import psycopg
from psycopg import sql

from sink.db.quarantined import STATE, Place, State
from sink.errors import DefinitionError
from sink.ledger import Claim, Entry, Kind, Source, advance, record


def mark_replayed(
    cursor: psycopg.Cursor, source: Source, entries: Sequence[Entry], passed: Callable[[], set[Place]]
) -> None:
    """Mark the quarantined messages of these stretches that have passed now; ``passed`` is asked only if there are any.

    A message that gave way to a newer version within its batch has passed too: how messages fall into batches must not
    show.
    """
    kept = cursor.execute(
        'SELECT q.partition, q."offset" FROM unnest(%s::int[], %s::bigint[], %s::bigint[])'
        " AS t(partition, from_offset, to_offset) JOIN sink.quarantine q ON q.partition = t.partition"
        ' AND q."offset" >= t.from_offset AND q."offset" < t.to_offset'
        " WHERE q.sink_id = %s AND q.topic = %s AND q.replayed_at IS NULL",
        (
            [entry.partition for entry in entries],
            [entry.from_offset for entry in entries],
            [entry.to_offset for entry in entries],
            source.keeper,
            source.topic,
        ),
    ).fetchall()
    places = passed().intersection(kept) if kept else set()
    if places:
        mark_passed(cursor, source, places)


def mark_passed(cursor: psycopg.Cursor, source: Source, places: Collection[Place]) -> None:
    """Mark quarantined messages that have become rows, or gave way to newer ones."""
    cursor.execute(
        "UPDATE sink.quarantine q SET replayed_at = now()"
        ' FROM unnest(%s::int[], %s::bigint[]) AS t(partition, "offset") WHERE q.sink_id = %s AND q.topic = %s'
        ' AND q.partition = t.partition AND q."offset" = t."offset"',
        ([place[0] for place in places], [place[1] for place in places], source.keeper, source.topic),
    )


def lock_quarantined(
    cursor: psycopg.Cursor, source: Source, places: Collection[Place], states: Collection[State]
) -> set[Place]:
    """Lock those of the messages that are in one of these states; two retries of the same never meet in a circle."""
    cursor.execute(
        _LOCK,
        (
            [place[0] for place in places],
            [place[1] for place in places],
            source.keeper,
            source.topic,
            list(states),
        ),
    )
    return {(partition, offset) for partition, offset in cursor.fetchall()}


def move(
    cursor: psycopg.Cursor, source: Source, targets: Mapping[int, int], *, owner: str, reason: str | None
) -> dict[int, int]:
    """Set positions as an operator wants them and record it; give where each stood. Partitions without one are left.

    The claims stay: a replica that reads such a partition finds its position moved, at its next flush or when it next
    compares positions, and reads on from there. Raises DefinitionError for a move forward without a reason.
    """
    rows = cursor.execute(
        "SELECT partition, next_offset, claim_token, claim_seq FROM sink.positions"
        " WHERE sink_id = %s AND topic = %s AND partition = ANY(%s) ORDER BY partition FOR UPDATE",
        (source.sink_id, source.topic, sorted(targets)),
    ).fetchall()
    ahead = [partition for partition, now, _, _ in rows if targets[partition] > now]
    if ahead and reason is None:
        raise DefinitionError(
            f"partition {', '.join(map(str, ahead))} stands before that offset: messages would be left out. If that is"
            " meant, say why with --skip REASON"
        )
    moves: dict[Kind, list[Entry]] = {"rewind": [], "skip": []}
    for partition, now, token, seq in rows:
        target = targets[partition]
        claimed = Claim(partition=partition, token=token, seq=seq, start=now)
        entry = Entry(partition=partition, from_offset=now, to_offset=target, claim=claimed)
        if target != now:
            moves["rewind" if target < now else "skip"].append(entry)
    for kind, entries in moves.items():
        if entries:
            record(cursor, source, entries, kind=kind, owner=owner, reason=reason)
            advance(cursor, source, entries)
    return {partition: now for partition, now, _, _ in rows}


_LOCK = sql.SQL("""
SELECT q.partition, q."offset"
FROM sink.quarantine q
JOIN unnest(%s::int[], %s::bigint[]) AS t(partition, "offset") ON q.partition = t.partition AND q."offset" = t."offset"
WHERE q.sink_id = %s AND q.topic = %s AND {state} = ANY(%s)
ORDER BY q.partition, q."offset" FOR UPDATE OF q
""").format(state=sql.SQL(STATE))
