"""Collects decoded messages into the batch that is flushed next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import ge

from sink.assignment import Assignment, State
from sink.avro.decode import Decoder
from sink.batch import Batch, Clock, Decoded, Messages, joined
from sink.breaker import Breaker, BreakerState
from sink.careful import DeadlyMessageError
from sink.errors import DefinitionError
from sink.ledger import Claim
from sink.prepared import Prepared


@dataclass(slots=True)
class Load:
    """A batch with the claims under which it was collected."""

    batch: Batch
    claims: dict[int, Claim] = field(default_factory=dict)
    since: float = 0.0
    """When its first message came, on the monotonic clock."""
    ready: float | None = None
    """When it was full or due, so that the writer could have had it; None until it is handed over."""
    tries: int = 0
    prepared: Prepared | None = None
    """What its flush will write, worked out beforehand."""
    prepare_seconds: float = 0.0


class Collector:
    """Holds the batch that is being filled, and messages that could not be decoded yet."""

    def __init__(
        self,
        *,
        topic: str,
        order: Clock,
        decoder: Decoder,
        breaker: Breaker,
        assignment: Assignment,
        clock: Callable[[], float],
    ) -> None:
        self.unknown_fields = 0
        """Values of fields that no column takes, so far."""
        self._topic = topic
        self._order = order
        self._decoder = decoder
        self._breaker = breaker
        self._assignment = assignment
        self._clock = clock
        self._filling = Load(Batch(topic, clock=order))
        self._undecoded: tuple[Messages, Mapping[int, int]] | None = None
        self._halted: list[int] = []
        self._mean_before = 0.0

    @property
    def count(self) -> int:
        """Messages collected."""
        return self._filling.batch.count

    @property
    def size(self) -> int:
        """Bytes collected."""
        return self._filling.batch.size

    @property
    def held(self) -> int:
        """Bytes of all raw messages held here: collected ones, and those that wait to be decoded."""
        return self.size + (self._undecoded[0].size if self._undecoded is not None else 0)

    @property
    def mean_size(self) -> float:
        """Bytes of a message, on average: of this batch or the one before it, whichever had larger ones."""
        return max(self._mean_before, self.size / max(1, self.count))

    @property
    def empty(self) -> bool:
        """Whether nothing is to be flushed."""
        return not self._filling.batch

    @property
    def stuck(self) -> bool:
        """Whether messages wait to be decoded; nothing may be collected behind them."""
        return self._undecoded is not None

    @property
    def breaker(self) -> BreakerState:
        """What the breaker has counted."""
        return self._breaker.state()

    @property
    def age(self) -> float:
        """Seconds since the first message came, 0 while there is none."""
        return 0.0 if self.empty else self._clock() - self._filling.since

    def take(self, messages: Messages, epochs: Mapping[int, int]) -> None:
        """Decode and add messages; raises TransientError (they are kept, see :meth:`retry`) and DefinitionError."""
        wanted = self._wanted(messages)
        if not len(wanted):
            return
        if self._undecoded is not None:
            # behind messages that wait nothing may be left out: its offsets would pass unseen
            wanted = joined(self._undecoded[0], wanted)
            epochs = {**self._undecoded[1], **epochs}
        self._undecoded = (wanted, epochs)
        self.retry()

    def retry(self) -> None:
        """Decode what could not be decoded before."""
        if self._undecoded is None:
            return
        messages, epochs = self._undecoded
        began = self._clock()
        try:
            decoded = self._decoder.decode(messages)
        except DeadlyMessageError as error:
            self._halt_before(error)
            self.retry()
            return
        self._undecoded = None
        self.unknown_fields += decoded.unknown_fields
        good = decoded.schema_ids - {bad.schema_id for bad in decoded.bad}
        self._heed(self._breaker.observe(len(messages), decoded.bad, frozenset(good)))
        self._add(messages, decoded, epochs, began)

    def flushed(self, messages: int, reasons: Mapping[str, int]) -> None:
        """Let the breaker hear what a flush has quarantined, by reason; raises DefinitionError where it opens."""
        self._heed(self._breaker.observe_flush(messages, reasons))

    def _heed(self, sentence: str | None) -> None:
        if sentence is not None:
            raise DefinitionError(
                f"{self._topic}: {sentence}. The sink stopped before quarantining more: mend the producer, or raise"
                " SINK_BREAKER__SHARE, SINK_BREAKER__RUN, and start it again"
            )

    def newly_halted(self) -> list[int]:
        """Name the partitions halted before a deadly message since this was last asked."""
        halted, self._halted = self._halted, []
        return halted

    def _halt_before(self, error: DeadlyMessageError) -> None:
        """Halt one partition before a message; what it delivered before that one is collected as ever."""
        partition = self._assignment[error.partition]
        partition.state, partition.reason = State.HALTED, str(error)
        self._halted.append(error.partition)
        self._drop_undecoded(lambda number, offset: number == error.partition and offset >= error.offset)

    def _drop_undecoded(self, drop: Callable[[int, int], bool]) -> None:
        if self._undecoded is None:
            return
        messages, epochs = self._undecoded
        places = zip(messages.partitions, messages.offsets, strict=True)
        kept = [index for index, (number, offset) in enumerate(places) if not drop(number, offset)]
        self._undecoded = (messages.take(kept), epochs) if kept else None

    def _add(self, messages: Messages, decoded: Decoded, epochs: Mapping[int, int], began: float) -> None:
        self._begin(began)
        partitions = set(messages.partitions)
        bases = {number: self._assignment[number].next_offset for number in partitions}
        self._filling.batch.add(messages, decoded, bases, epochs)
        for number in partitions:
            self._account(number)

    def reach(self, number: int, offset: int) -> None:
        """Account for offsets behind the last message: control records, compacted or aborted messages."""
        partition = self._assignment.get(number)
        if partition is None or partition.state is not State.READING or offset <= partition.next_offset or self.stuck:
            return
        self._begin(self._clock())
        self._filling.batch.advance(number, partition.next_offset, offset)
        self._account(number)

    def prepare(self, work_out: Callable[[Batch], Prepared | None]) -> None:
        """Have what the flush will write worked out now, unless that is done."""
        if self._filling.prepared is None:
            began = self._clock()
            self._filling.prepared = work_out(self._filling.batch)
            self._filling.prepare_seconds += self._clock() - began

    def recorded_from(self, number: int, offset: int) -> int | None:
        """Give the record time of a partition's first held message at or behind an offset; None where there is none."""
        found = self._filling.batch.recorded_from(number, offset)
        if found is None and self._undecoded is not None:
            found = self._undecoded[0].recorded_from(number, offset)
        return found

    def hand_over(self, ready: float) -> Load:
        """Give the batch away, which the writer could have had since ``ready``, and begin a new one."""
        self._mean_before = self.size / max(1, self.count)
        load, self._filling = self._filling, Load(Batch(self._topic, clock=self._order))
        load.ready = max(load.since, ready)
        return load

    def part(self, partitions: Sequence[int]) -> Load:
        """Give a copy of what is collected of these partitions."""
        return Load(self._filling.batch.only(partitions), dict(self._filling.claims), self._filling.since)

    def forget(self, partitions: Sequence[int]) -> None:
        """Drop what is collected of these partitions."""
        self._filling.batch.drop(partitions)
        self._filling.prepared = None
        self._drop_undecoded(lambda number, _offset: number in partitions)

    def _begin(self, since: float) -> None:
        self._filling.prepared = None
        if self.empty:
            self._filling.since = since

    def _account(self, number: int) -> None:
        partition = self._assignment[number]
        if partition.claim is None:
            raise ValueError(f"partition {number} is read without a claim")
        partition.next_offset = self._filling.batch.spans[number].end
        self._filling.claims[number] = partition.claim

    def _wanted(self, messages: Messages) -> Messages:
        """Leave out what a partition delivers that is not (or no longer) read, or before its position."""
        starts = {number: self._assignment[number].next_offset for number in self._assignment.in_state(State.READING)}
        # the usual case, found without a step of Python's for each message
        if all(map(ge, messages.offsets, map(starts.get, messages.partitions, repeat(sys.maxsize)))):
            return messages
        places = zip(messages.partitions, messages.offsets, strict=True)
        return messages.take(
            [index for index, (number, offset) in enumerate(places) if number in starts and offset >= starts[number]]
        )
