"""Back-pressure: holds Kafka back while a full batch, or one that cannot be decoded yet, waits for the database.

What a dataset holds is bounded, however long the database takes (``b`` is the setting ``batch.max_bytes``, sizes are
those of raw messages):

- the batch on its way to the database, or its halves: ``b`` and what one poll gave beyond it;
- the batch that is filled: the same. At ``b`` the partitions pause (high water), and they are resumed when it has been
  handed over (low water). While it is filled, polls ask for no more messages than fit into it at their mean size;
- messages that cannot be decoded yet (the registry is away): one poll, which pauses the partitions;
- librdkafka's queue: ``queued.max.messages.kbytes`` (16 MiB), and one fetch that was on its way (``fetch.max.bytes``,
  4 MiB, before decompression). A pause empties the queue.

Columns, bytes for COPY and Python's objects come on top: about 1,200 bytes a message, bounded by ``batch.max_rows``.
docs/memory.md says the same to those who run it.
"""

from __future__ import annotations

from collections.abc import Callable

from sink.assignment import Assignment, State
from sink.batch import Batch
from sink.collector import Collector
from sink.kafka.log import Log
from sink.lane import Lane
from sink.prepared import Prepared


class Pressure:
    """Bounds what is held: one batch on its way to the database, and one full one behind it.

    ``patience`` are the seconds that go without a poll before a pause, which throws away what was fetched.
    """

    def __init__(
        self,
        *,
        kafka: Log,
        assignment: Assignment,
        collector: Collector,
        lane: Lane,
        prepare: Callable[[Batch], Prepared | None],
        clock: Callable[[], float],
        max_rows: int,
        max_bytes: int,
        patience: float,
    ) -> None:
        self.paused = False
        """Whether the partitions that are read deliver nothing now."""
        self._kafka = kafka
        self._assignment = assignment
        self._collector = collector
        self._lane = lane
        self._prepare = prepare
        self._clock = clock
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._patience = patience
        self.clogged_since: float | None = None
        """Since when what is collected has to be written or decoded before more may come."""

    @property
    def full(self) -> bool:
        """Whether the batch that is filled has reached its bounds."""
        return self._collector.count >= self._max_rows or self._collector.size >= self._max_bytes

    @property
    def held_back(self) -> bool:
        """Whether what is collected has to be written or decoded before more may come."""
        return self.paused or self.full or self._collector.stuck

    def hold_back(self) -> bool:
        """Say whether to leave Kafka alone this round, because a full batch waits for the flush before it.

        A short wait is taken without polling. After that the partitions are paused and polled on, so that the process
        stays in its group however long the database takes.
        """
        if not self.full and not self._collector.stuck:
            self.clogged_since = None
            if self.paused:
                self.paused = False
                self._kafka.resume(self._assignment.in_state(State.READING))
            return False
        now = self._clock()
        self.clogged_since = now if self.clogged_since is None else self.clogged_since
        if self.paused or not self._lane.busy or now - self.clogged_since > self._patience:
            if not self.paused:
                self.paused = True
                self._kafka.pause(self._assignment.in_state(State.READING))
            return False
        if self.full:
            # the database still writes the batch before: work out here what it will write next
            self._collector.prepare(self._prepare)
        self._lane.wait(0.1)
        return True
