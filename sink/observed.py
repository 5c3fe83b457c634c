"""Counts what a loop does, in metrics and in the few recent values that a person looks at."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from sink import metrics
from sink.errors import SinkError
from sink.flush import Flushed
from sink.observer import Rebalance, Size
from sink.view import FlushView, QuarantineView

REMEMBERED = 20
"""Flushes whose times are kept."""


class Observed:
    """Hears a loop of one dataset, on the loop's thread; ``clock`` gives Unix seconds.

    ``reasons`` of quarantine are counted from 0 on, so that an alert sees the first increase.
    """

    def __init__(self, dataset: str, *, reasons: Iterable[str] = (), clock: Callable[[], float] = time.time) -> None:
        self.flushes: deque[FlushView] = deque(maxlen=REMEMBERED)
        self.waiting_for: SinkError | None = None
        """The error that is waited out now."""
        self.ends: dict[int, int] = {}
        """Where brokers say that partitions end, as asked now and then."""
        self.newest_event: datetime | None = None
        self.freshness: float | None = None
        self.stepped_at = clock()
        """When the loop last made progress; read on any thread."""
        self._dataset = dataset
        self._clock = clock
        self._quarantined: Counter[str] = Counter()
        self._quarantined_at: dict[str, datetime] = {}
        self._worst: float | None = None
        self._stages = {stage: metrics.STAGE_SECONDS.labels(dataset, stage) for stage in metrics.STAGES}
        self._rows = {outcome: metrics.ROWS.labels(dataset, outcome) for outcome in metrics.OUTCOMES}
        self._rebalances = {event: metrics.REBALANCED.labels(dataset, event) for event in metrics.REBALANCES}
        self._messages = metrics.MESSAGES.labels(dataset)
        self._ignored = metrics.IGNORED.labels(dataset)
        self._late = metrics.LATE.labels(dataset)
        self._flush_seconds = metrics.FLUSH_SECONDS.labels(dataset)
        self._freshness = metrics.FRESHNESS_SECONDS.labels(dataset)
        self._batch_messages = metrics.BATCH_MESSAGES.labels(dataset)
        self._batch_bytes = metrics.BATCH_BYTES.labels(dataset)
        self._fences = metrics.FENCES.labels(dataset)
        for reason in reasons:
            metrics.QUARANTINED.labels(dataset, reason)
        # at 0 from the beginning: a rate sees no first increase of what was not there before
        metrics.RETRIES.labels(dataset, "none")
        metrics.LAST_STEP.labels(dataset).set_function(lambda: self.stepped_at)

    def stepped(self) -> None:
        """Hear that the loop has made progress."""
        self.stepped_at = self._clock()

    def polled(self, seconds: float) -> None:
        """Count a poll."""
        self._stages["poll"].observe(seconds)

    def decoded(self, seconds: float) -> None:
        """Count the decoding of a poll's messages."""
        self._stages["decode"].observe(seconds)

    def flushed(self, flushed: Flushed, batch: Size) -> None:
        """Count a flush."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        prepare = batch.prepare + flushed.prepare_seconds
        self._stages["prepare"].observe(prepare)
        self._stages["wait"].observe(batch.wait)
        self._stages["write"].observe(flushed.write_seconds)
        self._stages["commit"].observe(flushed.commit_seconds)
        self._flush_seconds.observe(flushed.write_seconds + flushed.commit_seconds)
        self._batch_messages.observe(batch.messages)
        self._batch_bytes.observe(batch.size)
        self._count_entries(flushed)
        for reason, count in flushed.reasons.items():
            self._quarantined[reason] += count
            self._quarantined_at[reason] = now
            metrics.QUARANTINED.labels(self._dataset, reason).inc(count)
        metrics.LAST_FLUSH.labels(self._dataset).set(now.timestamp())
        self.flushes.append(
            FlushView(
                at=now,
                messages=batch.messages,
                bytes=batch.size,
                prepare=prepare,
                wait=batch.wait,
                write=flushed.write_seconds,
                commit=flushed.commit_seconds,
            )
        )

    def _count_entries(self, flushed: Flushed) -> None:
        entries = flushed.entries
        self._messages.inc(sum(entry.messages for entry in entries))
        self._rows["written"].inc(sum(entry.rows_written for entry in entries))
        self._rows["not_newer"].inc(sum(entry.rows_not_newer for entry in entries))
        self._rows["deduplicated"].inc(sum(entry.rows_deduplicated for entry in entries))
        self._ignored.inc(sum(entry.ignored for entry in entries))
        self._late.inc(sum(entry.late for entry in entries))
        newest = [entry.last_event_at for entry in flushed.entries if entry.last_event_at is not None]
        if not newest or flushed.durable_at is None:
            return
        ages = [max(0.0, (flushed.durable_at - event).total_seconds()) for event in newest]
        for age in ages:
            self._freshness.observe(age)
        self.freshness = min(ages)
        self._worst = max(self._worst or 0.0, self.freshness)
        self.newest_event = max(newest) if self.newest_event is None else max(self.newest_event, *newest)
        metrics.NEWEST_EVENT.labels(self._dataset).set(self.newest_event.timestamp())

    def succeeded(self) -> None:
        """Hear that nothing is waited for any more."""
        self.waiting_for = None

    def retrying(self, error: SinkError) -> None:
        """Count an error that passes."""
        self.waiting_for = error
        metrics.RETRIES.labels(self._dataset, error.sqlstate or "none").inc()

    def fenced(self) -> None:
        """Count a fence."""
        self._fences.inc()

    def rebalanced(self, event: Rebalance) -> None:
        """Count a decision of the group."""
        self._rebalances[event].inc()

    def ended(self, ends: Mapping[int, int]) -> None:
        """Keep where partitions end."""
        self.ends.update(ends)

    def worst_freshness(self) -> float | None:
        """Give the worst freshness of a flush since this was last asked; None where there was no flush."""
        worst, self._worst = self._worst, None
        return worst

    def quarantined(self) -> tuple[QuarantineView, ...]:
        """Give what was quarantined since the start, the latest first."""
        found = (
            QuarantineView(reason=reason, messages=count, last_at=self._quarantined_at[reason])
            for reason, count in self._quarantined.items()
        )
        return tuple(sorted(found, key=lambda one: one.last_at, reverse=True))
