"""Puts together what Kafka and the database tell of each dataset: positions, lag, rate, freshness, storage. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sink.db.standing import Entered, Progress, Quarantined, Stood, Stored
from sink.errors import SinkError
from sink.inspection.asking import Answer
from sink.kafka.log import Committed
from sink.kafka.standing import GroupStanding, TopicStanding
from sink.ledger import Source

MINUTE = 60.0
WINDOW = 300.0
"""Seconds over which the ledger's last entries are added up."""
BUCKETS = 20
"""Parts of the window, for the course of the rate."""
COUNTED = ("messages", "rows_written", "rows_not_newer", "rows_deduplicated", "ignored", "late", "quarantined")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaView:
    """What the brokers told of one dataset; what is None or empty has its reason in ``notes``."""

    topic: TopicStanding | None = None
    commits: Mapping[int, Committed] = field(default_factory=dict)
    group: GroupStanding | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """What the database told of one dataset."""

    progress: Progress
    newest: datetime | None
    quarantined: Quarantined
    stored: Stored | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaTold:
    """What the brokers told, by dataset."""

    cluster_id: str
    views: Mapping[str, KafkaView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One partition; what nobody told is None."""

    partition: int
    owner: str | None = None
    member: bool | None = None
    """Whether the group has given the partition to somebody."""
    position: int | None = None
    log_start: int | None = None
    log_end: int | None = None
    lag: int | None = None
    commit: Committed | None = None
    claimed_at: datetime | None = None
    updated_at: datetime | None = None
    last_event_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSplit:
    """Where the time of a flush went, on average, in seconds; docs/operations.md says what is in which."""

    filled: float
    waited: float
    written: float

    @property
    def total(self) -> float:
        """From a batch's first message until it is durable."""
        return self.filled + self.waited + self.written


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStatus:
    """One dataset; what nobody told is None."""

    dataset: str
    source: Source
    parts: Sequence[Part]
    group: GroupStanding | None = None
    lag: int | None = None
    rate: float | None = None
    """Messages a second over the last minute."""
    rates: Sequence[float] = ()
    """The same over the last five minutes, in twenty parts, the oldest first."""
    counts: Mapping[str, int] | None = None
    """What the ledger's entries of the last five minutes counted."""
    split: TimeSplit | None = None
    """Of the same entries; None where there were none, or none of them tells."""
    newest: datetime | None = None
    age: timedelta | None = None
    """The database's time minus the newest event's."""
    quarantined: Quarantined | None = None
    stored: Stored | None = None
    horizon: datetime | None = None
    """Rows older than this are dropped, or soon will be."""
    notes: Sequence[str] = ()

    @property
    def bad_share(self) -> float | None:
        """Give the share of messages that went to quarantine, of those in ``counts``."""
        if self.counts is None:
            return None
        return self.counts["quarantined"] / self.counts["messages"] if self.counts["messages"] else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All datasets at one moment."""

    at: datetime
    """The database's clock where it answers, else this host's."""
    cluster_id: str | None
    kafka_error: SinkError | None
    database_error: SinkError | None
    datasets: Sequence[DatasetStatus]


def together(
    sources: Mapping[str, Source],
    kafka: Answer[KafkaTold],
    tables: Answer[Mapping[str, TableView]],
    *,
    now: datetime,
) -> Status:
    """Join both answers; ``now`` is this host's time."""
    views = {} if kafka.value is None else kafka.value.views
    told = tables.value or {}
    return Status(
        at=next((table.progress.now for table in told.values()), now),
        cluster_id=None if kafka.value is None else kafka.value.cluster_id,
        kafka_error=kafka.error,
        database_error=tables.error,
        datasets=[
            _dataset(name, source, views.get(name), told.get(name), kafka.value) for name, source in sources.items()
        ],
    )


def _dataset(
    name: str, source: Source, view: KafkaView | None, table: TableView | None, kafka: KafkaTold | None
) -> DatasetStatus:
    topic = None if view is None else view.topic
    parts = parts_of(source, view, None if table is None else table.progress)
    lags = [part.lag for part in parts if part.lag is not None]
    group = None if view is None else view.group
    notes = [] if view is None else list(view.notes)
    if table is None:
        return DatasetStatus(dataset=name, source=source, parts=parts, group=group, notes=notes)
    progress = table.progress
    if kafka is not None and progress.cluster_id not in {None, kafka.cluster_id}:
        notes.append(f"the positions belong to Kafka cluster {progress.cluster_id}, not to this one")
    if topic is not None and any(stood.topic_id not in {None, topic.topic_id} for stood in progress.positions.values()):
        notes.append("the topic was made anew since: the positions mean other messages")
    if not progress.positions:
        notes.append(f"{source.sink_id} has never run on this database")
    retain = None if table.stored is None else table.stored.retain
    since = progress.now - timedelta(seconds=WINDOW)
    recent = [entry for entry in progress.entries if entry.committed_at >= since]
    return DatasetStatus(
        dataset=name,
        source=source,
        parts=parts,
        group=group,
        lag=sum(lags) if topic is not None and len(lags) == len(parts) else None,
        rate=spread(progress.entries, progress.now, seconds=MINUTE, buckets=1)[0],
        rates=spread(progress.entries, progress.now, seconds=WINDOW, buckets=BUCKETS),
        counts=_counts(recent),
        split=_split(recent),
        newest=table.newest,
        age=None if table.newest is None else progress.now - table.newest,
        quarantined=table.quarantined,
        stored=table.stored,
        horizon=None if retain is None else progress.now - retain,
        notes=notes,
    )


def parts_of(source: Source, view: KafkaView | None, progress: Progress | None) -> list[Part]:
    """Join what Kafka and the database know of each partition; None is a server that told nothing."""
    logs = {} if view is None or view.topic is None else view.topic.logs
    commits = {} if view is None else view.commits
    stood = {} if progress is None else progress.positions
    given = None
    if view is not None and view.group is not None:
        given = {number for one in view.group.members for topic, number in one.partitions if topic == source.topic}
    events = {} if progress is None else _newest_events(progress.entries)
    parts: list[Part] = []
    for number in sorted({*logs, *stood, *commits}):
        row, (start, end) = stood.get(number), logs.get(number, (None, None))
        parts.append(
            Part(
                partition=number,
                owner=None if row is None else row.owner or None,
                member=None if given is None else number in given,
                position=None if row is None else row.next_offset,
                log_start=start,
                log_end=end,
                lag=None if progress is None or start is None or end is None else _lag(row, start, end),
                commit=commits.get(number),
                claimed_at=None if row is None else row.claimed_at,
                updated_at=None if row is None else row.updated_at,
                last_event_at=events.get(number),
            )
        )
    return parts


def _newest_events(entries: Sequence[Entered]) -> dict[int, datetime]:
    """Give the newest event of each partition's last entry that has one."""
    return {entry.partition: entry.last_event_at for entry in entries if entry.last_event_at is not None}


def _lag(row: Stood | None, start: int, end: int) -> int:
    # what was never begun is read from the log's start; what retention has removed meanwhile is no work any more
    return max(0, end - (start if row is None else max(start, row.next_offset)))


def spread(entries: Sequence[Entered], now: datetime, *, seconds: float, buckets: int) -> list[float]:
    """Give messages a second in equal parts of the last ``seconds``, the oldest first.

    An entry's messages count evenly from its first flush to its last; the ledger knows no more.
    """
    width = seconds / buckets
    sums = [0.0] * buckets
    for entry in entries:
        first = seconds - (now - entry.opened_at).total_seconds()
        last = max(first, seconds - (now - entry.committed_at).total_seconds())
        for index in range(buckets):
            low, high = index * width, (index + 1) * width
            if first == last:
                share = 1.0 if low <= first < high or (first == high == seconds) else 0.0
            else:
                share = max(0.0, min(high, last) - max(low, first)) / (last - first)
            sums[index] += entry.messages * share
    return [total / width for total in sums]


def _counts(entries: Sequence[Entered]) -> dict[str, int]:
    return {name: sum(getattr(entry, name) for entry in entries) for name in COUNTED}


def _split(entries: Sequence[Entered]) -> TimeSplit | None:
    """Give the mean of a flush. One of several partitions counts once for each of them."""
    flushes = sum(entry.flushes or 0 for entry in entries)
    if not flushes:
        return None
    return TimeSplit(
        filled=sum(entry.filled_seconds or 0.0 for entry in entries) / flushes,
        waited=sum(entry.waited_seconds or 0.0 for entry in entries) / flushes,
        written=sum(entry.written_seconds or 0.0 for entry in entries) / flushes,
    )
