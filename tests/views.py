"""Views of datasets for tests, and something that has one as a watch does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sink.http.answers import Answers
from sink.http.page import page
from sink.http.status import Process
from sink.view import BreakerView, DatasetView, FlushView, Moment, PartitionView, QuarantineView

NOON = datetime(2026, 6, 2, 12, tzinfo=UTC)
PROCESS = Process(version="1.2.3", owner="host/7", started_at=NOON)
READY = DatasetView(
    dataset="trades",
    group="sink.trades",
    topic="market.trades",
    phase="running",
    joined=True,
    connected={"kafka": True, "database": True, "registry": None},
    partitions=(
        PartitionView(
            partition=0, state="reading", position=90, commit=80, log_end=100, lag_messages=10, lag_seconds=1.5
        ),
        PartitionView(partition=3, state="reading", position=7, log_end=7, lag_messages=0, lag_seconds=0.0),
    ),
    rate=1234.56789,
    freshness_seconds=0.25,
    newest_event_at=NOON,
    last_flush_at=NOON,
    messages=97,
    rows_written=90,
    rows_not_newer=2,
    rows_deduplicated=1,
    ignored=1,
    quarantined=(QuarantineView(reason="decode", messages=3, last_at=NOON),),
    breaker=BreakerView(share=0.003, limit=0.5, why=None),
    held_bytes=2048,
    flushes=(FlushView(at=NOON, messages=97, bytes=6000, prepare=0.01, wait=0.02, write=0.03, commit=0.004),),
    history=tuple(
        Moment(
            at=NOON + timedelta(seconds=5 * number),
            rate=100.0 * number,
            lag_messages=number,
            freshness_seconds=None if number == 2 else 0.2,
        )
        for number in range(5)
    ),
)


@dataclass(slots=True)
class FakeWatch:
    """Has the view, and the silence, that a test gives it."""

    view: DatasetView = READY
    silent: float = 0.1

    def silence(self) -> float:
        """Give the seconds since the last step."""
        return self.silent

    def change(self, **fields: Any) -> None:
        """Show another view."""
        self.view = replace(self.view, **fields)


@dataclass(slots=True)
class FakeProcess:
    """A process with one dataset, as HTTP shows it."""

    watch: FakeWatch = field(default_factory=FakeWatch)

    def answers(self) -> Answers:
        """Give what it answers."""
        return Answers(PROCESS, [self.watch], page())
