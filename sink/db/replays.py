"""The table of replays: who reads which stretch again, whether he is still at it, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from sink.db.models import Flush, Position, Replay
from sink.errors import ConfigError, TransientError

ALIVE_SECONDS = 30
"""A replay that has not been heard of for so long is taken for dead."""

BEAT = "UPDATE sink.replays SET seen_at = now() WHERE id = %s AND owner = %s"
"""Says that a replay's owner lives."""

COUNTS = ("messages", "rows_written", "rows_not_newer", "rows_deduplicated", "ignored", "late", "quarantined")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A replay as the database knows it; ``ranges`` are offsets [from, to) by partition."""

    id: str
    sink_id: str
    topic: str
    ranges: Mapping[int, tuple[int, int]]
    symbols: tuple[str, ...] | None
    owner: str
    """Who is at it; empty where it was stopped in good order."""
    created_at: datetime
    seen_at: datetime
    """When its owner was last heard of."""
    finished_at: datetime | None
    alive: bool
    positions: Mapping[int, int]
    """The next offset of each partition that was begun, while it is not finished."""

    @property
    def positions_id(self) -> str:
        """The ``sink_id`` of its positions and flushes."""
        return f"{self.sink_id}/replay/{self.id}"

    @property
    def done(self) -> int:
        """How many offsets are durable."""
        if self.finished_at is not None:
            return self.total
        return sum(self.positions.get(number, start) - start for number, (start, _) in self.ranges.items())

    @property
    def total(self) -> int:
        """How many offsets it spans."""
        return sum(end - start for start, end in self.ranges.values())

    def overlaps(self, ranges: Mapping[int, tuple[int, int]]) -> bool:
        """Say whether any offset is in both."""
        return any(
            number in self.ranges and start < self.ranges[number][1] and self.ranges[number][0] < end
            for number, (start, end) in ranges.items()
        )


def register(
    session: Session,
    *,
    replay_id: str,
    sink_id: str,
    topic: str,
    ranges: Mapping[int, tuple[int, int]],
    symbols: Collection[str],
    owner: str,
) -> list[Known]:
    """Note a new replay; give the dead ones whose ranges overlap it.

    Raises TransientError while one that lives overlaps it: both would do the same work.
    """
    # one at a time: two that begin at once would not see each other
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"sink replay {sink_id} {topic}"}
    )
    rivals = [one for one in unfinished(session, sink_id=sink_id, topic=topic) if one.overlaps(ranges)]
    for one in rivals:
        if one.alive:
            raise TransientError(
                f"replay {one.id} reads an overlapping range already: {one.owner} is at it, {one.done} of {one.total}"
                f" offsets are done, last heard of at {one.seen_at:%Y-%m-%d %H:%M:%S} UTC. Wait for its end, or stop it"
            )
    session.add(
        Replay(
            id=replay_id,
            sink_id=sink_id,
            topic=topic,
            ranges={str(number): list(bounds) for number, bounds in ranges.items()},
            symbols=sorted(symbols) or None,
            owner=owner,
        )
    )
    return rivals


def take(session: Session, *, replay_id: str, sink_id: str, owner: str) -> Known:
    """Make ``owner`` the one who goes on with a replay, and give it as it was before.

    Raises ConfigError for one that does not exist, belongs to another dataset or is finished.
    """
    found = _unfinished(session, replay_id, sink_id)
    session.execute(update(Replay).where(Replay.id == replay_id).values(owner=owner, seen_at=func.now()))
    return found


def discard(session: Session, *, replay_id: str, sink_id: str) -> Known:
    """Forget a replay that nobody will go on with: its entry and its positions; its flushes stay, as its rows do.

    Raises TransientError while its owner lives, ConfigError as :func:`take` does.
    """
    found = _unfinished(session, replay_id, sink_id)
    if found.alive:
        raise TransientError(
            f"replay {replay_id} lives: {found.owner} was heard of at {found.seen_at:%Y-%m-%d %H:%M:%S} UTC. Stop it"
            f" first; one that died is taken for dead after {ALIVE_SECONDS:g} seconds"
        )
    session.execute(delete(Replay).where(Replay.id == replay_id))
    _delete_positions(session, found)
    return found


def _unfinished(session: Session, replay_id: str, sink_id: str) -> Known:
    found = get(session, replay_id)
    if found is None or found.sink_id != sink_id:
        where = "" if found is None else f"; {replay_id} belongs to {found.sink_id}"
        raise ConfigError(f"{sink_id} has no replay {replay_id}{where}. See them with: sink replay --list")
    if found.finished_at is not None:
        raise ConfigError(
            f"replay {replay_id} was finished at {found.finished_at:%Y-%m-%d %H:%M:%S} UTC; begin a new one with --from"
        )
    return found


def release(session: Session, *, replay_id: str, owner: str) -> None:
    """Note that the owner stopped in good order; another may begin at once."""
    session.execute(update(Replay).where(Replay.id == replay_id, Replay.owner == owner).values(owner=""))


def owner_of(session: Session, replay_id: str) -> str | None:
    """Say who is at a replay; None where it is gone."""
    return session.scalar(select(Replay.owner).where(Replay.id == replay_id))


def finish(session: Session, known: Known, *, totals: Mapping[str, Any]) -> None:
    """Note the end of a replay and what came of it; its positions go, its flushes stay as the proof."""
    session.execute(
        update(Replay).where(Replay.id == known.id).values(finished_at=func.now(), seen_at=func.now(), totals=totals)
    )
    _delete_positions(session, known)


def _delete_positions(session: Session, known: Known) -> None:
    session.execute(delete(Position).where(Position.sink_id == known.positions_id, Position.topic == known.topic))


def counts(session: Session, known: Known) -> dict[str, int]:
    """Add up what all runs of a replay did, by the ledger."""
    columns = [func.coalesce(func.sum(getattr(Flush, name)), 0) for name in COUNTS]
    query = select(*columns).where(Flush.sink_id == known.positions_id, Flush.topic == known.topic)
    return {name: int(value) for name, value in zip(COUNTS, session.execute(query).one(), strict=True)}


def get(session: Session, replay_id: str) -> Known | None:
    """Give one replay."""
    replay = session.get(Replay, replay_id)
    return None if replay is None else _known(session, replay)


def unfinished(session: Session, *, sink_id: str, topic: str) -> list[Known]:
    """List the replays of a sink that have not reached their end, the oldest first."""
    query = select(Replay).where(Replay.sink_id == sink_id, Replay.topic == topic, Replay.finished_at.is_(None))
    return [_known(session, replay) for replay in session.scalars(query.order_by(Replay.created_at))]


def listed(session: Session, sink_ids: Collection[str]) -> list[Known]:
    """List the replays of these sinks, the oldest first."""
    query = select(Replay).where(Replay.sink_id.in_(sink_ids)).order_by(Replay.created_at)
    return [_known(session, replay) for replay in session.scalars(query)]


def _known(session: Session, replay: Replay) -> Known:
    now = session.execute(select(func.now())).scalar_one()
    positions = session.execute(
        select(Position.partition, Position.next_offset, Position.updated_at).where(
            Position.sink_id == f"{replay.sink_id}/replay/{replay.id}", Position.topic == replay.topic
        )
    ).all()
    seen_at = max([replay.seen_at, *(updated for _, _, updated in positions)])
    quiet = (now - seen_at).total_seconds()
    return Known(
        id=replay.id,
        sink_id=replay.sink_id,
        topic=replay.topic,
        ranges={int(number): (bounds[0], bounds[1]) for number, bounds in replay.ranges.items()},
        symbols=None if replay.symbols is None else tuple(replay.symbols),
        owner=replay.owner,
        created_at=replay.created_at,
        seen_at=seen_at,
        finished_at=replay.finished_at,
        alive=replay.finished_at is None and replay.owner != "" and quiet < ALIVE_SECONDS,
        positions={number: offset for number, offset, _ in positions},
    )
