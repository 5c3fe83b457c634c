"""Reads stretches of a topic to their ends, outside the group, and says what Kafka dropped meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from sink.batch import Messages
from sink.errors import DefinitionError, TransientError
from sink.inspection.intervals import Interval
from sink.kafka.log import LogFault
from sink.kafka.stretch import Stretch

PATIENCE = 60.0
"""Seconds without a sign of Kafka after which reading is given up."""
_AT_ONCE = 20_000
_WAIT = 0.5


class Bystander:
    """Hears which partitions are read, and has nothing to do with it."""

    def assigned(self, partitions: Sequence[int]) -> None:
        """Hear it."""

    def revoked(self, partitions: Sequence[int]) -> None:
        """Hear it."""

    def lost(self, partitions: Sequence[int]) -> None:
        """Hear it."""


class Reread:
    """One reading of ``ranges``; ``gone`` are the offsets by partition that Kafka dropped before they were read."""

    def __init__(
        self,
        stretch: Stretch,
        ranges: Mapping[int, Interval],
        *,
        watch: Callable[[int, int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stretch = stretch
        self._ranges = dict(ranges)
        self._at = {number: start for number, (start, _) in ranges.items()}
        self._total = sum(end - start for start, end in ranges.values())
        self._watch = watch
        self._clock = clock
        self.gone: list[tuple[int, Interval]] = []

    def messages(self) -> Iterator[Messages]:
        """Give all messages of the ranges, each once; ``watch`` hears of offsets done and in total."""
        for number, at in self._at.items():
            self._read_from(number, at)
        heard = self._clock()
        while left := self._left():
            self._watch(self._total - left, self._total)
            polled = self._stretch.poll(_AT_ONCE, _WAIT)
            for fault in polled.faults:
                self._heed(fault)
            fresh = self._fresh(polled.messages)
            for number, end in polled.reached.items():
                self._at[number] = max(self._at[number], min(end, self._ranges[number][1]))
            if self._left() < left:
                heard = self._clock()
            elif self._clock() - heard > PATIENCE:
                raise TransientError(f"Kafka has given nothing for {PATIENCE:.0f} s; is the broker up?")
            if len(fresh):
                yield fresh
        self._watch(self._total, self._total)

    def _left(self) -> int:
        return sum(max(0, end - self._at[number]) for number, (_, end) in self._ranges.items())

    def _fresh(self, messages: Messages) -> Messages:
        """Leave out what was given before: a seek may be overtaken by what was fetched earlier."""
        kept = []
        for index, (number, offset) in enumerate(zip(messages.partitions, messages.offsets, strict=True)):
            if offset >= self._at[number]:
                self._at[number] = offset + 1
                kept.append(index)
        return messages if len(kept) == len(messages) else messages.take(kept)

    def _heed(self, fault: LogFault) -> None:
        if fault.kind in {"denied", "topic_missing"}:
            raise DefinitionError(f"the topic cannot be read: {fault.error}")
        if fault.kind != "out_of_range" or fault.partition is None:
            return  # Kafka's client tries again by itself
        number = fault.partition
        low = min(self._stretch.log_range(number)[0], self._ranges[number][1])
        if low > self._at[number]:
            self.gone.append((number, (self._at[number], low)))
            self._at[number] = low
            self._read_from(number, low)

    def _read_from(self, number: int, offset: int) -> None:
        """Begin there; for a moment Kafka's client refuses that of a partition which it has only just been given."""
        tries = Retrying(
            retry=retry_if_exception_type(TransientError), stop=stop_after_delay(5), wait=wait_fixed(0.1), reraise=True
        )
        tries(self._stretch.read_from, number, offset)
