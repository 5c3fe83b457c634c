"""Publishes each second how a dataset stands, as gauges and as a view, so that nobody else need touch its loop."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import structlog

from sink.assignment import Partition, State
from sink.avro.registry import Registry
from sink.errors import SinkError
from sink.flush import Flusher
from sink.gauges import Gauges
from sink.kafka.contact import Contact
from sink.lagging import Lagging
from sink.observed import Observed
from sink.pipeline import Pipeline
from sink.redaction import redact_text
from sink.view import BreakerView, DatasetView, Moment, PartitionView, Phase

log = structlog.get_logger(__name__)

EVERY = 1.0
MOMENT = 5.0
"""Seconds that one point of the history stands for."""
MOMENTS = 60
LATELY = 10.0
"""Seconds over which the rate is taken."""
_STATES = tuple(state.value for state in State)


class Ends(Protocol):
    """Tells, from what it has heard already, where a partition ends."""

    contact: Contact

    def heard_end(self, partition: int) -> int | None:
        """Give the offset behind the last readable message, None where nothing is known."""


class Watch:
    """Watches one dataset on the thread of its loop; ``view`` and :meth:`silence` are for every thread."""

    def __init__(
        self,
        *,
        dataset: str,
        group: str,
        topic: str,
        observed: Observed,
        pipeline: Pipeline,
        consumer: Ends,
        database: Flusher,
        registry: Registry | None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.phase: Phase = "starting"
        self.observed = observed
        self.view = DatasetView(dataset=dataset, group=group, topic=topic, phase=self.phase)
        """How it stood a second ago."""
        self._dataset, self._group, self._topic = dataset, group, topic
        self._pipeline = pipeline
        self._consumer = consumer
        self._database = database
        self._registry = registry
        self._clock, self._wall = clock, wall
        self._gauges = Gauges(dataset, _STATES)
        self._lagging = Lagging()
        self._stepped_at = self._published_at = clock()
        self._samples: deque[tuple[float, int]] = deque([(self._stepped_at, 0)])
        self._moment = (self._stepped_at, 0)
        self._history: deque[Moment] = deque(maxlen=MOMENTS)

    def silence(self) -> float:
        """Give the seconds since the loop last made progress; 0 once it has ended on purpose."""
        return 0.0 if self.phase in {"halted", "ended"} else self._clock() - self._stepped_at

    def stepped(self) -> None:
        """Hear that the loop has made progress; publish, once a second."""
        self._stepped_at = self._clock()
        self.observed.stepped()
        if self._stepped_at - self._published_at >= EVERY:
            self.publish()

    def enter(self, phase: Phase, failure: SinkError | None = None) -> None:
        """Publish that another phase begins."""
        self.phase = phase
        self._stepped_at = self._clock()
        self.publish(failure)

    def publish(self, failure: SinkError | None = None) -> None:
        """Work out how the dataset stands now, show it as gauges, and keep it for whoever asks."""
        try:
            self._publish(failure)
        except Exception:
            # whoever only watches must not stop what he watches
            log.exception("the state of a dataset is not shown", dataset=self._dataset)

    def _publish(self, failure: SinkError | None) -> None:
        now = self._published_at = self._clock()
        pipeline, observed, contact = self._pipeline, self.observed, self._consumer.contact
        partitions = tuple(self._partition(number) for number in pipeline.assignment)
        breaker = pipeline.breaker
        self._sample(now, sum(one.lag_messages or 0 for one in partitions))
        self.view = DatasetView(
            dataset=self._dataset,
            group=self._group,
            topic=self._topic,
            phase=self.phase,
            joined=contact.joined,
            failure=_sentence(failure or pipeline.failure),
            waiting_for=_sentence(observed.waiting_for),
            connected={
                "kafka": contact.connected,
                "database": self._database.answered,
                "registry": None if self._registry is None else self._registry.answered,
            },
            partitions=partitions,
            rate=self._rate(),
            freshness_seconds=observed.freshness,
            newest_event_at=observed.newest_event,
            last_flush_at=observed.flushes[-1].at if observed.flushes else None,
            messages=pipeline.totals.messages,
            rows_written=pipeline.totals.rows_written,
            rows_not_newer=pipeline.totals.rows_not_newer,
            rows_deduplicated=pipeline.totals.rows_deduplicated,
            ignored=pipeline.totals.ignored,
            late=pipeline.totals.late,
            unknown_field_values=pipeline.unknown_fields,
            quarantined=observed.quarantined(),
            breaker=BreakerView(share=breaker.share, limit=breaker.limit, why=_sentence(breaker.why)),
            held_bytes=pipeline.held,
            paused=pipeline.paused,
            flushes=tuple(observed.flushes),
            history=tuple(self._history),
        )
        self._gauges.show(self.view)

    def _partition(self, number: int) -> PartitionView:
        partition = self._pipeline.assignment[number]
        position = partition.durable if partition.durable >= 0 else self._pipeline.positions.get(number)
        end = self._end(number, partition)
        seconds: float | None = None
        if position is not None and end is not None:
            recorded = self._pipeline.recorded_from(number, position)
            known = None if recorded is None or recorded < 0 else recorded / 1e6
            seconds = self._lagging.seconds(number, position=position, end=end, recorded=known, now=self._now())
        return PartitionView(
            partition=number,
            state=partition.state.value,
            reason=redact_text(partition.reason) if partition.state is State.HALTED else "",
            position=position,
            commit=self._consumer.contact.commits.get(number),
            log_end=end,
            lag_messages=None if position is None or end is None else end - position,
            lag_seconds=seconds,
        )

    def _end(self, number: int, partition: Partition) -> int | None:
        """Give where a partition ends: what the last fetch and the last question told, or what we have ourselves."""
        heard, asked = self._consumer.heard_end(number), self.observed.ends.get(number)
        if heard is None and asked is None:
            return None
        return max(heard or 0, asked or 0, partition.next_offset, partition.durable)

    def _now(self) -> float:
        told = self._database.database_time()
        return self._wall() if told is None else told.timestamp()

    def _sample(self, now: float, lag: int) -> None:
        messages = self._pipeline.totals.messages
        self._samples.append((now, messages))
        while now - self._samples[0][0] > LATELY and len(self._samples) > 1:
            self._samples.popleft()
        since, before = self._moment
        if now - since < MOMENT:
            return
        self._moment = (now, messages)
        self._history.append(
            Moment(
                at=datetime.fromtimestamp(self._wall(), UTC),
                rate=(messages - before) / (now - since),
                lag_messages=lag,
                freshness_seconds=self.observed.worst_freshness(),
            )
        )

    def _rate(self) -> float:
        (since, before), (now, messages) = self._samples[0], self._samples[-1]
        return (messages - before) / (now - since) if now > since else 0.0


def _sentence(error: SinkError | str | None) -> str | None:
    return None if error is None else redact_text(str(error))
