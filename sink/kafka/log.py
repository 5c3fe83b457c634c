"""A topic as the loop sees it: what it may ask and do, what it gets to know, and who is told of rebalances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from sink.batch import Messages

FaultKind = Literal["out_of_range", "topic_missing", "denied", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFault:
    """Something Kafka says instead of messages; ``partition`` is None where it concerns the whole topic."""

    kind: FaultKind
    partition: int | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What one poll gave: messages, the newest leader epoch by partition, ends of partitions reached, faults."""

    messages: Messages
    epochs: Mapping[int, int] = field(default_factory=dict)
    reached: Mapping[int, int] = field(default_factory=dict)
    faults: Sequence[LogFault] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The group's commit of a partition; ``marked`` where this package wrote it."""

    offset: int
    marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which cluster and which topic: offsets mean nothing elsewhere."""

    cluster_id: str
    topic_id: str


class Listener(Protocol):
    """Who is told of the group's decisions, inside :meth:`Log.poll`."""

    def assigned(self, partitions: Sequence[int]) -> None:
        """Hear that these partitions are ours; they are paused."""

    def revoked(self, partitions: Sequence[int]) -> None:
        """Hear that these partitions go to another member once this returns."""

    def lost(self, partitions: Sequence[int]) -> None:
        """Hear that these partitions already belong to another member."""


class AskedLog(Protocol):
    """The questions to Kafka; :class:`sink.kafka.consumer.TopicConsumer` answers them."""

    def log_range(self, partition: int) -> tuple[int, int]:
        """Give the first offset that exists and the one behind the last."""

    def committed(self, partitions: Sequence[int]) -> Mapping[int, Committed]:
        """Give the group's commits."""

    def partitions(self) -> list[int]:
        """List the topic's partitions."""

    def identity(self) -> Identity:
        """Say which cluster and topic this is; asked on any thread."""


class TimedLog(AskedLog, Protocol):
    """The questions of whoever chooses a stretch of a topic by time."""

    def offsets_at(self, moment: datetime, partitions: Sequence[int]) -> Mapping[int, int]:
        """Give the first offset whose record time is not before a moment; the log's end where there is none."""


class Log(AskedLog, Protocol):
    """What the loop needs of Kafka; :class:`sink.kafka.consumer.TopicConsumer` is the real one."""

    def poll(self, limit: int, wait: float) -> Polled:
        """Give messages; rebalances happen in here."""

    def log_ends(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Give the offsets behind the last readable messages; asked on another thread than the one that polls."""

    def read_from(self, partition: int, offset: int) -> None:
        """Seek and resume."""

    def pause(self, partitions: Sequence[int]) -> None:
        """Deliver nothing of these."""

    def resume(self, partitions: Sequence[int]) -> None:
        """Deliver again."""

    def commit_offsets(self, offsets: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        """Tell the group what is durable."""
