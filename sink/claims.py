"""Claims: takes the partitions that the group has given, and begins to read where the database says."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence

import structlog

from sink.assignment import Assignment, Partition, State
from sink.errors import SinkError, TransientError
from sink.flush import Flusher
from sink.kafka.log import Log
from sink.lane import Lane
from sink.ledger import Claim, Start
from sink.pressure import Pressure
from sink.starts import Initial, look

log = structlog.get_logger(__name__)


class Claims:
    """Claims partitions on the writer's lane; one that was revoked meanwhile is left to its next owner."""

    def __init__(
        self,
        *,
        dataset: str,
        kafka: Log,
        assignment: Assignment,
        flusher: Flusher,
        lane: Lane,
        pressure: Pressure,
        clock: Callable[[], float],
        initial_offset: Initial,
        skip_lost: bool,
    ) -> None:
        self._dataset = dataset
        self._kafka = kafka
        self._assignment = assignment
        self._flusher = flusher
        self._lane = lane
        self._pressure = pressure
        self._clock = clock
        self._initial_offset = initial_offset
        self._skip_lost = skip_lost

    def start(self, partitions: Sequence[int]) -> None:
        """Ask Kafka where these partitions could start, and have the writer claim them."""
        try:
            starts = look(self._kafka, partitions, self._initial_offset)
        except SinkError as error:
            self._lane.back_off(error)
            return
        asked = {number: self._assignment[number] for number in partitions}
        for partition in asked.values():
            partition.state = State.CLAIMING

        def otherwise(error: SinkError) -> None:
            self._assignment.claim_again([n for n, part in asked.items() if self._assignment.get(n) is part], 0.0)
            self._lane.back_off(error)

        self._lane.run(lambda: self._claim_all(starts), lambda claims: self._claimed(asked, starts, claims), otherwise)

    def _claim_all(self, starts: Mapping[int, Start]) -> list[Claim]:
        return [self._flusher.claim(starts[number], uuid.uuid4()) for number in sorted(starts)]

    def _claimed(self, asked: Mapping[int, Partition], starts: Mapping[int, Start], claims: Sequence[Claim]) -> None:
        self._lane.succeeded()
        answers = True
        for claim in claims:
            partition = asked[claim.partition]
            if self._assignment.get(claim.partition) is not partition:
                continue  # revoked meanwhile, perhaps given back since: that one claims for itself
            self._tell(claim, starts[claim.partition])
            if not answers:  # asking for each of many partitions in vain would keep us from polling for minutes
                partition.again(self._clock() + 1)
                continue
            try:
                self._begin(partition, claim, starts[claim.partition])
            except TransientError as error:
                answers = False
                partition.again(self._clock() + 1)
                log.warning(
                    "claimed, but not readable yet", dataset=self._dataset, partition=claim.partition, error=str(error)
                )

    def _tell(self, claim: Claim, start: Start) -> None:
        if start.marked and claim.seq == 1:
            log.error(
                "Kafka knows this sink, the database does not: it was lost or restored; reading starts anew",
                dataset=self._dataset,
                partition=claim.partition,
            )
        if claim.rewound_from is not None:
            log.warning(
                "rewound by a commit from outside",
                dataset=self._dataset,
                partition=claim.partition,
                before=claim.rewound_from,
                now=claim.start,
            )

    def _begin(self, partition: Partition, claim: Claim, start: Start) -> None:
        """Read from where the claim says, if the log still has that offset."""
        number = claim.partition
        first, end = self._kafka.log_range(number)
        if not first <= claim.start <= end:
            self._start_is_gone(partition, claim, first, end)
            return
        self._kafka.read_from(number, claim.start)
        if self._pressure.paused:
            self._kafka.pause([number])
        partition.claim, partition.state = claim, State.READING
        partition.next_offset = partition.durable = claim.start
        partition.topic_id = start.topic_id
        told = first if start.committed is None else start.committed
        if told != claim.start or (start.committed is not None and not start.marked):
            # Left standing, a commit without our mark would rewind again at every restart before our next commit, and
            # one that the last owner could not bring up to its position would show a lag until a message comes.
            self._kafka.commit_offsets({number: claim.start}, {})

    def _start_is_gone(self, partition: Partition, claim: Claim, first: int, end: int) -> None:
        if self._skip_lost and claim.start < first:
            self._skip(partition, claim, first)
            return
        gone = f"[{claim.start}, {first})" if claim.start < first else f"[{end}, {claim.start})"
        partition.state = State.HALTED
        partition.reason = (
            f"offset {claim.start} comes next, but Kafka has [{first}, {end}): {gone} is gone (retention, truncation or"
            " another topic). Set SINK_ON_DATA_LOSS=skip to record the gap and go on, or rewind the group"
        )
        log.error("partition halted", dataset=self._dataset, partition=claim.partition, reason=partition.reason)

    def _skip(self, partition: Partition, claim: Claim, first: int) -> None:
        """Record the gap, then claim behind it; while the writer is busy with another gap, claim again later."""
        if self._lane.busy:
            partition.again(self._clock())
            return
        gap = [claim.start, first]
        log.error("messages are gone from Kafka", dataset=self._dataset, partition=claim.partition, gap=gap)

        def otherwise(error: SinkError) -> None:
            partition.again(0.0)
            self._lane.back_off(error)

        self._lane.run(lambda: self._flusher.skip(claim, first), lambda _: partition.again(0.0), otherwise)
