"""How a dataset stands at one moment, for people and probes: plain values that any thread may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Phase = Literal["starting", "running", "stopping", "halted", "ended"]
Service = Literal["kafka", "database", "registry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionView:
    """One partition of ours; what nobody has told yet is None."""

    partition: int
    state: str
    reason: str = ""
    """Why it is halted."""
    position: int | None = None
    commit: int | None = None
    log_end: int | None = None
    lag_messages: int | None = None
    lag_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushView:
    """One flush; times in seconds."""

    at: datetime
    messages: int
    bytes: int
    prepare: float
    wait: float
    write: float
    commit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineView:
    """Messages quarantined for one reason since the start."""

    reason: str
    messages: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A few seconds of the recent past: messages a second, lag at their end, the worst freshness in them."""

    at: datetime
    rate: float
    lag_messages: int
    freshness_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerView:
    """How close the breaker is to halting the dataset; ``why`` is the sentence for which it is open."""

    share: float
    limit: float
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    """How one dataset of this process stands."""

    dataset: str
    group: str
    topic: str
    phase: Phase
    joined: bool = False
    """Whether the group has told us what is ours, be it nothing."""
    failure: str | None = None
    """Why it is halted."""
    waiting_for: str | None = None
    """The error that is waited out now."""
    connected: Mapping[Service, bool | None] = field(default_factory=dict)
    """By service whether the last exchange worked; None before the first."""
    partitions: tuple[PartitionView, ...] = ()
    rate: float = 0.0
    """Messages made durable a second, lately."""
    freshness_seconds: float | None = None
    """Of the last flush: from its newest event to the moment it was durable."""
    newest_event_at: datetime | None = None
    last_flush_at: datetime | None = None
    messages: int = 0
    rows_written: int = 0
    rows_not_newer: int = 0
    rows_deduplicated: int = 0
    ignored: int = 0
    late: int = 0
    unknown_field_values: int = 0
    quarantined: tuple[QuarantineView, ...] = ()
    breaker: BreakerView | None = None
    held_bytes: int = 0
    paused: bool = False
    flushes: tuple[FlushView, ...] = ()
    history: tuple[Moment, ...] = ()

    @property
    def halted(self) -> bool:
        """Whether the dataset, or a partition of ours, waits for a person."""
        return self.phase == "halted" or any(one.reason for one in self.partitions)

    @property
    def lag_messages(self) -> int:
        """Messages behind, over all partitions of ours, as far as known."""
        return sum(one.lag_messages or 0 for one in self.partitions)

    @property
    def lag_seconds(self) -> float | None:
        """The greatest lag of a partition of ours; None where none is known."""
        return max((one.lag_seconds for one in self.partitions if one.lag_seconds is not None), default=None)
