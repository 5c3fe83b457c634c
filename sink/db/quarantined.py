"""What stands in quarantine: filters, pages, counts, whole messages, and the mark that one is given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, false, func, literal_column, or_, select, true, tuple_, update
from sqlalchemy.orm import Session

from sink.db.models import Quarantine

State = Literal["open", "replayed", "dropped"]
"""``open`` waits for somebody; ``replayed`` has become a row after all; ``dropped`` was given up, with a reason."""

Place = tuple[int, int]
"""Partition and offset of a message."""

STATE = "CASE WHEN replayed_at IS NOT NULL THEN 'replayed' WHEN dropped_at IS NOT NULL THEN 'dropped' ELSE 'open' END"
"""Says in SQL what the columns of a row mean."""

_STATE: ColumnElement[str] = literal_column(STATE)
_place = tuple_(Quarantine.partition, Quarantine.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One end of a stretch: offsets by partition, and Kafka's record time for the partitions that have none."""

    offsets: Mapping[int, int] = field(default_factory=dict)
    moment: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which kept messages of one sink are meant; an empty collection leaves nothing out.

    Where ``start`` has offsets and no time, only its partitions are meant. Ends are exclusive.
    """

    sink_id: str
    topic: str
    states: Collection[State]
    places: Collection[Place] = ()
    reasons: Collection[str] = ()
    schema_ids: Collection[str] = ()
    partitions: Collection[int] = ()
    start: Edge = field(default_factory=Edge)
    end: Edge = field(default_factory=Edge)
    since: datetime | None = None
    """Quarantined at or after this."""
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A kept message without its content; ``size`` is that of key and value, in bytes."""

    partition: int
    offset: int
    state: State
    reason: str
    error: str
    sqlstate: str | None
    schema_id: str | None
    kafka_at: datetime | None
    quarantined_at: datetime
    replayed_at: datetime | None
    dropped_at: datetime | None
    drop_reason: str | None
    size: int

    @property
    def place(self) -> Place:
        """Where it stands in the topic."""
        return self.partition, self.offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A kept message whole; the values of ``headers`` are base64, as the table holds them."""

    entry: Entry
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many messages of one reason and writer schema are kept, by state; sizes in bytes."""

    reason: str
    schema_id: str | None
    states: Mapping[State, int]
    size: int
    first: datetime
    last: datetime


def entries(session: Session, wanted: Wanted, *, limit: int, after: Place | None = None) -> list[Entry]:
    """Give a page of what is meant, by partition and offset, beginning behind ``after``."""
    query = select(*_ENTRY).where(*_meant(wanted)).order_by(Quarantine.partition, Quarantine.offset).limit(limit)
    if after is not None:
        query = query.where(_place > after)
    return [Entry(**row) for row in session.execute(query).mappings()]


def kept(session: Session, sink_id: str, topic: str, places: Collection[Place]) -> list[Kept]:
    """Give these messages whole, by partition and offset; those that are not there are left out."""
    query = (
        select(*_ENTRY, Quarantine.key, Quarantine.value, Quarantine.headers)
        .where(Quarantine.sink_id == sink_id, Quarantine.topic == topic, _place.in_(places))
        .order_by(Quarantine.partition, Quarantine.offset)
    )
    return [_kept(dict(row)) for row in session.execute(query).mappings()]


def counts(session: Session, wanted: Wanted) -> list[Count]:
    """Count what is meant by reason and writer schema, most frequent first."""
    query = (
        select(
            Quarantine.reason,
            Quarantine.schema_id,
            *(func.count().filter(_STATE.in_([state])).label(state) for state in _STATES),
            func.sum(_SIZE).label("size"),
            func.min(Quarantine.quarantined_at).label("first"),
            func.max(Quarantine.quarantined_at).label("last"),
        )
        .where(*_meant(wanted))
        .group_by(Quarantine.reason, Quarantine.schema_id)
        .order_by(func.count().desc(), Quarantine.reason, Quarantine.schema_id)
    )
    return [
        Count(
            reason=row["reason"],
            schema_id=row["schema_id"],
            states={state: row[state] for state in _STATES},
            size=int(row["size"]),
            first=row["first"],
            last=row["last"],
        )
        for row in session.execute(query).mappings()
    ]


def drop(session: Session, wanted: Wanted, *, reason: str) -> Counter[str]:
    """Give up what is meant, and keep why; counts it by the reason for which it is in quarantine."""
    dropped = (
        update(Quarantine)
        .where(*_meant(wanted))
        .values(dropped_at=func.now(), drop_reason=reason)
        .returning(Quarantine.reason)
        .execution_options(synchronize_session=False)
    )
    return Counter(session.scalars(dropped))


def moment(session: Session) -> datetime:
    """Give the database's time."""
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


def _meant(wanted: Wanted) -> list[ColumnElement[bool]]:
    table = Quarantine
    conditions: list[ColumnElement[bool]] = [
        table.sink_id == wanted.sink_id,
        table.topic == wanted.topic,
        _STATE.in_(wanted.states),
        _edge(wanted.start, table.offset.__ge__, table.kafka_at.__ge__, others=not wanted.start.offsets),
        _edge(wanted.end, table.offset.__lt__, table.kafka_at.__lt__, others=True),
    ]
    if wanted.places:
        conditions.append(_place.in_(wanted.places))
    lists = ((table.reason, wanted.reasons), (table.schema_id, wanted.schema_ids), (table.partition, wanted.partitions))
    conditions += [column.in_(values) for column, values in lists if values]
    if wanted.since is not None:
        conditions.append(table.quarantined_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(table.quarantined_at < wanted.until)
    return conditions


def _edge(edge: Edge, by_offset: Any, by_moment: Any, *, others: bool) -> ColumnElement[bool]:
    """Compare with an end of a stretch; ``others`` says whether partitions without a bound are meant."""
    if edge.moment is not None:
        rest: ColumnElement[bool] = by_moment(edge.moment)
    else:
        rest = true() if others else false()
    if not edge.offsets:
        return rest
    own = [and_(Quarantine.partition == number, by_offset(offset)) for number, offset in edge.offsets.items()]
    return or_(*own, and_(Quarantine.partition.not_in(edge.offsets), rest))


def _kept(row: dict[str, Any]) -> Kept:
    key, value, headers = (row.pop(name) for name in ("key", "value", "headers"))
    return Kept(
        entry=Entry(**row),
        key=key,
        value=value,
        headers=[(name, encoded) for name, encoded in headers or ()],
    )


_STATES: tuple[State, ...] = ("open", "replayed", "dropped")
_SIZE = func.coalesce(func.octet_length(Quarantine.key), 0) + func.coalesce(func.octet_length(Quarantine.value), 0)
_ENTRY = (
    Quarantine.partition,
    Quarantine.offset,
    _STATE.label("state"),
    Quarantine.reason,
    Quarantine.error,
    Quarantine.sqlstate,
    Quarantine.schema_id,
    Quarantine.kafka_at,
    Quarantine.quarantined_at,
    Quarantine.replayed_at,
    Quarantine.dropped_at,
    Quarantine.drop_reason,
    _SIZE.label("size"),
)
