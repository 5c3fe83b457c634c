"""The loop of one dataset: poll, collect, flush, then commit offsets; rebalances, back-pressure, shutdown.

The one invariant: *an offset leaves this process only as part of a flush whose transaction has committed.*
"""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from sink.assignment import Assignment, State
from sink.breaker import BreakerState
from sink.cadence import Cadence
from sink.claims import Claims
from sink.collector import Collector, Load
from sink.errors import DeadlineError, DefinitionError, OversizeError, SinkError, TransientError
from sink.flush import Flushed, Flusher
from sink.kafka.log import Log, LogFault, Polled
from sink.lane import UNLISTED_TRIES, Lane
from sink.ledger import Claim, Locked, Times
from sink.lookout import Lookout
from sink.observer import Nobody, Observer, Size
from sink.pressure import Pressure
from sink.starts import Initial
from sink.tasks import Writer
from sink.totals import Totals
from sink.transactions import UnlistedError

log = structlog.get_logger(__name__)

POLL_LIMIT = 10_000
MUTUAL_FENCES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the loop behaves; times in seconds."""

    max_rows: int = 20_000
    max_bytes: int = 16 * 1024 * 1024
    max_age: float = 0.2
    poll_wait: float = 0.05
    initial_offset: Initial = "earliest"
    skip_lost: bool = False
    session_timeout: float = 45
    positions_every: float = 5
    revoke_deadline: float = 10
    patience: float = 10
    """How long a full batch waits for the flush before it without a poll."""
    look_every: float = 30
    """How often Kafka is asked whether the topic is still the one we began with, and what it has for us."""


class Pipeline:
    """Brings one topic into one table, as one member of its consumer group.

    :meth:`step` is the whole loop body and never blocks much longer than a poll; time, randomness and the writer thread
    are arguments, so that the simulator can run every interleaving.
    """

    def __init__(
        self,
        *,
        dataset: str,
        kafka: Log,
        assignment: Assignment,
        collector: Collector,
        flusher: Flusher,
        writer: Writer,
        options: Options,
        clock: Callable[[], float],
        dice: random.Random,
        observer: Observer | None = None,
    ) -> None:
        self.dataset = dataset
        self.totals = Totals()
        self.assignment = assignment
        self.positions: dict[int, int] = {}
        """Where every partition of the topic stands in the database, as last read; also those of other members."""
        self._kafka = kafka
        self._collector = collector
        self._flusher = flusher
        self._options = options
        self._clock = clock
        self._dice = dice
        self._observer = observer or Nobody()
        self._queue: deque[Load] = deque()
        self._in_flight: Load | None = None
        self._positions_at = 0.0
        self._cadence = Cadence(options.max_age)
        self._lane = Lane(dataset=dataset, writer=writer, clock=clock, dice=dice, observer=self._observer)
        self._pressure = Pressure(
            kafka=kafka,
            assignment=assignment,
            collector=collector,
            lane=self._lane,
            prepare=flusher.prepare,
            clock=clock,
            max_rows=options.max_rows,
            max_bytes=options.max_bytes,
            patience=options.patience,
        )
        self._claims = Claims(
            dataset=dataset,
            kafka=kafka,
            assignment=assignment,
            flusher=flusher,
            lane=self._lane,
            pressure=self._pressure,
            clock=clock,
            initial_offset=options.initial_offset,
            skip_lost=options.skip_lost,
        )
        self._lookout = Lookout(
            dataset=dataset,
            kafka=kafka,
            assignment=assignment,
            lane=self._lane,
            pressure=self._pressure,
            clock=clock,
            every=options.look_every,
            claim_again=self._claim_again,
            observer=self._observer,
        )

    @property
    def failure(self) -> SinkError | None:
        """Why the whole dataset is halted."""
        return self._lane.failure

    @property
    def breaker(self) -> BreakerState:
        """How close the breaker is to halting the dataset, or why it has."""
        return self._collector.breaker

    @property
    def unknown_fields(self) -> int:
        """Values of fields that no column takes, so far."""
        return self._collector.unknown_fields

    @property
    def held(self) -> int:
        """Bytes of all raw messages held in this process, except for librdkafka's own queue."""
        return self._collector.held + sum(load.batch.size for load in self._loads())

    def _loads(self) -> list[Load]:
        return [*self._queue] if self._in_flight is None else [self._in_flight, *self._queue]

    def recorded_from(self, number: int, offset: int) -> int | None:
        """Give the record time, in UTC microseconds, of a partition's first held message at or behind an offset."""
        times = (load.batch.recorded_from(number, offset) for load in self._loads())
        return next((one for one in times if one is not None), self._collector.recorded_from(number, offset))

    @property
    def paused(self) -> bool:
        """Whether back-pressure holds the partitions back."""
        return self._pressure.paused

    # ---- the loop

    def step(self) -> None:
        """Do one round: take what the writer has finished, give it the next task, poll and collect."""
        self._lane.harvest()
        self._give_work()
        if self._pressure.hold_back():
            return
        began = self._clock()
        try:
            polled = self._kafka.poll(self._poll_limit(), self._options.poll_wait)
        except TransientError as error:
            log.warning("reading broke off; every partition is claimed again", dataset=self.dataset, error=str(error))
            self._claim_again(list(self.assignment), 0.0)
            return
        self._observer.polled(self._clock() - began)
        for fault in polled.faults:
            self._heed(fault)
        self._collect(polled)

    def drain(self, deadline: float) -> None:
        """Flush what is collected until the deadline on our clock; the rest is read again after the next claim."""
        with contextlib.suppress(TransientError):
            self._kafka.pause(self.assignment.in_state(State.READING))
        while self.failure is None and (self._lane.busy or self._queue or not self._collector.empty):
            left = deadline - self._clock()
            if left <= 0:
                log.warning("the deadline cut the last flush short; its messages are read again", dataset=self.dataset)
                return
            if self._lane.busy:
                self._lane.wait(min(left, 0.2))
                self._lane.harvest()
            elif self._lane.resting:
                # backing off, and still a member of the group; what broke off is read again after the next claim
                with contextlib.suppress(TransientError):
                    self._kafka.poll(1, min(left, 0.2))
            else:
                self._start_flush(self._queue.popleft() if self._queue else self._closed())

    def close(self) -> None:
        """Close the database connection, unless a flush that hangs still holds it."""
        if not self._lane.busy:
            self._flusher.close()

    # ---- rebalances, told inside poll

    def assigned(self, partitions: Sequence[int]) -> None:
        """Note new partitions; they stay paused until their claim has said where to start."""
        self._observer.rebalanced("assigned")
        self.assignment.add(partitions, self._clock())
        log.info("partitions assigned", dataset=self.dataset, partitions=sorted(partitions))

    def revoked(self, partitions: Sequence[int]) -> None:
        """Try once, within a deadline, to flush what is collected of these partitions, then let go of them."""
        self._observer.rebalanced("revoked")
        log.info("partitions revoked", dataset=self.dataset, partitions=sorted(partitions))
        deadline = self._clock() + self._options.revoke_deadline
        try:
            self._lane.await_outcome(deadline)
            part = self._collector.part(partitions)
            if part.batch and not self._lane.busy and not self._queue and self.failure is None:
                self._start_flush(part)
                self._lane.await_outcome(deadline)
        finally:
            self._let_go(partitions)

    def lost(self, partitions: Sequence[int]) -> None:
        """Drop everything of these partitions at once: another member has them already."""
        self._observer.rebalanced("lost")
        log.warning("partitions lost", dataset=self.dataset, partitions=sorted(partitions))
        self._let_go(partitions)

    def _let_go(self, partitions: Sequence[int]) -> None:
        self._forget(partitions)
        self.assignment.remove(partitions)

    # ---- the writer's tasks: one at a time

    def _give_work(self) -> None:
        now = self._clock()
        if not self._lane.free:
            return
        if waiting := self.assignment.to_claim(now):
            self._claims.start(waiting)
        elif self._lookout.due:
            self._lookout.look()
        elif self._queue:
            self._start_flush(self._queue.popleft())
        elif self._due():
            self._start_flush(self._closed())
        elif now >= self._positions_at:
            self._positions_at = now + self._options.positions_every
            self._lane.run(self._flusher.positions, self._compare_positions, self._lane.back_off)

    def _due(self) -> bool:
        return not self._collector.empty and (self._pressure.full or self._collector.age >= self._cadence.wait)

    def _closed(self) -> Load:
        """Take what is collected, noting since when it was full or due and waited for the writer."""
        now = self._clock()
        due = now - self._collector.age + self._cadence.wait
        clogged = self._pressure.clogged_since
        return self._collector.hand_over(min(now, due, now if clogged is None else clogged))

    # ---- letting go

    def _claim_again(self, partitions: Sequence[int], wait: float) -> None:
        """Drop what is collected of these partitions and claim them anew after ``wait`` seconds."""
        held = [number for number in partitions if self.assignment.get(number)]
        self._forget(partitions)
        self.assignment.claim_again(held, self._clock() + wait)
        try:
            # Nothing that was fetched before the seek may come after it: it would look like a gap in the log.
            self._kafka.pause(held)
        except TransientError as error:
            log.warning("not paused; what comes is left out", dataset=self.dataset, error=str(error))

    def _forget(self, partitions: Sequence[int]) -> None:
        self._collector.forget(partitions)
        for load in self._queue:
            load.batch.drop(partitions)
            load.prepared = None
        self._queue = deque(load for load in self._queue if load.batch)

    # ---- flushes

    def _start_flush(self, load: Load) -> None:
        self._in_flight = load

        def flush() -> tuple[Flushed, float, Times]:
            began = self._clock()
            ready = began if load.ready is None else load.ready
            times = Times(filled=ready - load.since, waited=began - ready)
            flushed = self._flusher.flush(load.batch, load.claims, load.prepared, times=times)
            return flushed, self._clock() - began, times

        self._lane.run(
            flush,
            lambda outcome: self._flushed(load, *outcome),
            lambda error: self._not_flushed(load, error),
        )

    def _flushed(self, load: Load, flushed: Flushed, seconds: float, times: Times) -> None:
        self._in_flight = None
        self._cadence.took(seconds)
        self._lane.succeeded()
        self.totals.add(flushed)
        batch, prepare = load.batch, load.prepare_seconds
        self._observer.flushed(flushed, Size(messages=batch.count, size=batch.size, prepare=prepare, wait=times.waited))
        log.debug("flushed", dataset=self.dataset, offsets=flushed.durable, messages=batch.count)
        epochs = {number: span.leader_epoch for number, span in load.batch.spans.items()}
        ours: dict[int, int] = {}
        for number, offset in flushed.durable.items():
            self.positions[number] = offset
            partition = self.assignment.reading_under(number, load.claims[number])
            if partition is not None:
                partition.durable = ours[number] = offset
        if ours:
            self._kafka.commit_offsets(ours, {n: epoch for n, epoch in epochs.items() if epoch is not None})
        for number, owner in flushed.fenced.items():
            self._fenced(number, load.claims[number], owner)
        for number in flushed.moved:
            if self.assignment.reading_under(number, load.claims[number]):
                log.warning("position moved by somebody else; claimed again", dataset=self.dataset, partition=number)
                self._claim_again([number], 0.0)
        try:
            self._collector.flushed(sum(entry.messages for entry in flushed.entries), flushed.reasons)
        except DefinitionError as error:
            self._lane.halt(error)

    def _fenced(self, number: int, claim: Claim, owner: str) -> None:
        """Another owner has claimed the partition. If it stays ours, claim it back after a while.

        The group may not have told us yet that it is gone; or a late claim of a stale owner has overtaken ours.
        """
        self.totals.fenced += 1
        self._observer.fenced()
        partition = self.assignment.reading_under(number, claim)
        if partition is None:
            return
        partition.fenced_by[owner] += 1
        if partition.fenced_by[owner] >= MUTUAL_FENCES:
            self._lane.halt(
                DefinitionError(
                    f"partition {number} is claimed again and again by {owner}: two sinks share this group's positions"
                    " without sharing its partitions. Stop one, or give it another SINK_GROUP_PREFIX"
                )
            )
            return
        wait = self._dice.uniform(1.0, max(1.0, self._options.session_timeout))
        log.warning("fenced", dataset=self.dataset, partition=number, owner=owner, wait=round(wait, 1))
        self._claim_again([number], wait)

    def _not_flushed(self, load: Load, error: SinkError) -> None:
        self._in_flight = None
        load.tries += 1
        halves = load.batch.halves() if isinstance(error, OversizeError) else None
        if halves:
            self._observer.retrying(error)
            log.warning("halving the batch", dataset=self.dataset, messages=load.batch.count, error=str(error))
            self._queue.extendleft(Load(half, load.claims, load.since, load.ready) for half in reversed(halves))
        elif _lasting(error, load.tries):
            self._lane.halt(error)
        elif isinstance(error, TransientError | UnlistedError):
            stale = [n for n in load.batch.spans if not self.assignment.reading_under(n, load.claims[n])]
            if stale:
                load.batch.drop(stale)
                load.prepared = None
            if load.batch:
                self._queue.appendleft(load)
            self._lane.back_off(TransientError(str(error), sqlstate=error.sqlstate))
        else:
            self._lane.halt(error)

    def _compare_positions(self, stored: Mapping[int, Locked]) -> None:
        """Notice what was moved behind our back, so that a rewind reaches an idle replica too."""
        self._lane.succeeded()
        self.positions = {number: row.next_offset for number, row in stored.items()}
        for number in self.assignment.in_state(State.READING):
            partition, row = self.assignment[number], stored.get(number)
            if partition.claim is None:
                continue
            if row is None or row.token != partition.claim.token:
                self._fenced(number, partition.claim, row.owner if row else "")
            elif row.next_offset != partition.durable:
                log.warning("position moved by somebody else; claimed again", dataset=self.dataset, partition=number)
                self._claim_again([number], 0.0)

    # ---- reading

    def _poll_limit(self) -> int:
        """Ask for no more than the batch can take, by rows and, at their mean size, by bytes."""
        rows = self._options.max_rows - self._collector.count
        size = (self._options.max_bytes - self._collector.size) / max(1.0, self._collector.mean_size)
        return max(1, min(POLL_LIMIT, rows, int(size)))

    def _collect(self, polled: Polled) -> None:
        try:
            if len(polled.messages):
                began = self._clock()
                self._collector.take(polled.messages, polled.epochs)
                self._observer.decoded(self._clock() - began)
            elif not self._lane.resting:
                self._collector.retry()
        except TransientError as error:
            self._lane.back_off(error)
        except SinkError as error:
            self._lane.halt(error)
        else:
            for number, offset in polled.reached.items():
                self._collector.reach(number, offset)
        self._pause_halted()

    def _pause_halted(self) -> None:
        """Fetch nothing more of partitions that were halted before a deadly message."""
        halted = self._collector.newly_halted()
        for number in halted:
            log.error("partition halted", dataset=self.dataset, partition=number, reason=self.assignment[number].reason)
        if halted:
            with contextlib.suppress(TransientError):  # what comes all the same is left out
                self._kafka.pause(halted)

    def _heed(self, fault: LogFault) -> None:
        if fault.kind == "out_of_range" and fault.partition is not None:
            self._claim_again([fault.partition], 1.0)
        elif fault.kind == "topic_missing":
            self._lane.halt(
                DefinitionError(f"the topic of {self.dataset} is gone: {fault.error}. See 'sink topics apply'")
            )
        elif fault.kind == "denied":
            self._lane.halt(DefinitionError(f"Kafka denies access: {fault.error}"))
        else:
            log.warning("Kafka", dataset=self.dataset, partition=fault.partition, error=fault.error)


def _lasting(error: SinkError, tries: int) -> bool:
    """Say whether a flush that cannot be halved any more will fail again; a database that stalls is only slow."""
    if isinstance(error, OversizeError):
        return not isinstance(error, DeadlineError)
    return isinstance(error, UnlistedError) and tries >= UNLISTED_TRIES
