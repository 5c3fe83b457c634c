"""A log cut at both ends and slowed down: what a replay reads, outside the consumer group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from operator import ge

from sink.batch import Messages
from sink.kafka.log import Committed, Identity, Log, Polled

Range = tuple[int, int]
"""Offsets [from, to)."""

_LEAST_WAIT = 0.005
"""Seconds that are not worth a wait of their own."""


class Stretch:
    """Gives the messages of ``ranges`` alone; the loop takes it for a whole topic.

    Nothing is ever committed and no group is asked. A partition whose range is read counts as reached and delivers
    nothing more. ``max_rate`` is in messages a second, as ``clock`` counts them; None is without a limit.
    """

    def __init__(
        self,
        log: Log,
        ranges: Mapping[int, Range],
        *,
        topic: str,
        max_rate: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._log = log
        self._topic = topic
        self._ranges = dict(ranges)
        self._to = {number: end for number, (_, end) in ranges.items()}
        self._through: set[int] = set()
        """Partitions that have given all of their range."""
        self._rate = max_rate
        self._clock = clock
        self._sleep = sleep
        self._allowed = 0.0
        self._allowed_at = clock()

    def poll(self, limit: int, wait: float) -> Polled:
        """Give messages of the ranges, no more than the rate allows."""
        allowed = self._allowance(limit, wait)
        if allowed == 0:
            return Polled(messages=_nothing(self._topic), reached=self._ends())
        polled = self._log.poll(allowed, wait)
        kept, beyond = self._within(polled.messages)
        self._allowed -= len(kept)
        ended = beyond | {number for number, end in polled.reached.items() if end >= self._to[number]}
        last = dict(zip(kept.partitions, kept.offsets, strict=True))
        ended |= {number for number, offset in last.items() if offset + 1 >= self._to[number]}
        self._end(ended)
        reached = {number: end for number, end in polled.reached.items() if number not in self._through}
        return Polled(messages=kept, epochs=polled.epochs, reached=reached | self._ends(), faults=polled.faults)

    def read_from(self, partition: int, offset: int) -> None:
        """Seek and resume, unless nothing of the range is left."""
        if offset >= self._to[partition]:
            self._through.add(partition)
            return
        self._through.discard(partition)
        self._log.read_from(partition, offset)

    def pause(self, partitions: Sequence[int]) -> None:
        """Deliver nothing of these."""
        self._log.pause(partitions)

    def resume(self, partitions: Sequence[int]) -> None:
        """Deliver again, but nothing of what has been read to its end."""
        self._log.resume([number for number in partitions if number not in self._through])

    def log_range(self, partition: int) -> Range:
        """Give the range, as far as the log still has it."""
        start, end = self._ranges[partition]
        first, last = self._log.log_range(partition)
        return max(start, first), min(end, last)

    def committed(self, partitions: Sequence[int]) -> Mapping[int, Committed]:
        """Give no commits: no group has a say here."""
        del partitions
        return {}

    def partitions(self) -> list[int]:
        """List the partitions that are read."""
        return sorted(self._ranges)

    def identity(self) -> Identity:
        """Say which cluster and topic this is."""
        return self._log.identity()

    def log_ends(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Give the ends of the ranges, as far as the log has them."""
        return {number: min(end, self._to[number]) for number, end in self._log.log_ends(partitions).items()}

    def commit_offsets(self, offsets: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        """Tell nobody."""

    def _allowance(self, limit: int, wait: float) -> int:
        """Say how many messages may come now, after waiting for the next if need be; a second's worth at most."""
        if self._rate is None:
            return limit
        now = self._clock()
        most = max(1.0, self._rate)
        self._allowed = min(most, self._allowed + (now - self._allowed_at) * self._rate)
        self._allowed_at = now
        if self._allowed < 1:
            missing = (1 - self._allowed) / self._rate
            self._sleep(max(_LEAST_WAIT, min(wait, missing)))
            return 0
        return min(limit, int(self._allowed))

    def _within(self, messages: Messages) -> tuple[Messages, set[int]]:
        """Keep what lies before the ends; name the partitions of which more was there."""
        # a loop of Python over every message would cost a replay a tenth of its speed
        over = list(map(ge, messages.offsets, map(self._to.__getitem__, messages.partitions)))
        if not any(over):
            return messages, set()
        kept = [index for index, behind in enumerate(over) if not behind]
        return messages.take(kept), set(compress(messages.partitions, over))

    def _end(self, ended: set[int]) -> None:
        fresh = ended - self._through
        self._through |= fresh
        if fresh:
            self._log.pause(sorted(fresh))

    def _ends(self) -> dict[int, int]:
        # told again with every poll: the loop may not have been able to heed it the first time
        return {number: self._to[number] for number in self._through}


def _nothing(topic: str) -> Messages:
    return Messages(topic=topic, partitions=[], offsets=[], timestamps=[], keys=[], values=[], headers=[])
