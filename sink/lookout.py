"""The lookout: asks Kafka now and then what its client does not tell: another topic, a partition left unread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from sink.assignment import Assignment, State
from sink.errors import SinkError, TransientError
from sink.kafka.log import Identity, Log
from sink.lane import Lane
from sink.observer import Observer
from sink.pressure import Pressure

log = structlog.get_logger(__name__)


class Lookout:
    """Looks around on the writer's lane, through connections of the admin client, every so many seconds."""

    def __init__(
        self,
        *,
        dataset: str,
        kafka: Log,
        assignment: Assignment,
        lane: Lane,
        pressure: Pressure,
        clock: Callable[[], float],
        every: float,
        claim_again: Callable[[Sequence[int], float], None],
        observer: Observer,
    ) -> None:
        self._dataset = dataset
        self._kafka = kafka
        self._assignment = assignment
        self._lane = lane
        self._pressure = pressure
        self._clock = clock
        self._every = every
        self._claim_again = claim_again
        self._observer = observer
        self._due_at = clock() + every
        self._standing: dict[int, int] = {}
        """Partitions that had not been read to their end when last looked at, and how far they had been read."""

    @property
    def due(self) -> bool:
        """Whether it is time to look again."""
        return self._clock() >= self._due_at

    def look(self) -> None:
        """Give the writer the task of asking; what is found is heeded with its outcome."""
        reading = self._assignment.in_state(State.READING)
        self._lane.run(lambda: (self._kafka.identity(), self._ends(reading)), self._heed, self._not_told)

    def _ends(self, partitions: Sequence[int]) -> Mapping[int, int]:
        try:
            return self._kafka.log_ends(partitions)
        except TransientError:
            return {}  # nobody is taken for a sleeper then

    def _heed(self, found: tuple[Identity, Mapping[int, int]]) -> None:
        identity, ends = found
        self._observer.ended(ends)
        self._due_at = self._clock() + self._every
        self._compare_identity(identity)
        self._find_sleepers(ends)

    def _compare_identity(self, found: Identity) -> None:
        """Claim again what belongs to a topic that was deleted and made anew meanwhile; the claim then refuses it.

        Offsets go on in the new topic as if nothing had happened, so that Kafka's client reads on behind the first
        messages of it, without a word.
        """
        reading = self._assignment.in_state(State.READING)
        other = [number for number in reading if self._assignment[number].topic_id != found.topic_id]
        if other:
            self._claim_again(other, 0.0)

    def _find_sleepers(self, ends: Mapping[int, int]) -> None:
        """Claim again, which seeks again, what has messages and has not moved since the last look.

        Kafka's client now and then stops to fetch a partition after a rebalance, and reports a lag of 0 for it.
        """
        before, self._standing = self._standing, {}
        if self._pressure.held_back:
            return
        for number in self._assignment.in_state(State.READING):
            at, end = self._assignment[number].next_offset, ends.get(number, 0)
            if at >= end:
                continue
            self._standing[number] = at
            if before.get(number) == at:
                log.warning(
                    "Kafka's client does not deliver; reading again",
                    dataset=self._dataset,
                    partition=number,
                    offset=at,
                    end=end,
                )
                self._claim_again([number], 0.0)

    def _not_told(self, error: SinkError) -> None:
        """Ask again another time where Kafka is away: what is collected can be written meanwhile."""
        self._due_at = self._clock() + self._every
        if not isinstance(error, TransientError):
            self._lane.halt(error)
