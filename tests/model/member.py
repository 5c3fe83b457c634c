"""One member of the group: the real pipeline with everything around it in the schedule's hands."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sink.assignment import Assignment, State
from sink.breaker import Breaker, BreakerLimits
from sink.collector import Collector
from sink.flush import Flusher
from sink.ledger import Source
from sink.pipeline import Options, Pipeline
from sink.transactions import Limits
from tests.fake_writer import HeldTask
from tests.model.clock import Time
from tests.model.line import Fate, FatefulCursor, Lines
from tests.model.log import Consumer, Decoder, Topic

T = TypeVar("T")

PATIENCE = 3600.0
"""Seconds a claim waits before it ends another's backend; nothing here waits for a lock."""


class ScheduledTask(HeldTask[T]):
    """A call on its way; it runs whole, when the schedule lets it."""

    def __init__(self, call: Callable[[], T], time: Time) -> None:
        super().__init__(call)
        self._time = time

    def run(self) -> None:
        """Run the call, once; the process may die in it."""
        if self.done():
            return
        try:
            self._values.append(self._call())
        except Exception as error:  # noqa: BLE001 (kept for whoever asks for the result)
            self._error = error

    def wait(self, seconds: float) -> bool:
        """Wait: with luck it runs now, without it the time passes."""
        if self.done():
            return True
        if self._time.lucky and seconds > 0:
            self.run()
        else:
            self._time.now += seconds
        return self.done()


class HeldWriter:
    """Keeps the one task that is on its way."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.release: Callable[[], None] = _nothing

    def submit(self, call: Callable[[], T]) -> ScheduledTask[T]:
        """Take a call."""
        task = ScheduledTask(call, self._time)
        self.release = task.run
        return task


def _nothing() -> None:
    """Stand for no task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What members are made of; a mutant replaces some of it by a part with one rule missing."""

    pipeline: type[Pipeline] = Pipeline
    collector: type[Collector] = Collector
    flusher: type[Flusher] = Flusher
    cursor: type[FatefulCursor] = FatefulCursor
    consumer: type[Consumer] = Consumer


class Member:
    """A process of the sink."""

    def __init__(
        self, number: int, *, topic: Topic, lines: Lines, time: Time, options: Options, parts: Parts, seed: int
    ) -> None:
        self.number = number
        self.fate = Fate(happened=Counter())
        self.consumer = parts.consumer(topic=topic, number=number, time=time)
        self.decoder = Decoder(topic=topic)
        self.writer = HeldWriter(time)
        self.assignment = Assignment()
        self.flusher = parts.flusher(
            dataset=topic.dataset,
            source=Source(sink_id="proof", topic=topic.name),
            owner=f"member {number}",
            connect=lambda: lines.take(self.fate, parts.cursor),
            limits=Limits(claim_patience=PATIENCE),
        )
        collector = parts.collector(
            topic=topic.name,
            order="record",
            decoder=self.decoder,
            breaker=Breaker(BreakerLimits(share=1.0, window=1_000_000, run=1_000_000)),
            assignment=self.assignment,
            clock=lambda: time.now,
        )
        self.pipeline = parts.pipeline(
            dataset=topic.dataset.name,
            kafka=self.consumer,
            assignment=self.assignment,
            collector=collector,
            flusher=self.flusher,
            writer=self.writer,
            options=options,
            clock=lambda: time.now,
            dice=random.Random(seed * 1000 + number),
        )
        self.consumer.listener = self.pipeline

    @property
    def settled(self) -> bool:
        """Whether everything that is ours is being read."""
        return len(self.assignment.in_state(State.READING)) == len(self.assignment)

    def mend(self) -> None:
        """Let every service answer, and nothing go wrong any more."""
        self.fate.effect = None
        self.decoder.away = self.consumer.silent = 0
        self.consumer.broken = self.consumer.deaf = self.consumer.overtaken = False
