"""The loop of one dataset: poll, collect, flush, then commit offsets; rebalances, back-pressure, shutdown.

The one invariant: *an offset leaves this process only as part of a flush whose transaction has committed.*
"""

from __future__ import annotations

import contextlib
import random
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from sink.assignment import Assignment, Partition, State
from sink.collector import Collector, Load
from sink.errors import DefinitionError, OversizeError, SinkError, TransientError
from sink.flush import Flushed, Flusher, UnlistedError
from sink.kafka.consumer import LogFault, Polled
from sink.ledger import Claim, Locked, Start
from sink.starts import AskedLog, Initial, look
from sink.tasks import Task, Writer

log = structlog.get_logger(__name__)

T = TypeVar("T")

POLL_LIMIT = 10_000
UNLISTED_TRIES = 5
MUTUAL_FENCES = 5
LONGEST_BACKOFF = 30.0
PATIENCE = 10.0
"""Seconds that a full batch waits for the flush before it without pausing: a pause throws away what was fetched."""


class Log(AskedLog, Protocol):
    """What the loop needs of Kafka; :class:`sink.kafka.consumer.TopicConsumer` is the real one."""

    def poll(self, limit: int, wait: float) -> Polled:
        """Give messages; rebalances happen in here."""

    def read_from(self, partition: int, offset: int) -> None:
        """Seek and resume."""

    def pause(self, partitions: Sequence[int]) -> None:
        """Deliver nothing of these."""

    def resume(self, partitions: Sequence[int]) -> None:
        """Deliver again."""

    def commit_offsets(self, offsets: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        """Tell the group what is durable."""


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


@dataclass(slots=True)
class Totals:
    """What this pipeline has done since it started."""

    messages: int = 0
    rows_written: int = 0
    rows_not_newer: int = 0
    rows_deduplicated: int = 0
    late: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    flushes: int = 0
    fenced: int = 0


@dataclass(slots=True)
class _Running:
    """The writer's present task, and what to do with its outcome."""

    ended: Callable[[], bool]
    wait: Callable[[float], bool]
    finish: Callable[[], None]


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
    ) -> None:
        self.dataset = dataset
        self.totals = Totals()
        self.failure: SinkError | None = None
        """Why the whole dataset is halted."""
        self.assignment = assignment
        self.positions: dict[int, int] = {}
        """Where every partition of the topic stands in the database, as last read; also those of other members."""
        self._kafka = kafka
        self._collector = collector
        self._flusher = flusher
        self._writer = writer
        self._options = options
        self._clock = clock
        self._dice = dice
        self._queue: deque[Load] = deque()
        self._running: _Running | None = None
        self._retry_at = 0.0
        self._attempts = 0
        self._clogged_since: float | None = None
        self._paused = False
        self._positions_at = 0.0

    # ---- the loop

    def step(self) -> None:
        """Do one round: take what the writer has finished, give it the next task, poll and collect."""
        self._harvest()
        self._give_work()
        if self._held_back():
            return
        try:
            polled = self._kafka.poll(self._poll_limit(), self._options.poll_wait)
        except TransientError as error:
            log.warning("reading broke off; every partition is claimed again", dataset=self.dataset, error=str(error))
            self._claim_again(list(self.assignment), 0.0)
            return
        for fault in polled.faults:
            self._heed(fault)
        self._collect(polled)

    def drain(self, deadline: float) -> None:
        """Flush what is collected until the deadline on our clock; the rest is read again after the next claim."""
        with contextlib.suppress(TransientError):
            self._kafka.pause(self.assignment.in_state(State.READING))
        while self.failure is None and (self._running or self._queue or not self._collector.empty):
            left = deadline - self._clock()
            if left <= 0:
                log.warning("the deadline cut the last flush short; its messages are read again", dataset=self.dataset)
                return
            if self._running is not None:
                self._running.wait(min(left, 0.2))
                self._harvest()
            elif self._clock() < self._retry_at:
                self._kafka.poll(1, min(left, 0.2))  # backing off, and still a member of the group
            else:
                self._start_flush(self._queue.popleft() if self._queue else self._collector.hand_over())

    def close(self) -> None:
        """Close the database connection, unless a flush that hangs still holds it."""
        if self._running is None:
            self._flusher.close()

    # ---- rebalances, told inside poll

    def assigned(self, partitions: Sequence[int]) -> None:
        """Note new partitions; they stay paused until their claim has said where to start."""
        log.info("partitions assigned", dataset=self.dataset, partitions=sorted(partitions))
        self.assignment.add(partitions, self._clock())

    def revoked(self, partitions: Sequence[int]) -> None:
        """Try once, within a deadline, to flush what is collected of these partitions, then let go of them."""
        log.info("partitions revoked", dataset=self.dataset, partitions=sorted(partitions))
        deadline = self._clock() + self._options.revoke_deadline
        try:
            self._await_writer(deadline)
            part = self._collector.part(partitions)
            if part.batch and self._running is None and not self._queue and self.failure is None:
                self._start_flush(part)
                self._await_writer(deadline)
        finally:
            self._let_go(partitions)

    def lost(self, partitions: Sequence[int]) -> None:
        """Drop everything of these partitions at once: another member has them already."""
        log.warning("partitions lost", dataset=self.dataset, partitions=sorted(partitions))
        self._let_go(partitions)

    def _let_go(self, partitions: Sequence[int]) -> None:
        self._forget(partitions)
        self.assignment.remove(partitions)

    def _await_writer(self, deadline: float) -> None:
        if self._running is not None and self._running.wait(max(0.0, deadline - self._clock())):
            self._harvest()

    # ---- the writer's tasks: one at a time

    def _harvest(self) -> None:
        running = self._running
        if running is not None and running.ended():
            self._running = None
            running.finish()

    def _run(self, call: Callable[[], T], then: Callable[[T], None], otherwise: Callable[[SinkError], None]) -> None:
        task: Task[T] = self._writer.submit(call)

        def finish() -> None:
            try:
                outcome = task.result()
            except SinkError as error:
                otherwise(error)
            else:
                then(outcome)

        self._running = _Running(ended=task.done, wait=task.wait, finish=finish)

    def _give_work(self) -> None:
        now = self._clock()
        if self._running is not None or self.failure is not None or now < self._retry_at:
            return
        if waiting := self.assignment.to_claim(now):
            self._start_claims(waiting)
        elif self._queue:
            self._start_flush(self._queue.popleft())
        elif self._due():
            self._start_flush(self._collector.hand_over())
        elif now >= self._positions_at:
            self._positions_at = now + self._options.positions_every
            self._run(self._flusher.positions, self._compare_positions, self._back_off)

    def _due(self) -> bool:
        return not self._collector.empty and (self._full() or self._collector.age >= self._options.max_age)

    def _full(self) -> bool:
        collector, options = self._collector, self._options
        return collector.count >= options.max_rows or collector.size >= options.max_bytes

    def _back_off(self, error: SinkError) -> None:
        """Wait before the next task; what was to be written is kept by the caller."""
        if not isinstance(error, TransientError):
            self._halt(error)
            return
        delay = min(LONGEST_BACKOFF, 0.25 * 2 ** min(self._attempts, 10)) * self._dice.uniform(0.5, 1.0)
        self._attempts += 1
        self._retry_at = self._clock() + delay
        log.warning("waiting; nothing is lost", dataset=self.dataset, seconds=round(delay, 1), error=str(error))

    def _halt(self, error: SinkError) -> None:
        self.failure = error
        log.error("halted", dataset=self.dataset, error=str(error))

    # ---- claims

    def _start_claims(self, partitions: Sequence[int]) -> None:
        try:
            starts = look(self._kafka, partitions, self._options.initial_offset)
        except TransientError as error:
            self._back_off(error)
            return
        except SinkError as error:
            self._halt(error)
            return
        asked = {number: self.assignment[number] for number in partitions}
        for partition in asked.values():
            partition.state = State.CLAIMING

        def otherwise(error: SinkError) -> None:
            self.assignment.claim_again([n for n, part in asked.items() if self.assignment.get(n) is part], 0.0)
            self._back_off(error)

        self._run(lambda: self._claim_all(starts), lambda claims: self._claimed(asked, starts, claims), otherwise)

    def _claim_all(self, starts: Mapping[int, Start]) -> list[Claim]:
        return [self._flusher.claim(starts[number], uuid.uuid4()) for number in sorted(starts)]

    def _claimed(self, asked: Mapping[int, Partition], starts: Mapping[int, Start], claims: Sequence[Claim]) -> None:
        self._attempts = 0
        for claim in claims:
            number = claim.partition
            partition = asked[number]
            if self.assignment.get(number) is not partition:
                continue  # revoked meanwhile, perhaps given back since: that one claims for itself
            if starts[number].marked and claim.seq == 1:
                log.error(
                    "Kafka knows this sink, the database does not: it was lost or restored; reading starts anew",
                    dataset=self.dataset,
                    partition=number,
                )
            if claim.rewound_from is not None:
                log.warning(
                    "rewound by a commit from outside",
                    dataset=self.dataset,
                    partition=number,
                    before=claim.rewound_from,
                    now=claim.start,
                )
            try:
                self._begin(partition, claim, starts[number])
            except TransientError as error:
                partition.again(self._clock() + 1)
                log.warning("claimed, but not readable yet", dataset=self.dataset, partition=number, error=str(error))

    def _begin(self, partition: Partition, claim: Claim, start: Start) -> None:
        """Read from where the claim says, if the log still has that offset."""
        number = claim.partition
        first, end = self._kafka.log_range(number)
        if not first <= claim.start <= end:
            self._start_is_gone(partition, claim, first, end)
            return
        self._kafka.read_from(number, claim.start)
        if self._paused:
            self._kafka.pause([number])
        partition.claim, partition.state = claim, State.READING
        partition.next_offset = partition.durable = claim.start
        if start.committed is not None and not start.marked:
            # left standing, a commit without our mark would rewind again at every restart before our next commit
            self._kafka.commit_offsets({number: claim.start}, {})

    def _start_is_gone(self, partition: Partition, claim: Claim, first: int, end: int) -> None:
        number = claim.partition
        if self._options.skip_lost and claim.start < first:
            self._skip(partition, claim, first)
            return
        gone = f"[{claim.start}, {first})" if claim.start < first else f"[{end}, {claim.start})"
        partition.state = State.HALTED
        partition.reason = (
            f"offset {claim.start} comes next, but Kafka has [{first}, {end}): {gone} is gone (retention, truncation or"
            " another topic). Set SINK_ON_DATA_LOSS=skip to record the gap and go on, or rewind the group"
        )
        log.error("partition halted", dataset=self.dataset, partition=number, reason=partition.reason)

    def _skip(self, partition: Partition, claim: Claim, first: int) -> None:
        """Record the gap, then claim behind it; while the writer is busy with another gap, claim again later."""
        number = claim.partition
        if self._running is not None:
            partition.again(self._clock())
            return
        log.error("messages are gone from Kafka", dataset=self.dataset, partition=number, gap=[claim.start, first])

        def otherwise(error: SinkError) -> None:
            partition.again(0.0)
            self._back_off(error)

        self._run(lambda: self._flusher.skip(claim, first), lambda _: partition.again(0.0), otherwise)

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
        self._run(
            lambda: self._flusher.flush(load.batch, load.claims, load.prepared),
            lambda flushed: self._flushed(load, flushed),
            lambda error: self._not_flushed(load, error),
        )

    def _flushed(self, load: Load, flushed: Flushed) -> None:
        self._attempts = 0
        self._count(flushed)
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

    def _fenced(self, number: int, claim: Claim, owner: str) -> None:
        """Another owner has claimed the partition. If it stays ours, claim it back after a while.

        The group may not have told us yet that it is gone; or a late claim of a stale owner has overtaken ours.
        """
        self.totals.fenced += 1
        partition = self.assignment.reading_under(number, claim)
        if partition is None:
            return
        partition.fenced_by[owner] += 1
        if partition.fenced_by[owner] >= MUTUAL_FENCES:
            self._halt(
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
        load.tries += 1
        halves = load.batch.halves() if isinstance(error, OversizeError) else None
        if halves:
            log.warning("halving the batch", dataset=self.dataset, messages=load.batch.count, error=str(error))
            self._queue.extendleft(Load(half, load.claims, load.since) for half in reversed(halves))
        elif isinstance(error, OversizeError) or (isinstance(error, UnlistedError) and load.tries >= UNLISTED_TRIES):
            self._halt(error)
        elif isinstance(error, TransientError | UnlistedError):
            stale = [n for n in load.batch.spans if not self.assignment.reading_under(n, load.claims[n])]
            if stale:
                load.batch.drop(stale)
                load.prepared = None
            if load.batch:
                self._queue.appendleft(load)
            self._back_off(TransientError(str(error)))
        else:
            self._halt(error)

    def _count(self, flushed: Flushed) -> None:
        totals = self.totals
        totals.flushes += 1
        totals.quarantined.update(flushed.reasons)
        for entry in flushed.entries:
            totals.messages += entry.messages
            totals.rows_written += entry.rows_written
            totals.rows_not_newer += entry.rows_not_newer
            totals.rows_deduplicated += entry.rows_deduplicated
            totals.late += entry.late
        log.debug(
            "flushed", dataset=self.dataset, offsets=flushed.durable, messages=sum(e.messages for e in flushed.entries)
        )

    def _compare_positions(self, stored: Mapping[int, Locked]) -> None:
        """Notice what was moved behind our back, so that a rewind reaches an idle replica too."""
        self._attempts = 0
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

    def _held_back(self) -> bool:
        """Say whether to leave Kafka alone this round, because a full batch waits for the flush before it.

        A short wait is taken without polling. After that the partitions are paused and polled on, so that the process
        stays in its group however long the database takes.
        """
        clogged = self._full() or self._collector.stuck
        if not clogged:
            self._clogged_since = None
            if self._paused:
                self._paused = False
                self._kafka.resume(self.assignment.in_state(State.READING))
            return False
        now = self._clock()
        self._clogged_since = now if self._clogged_since is None else self._clogged_since
        if self._paused or self._running is None or now - self._clogged_since > PATIENCE:
            if not self._paused:
                self._paused = True
                self._kafka.pause(self.assignment.in_state(State.READING))
            return False
        if self._full():
            # the database still writes the batch before: work out here what it will write next
            self._collector.prepare(self._flusher.prepare)
        self._running.wait(0.1)
        return True

    def _poll_limit(self) -> int:
        return min(POLL_LIMIT, max(1, self._options.max_rows - self._collector.count))

    def _collect(self, polled: Polled) -> None:
        try:
            if len(polled.messages):
                self._collector.take(polled.messages, polled.epochs)
            elif self._clock() >= self._retry_at:
                self._collector.retry()
        except TransientError as error:
            self._back_off(error)
        except SinkError as error:
            self._halt(error)
        else:
            for number, offset in polled.reached.items():
                self._collector.reach(number, offset)

    def _heed(self, fault: LogFault) -> None:
        if fault.kind == "out_of_range" and fault.partition is not None:
            self._claim_again([fault.partition], 1.0)
        elif fault.kind == "topic_missing":
            self._halt(DefinitionError(f"the topic of {self.dataset} is gone: {fault.error}. See 'sink topics apply'"))
        elif fault.kind == "denied":
            self._halt(DefinitionError(f"Kafka denies access: {fault.error}. Grant READ on the topic and the group"))
        else:
            log.warning("Kafka", dataset=self.dataset, partition=fault.partition, error=fault.error)
