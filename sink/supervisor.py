"""``sink run``: one pipeline in a thread of its own for each dataset; a halt stops only its dataset."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from sink.assignment import State
from sink.db.target import Revisions
from sink.errors import ConfigError, DefinitionError, RefusedError, SinkError, TransientError
from sink.flush import Flusher
from sink.kafka.clients import CLOSE_DEADLINE
from sink.kafka.consumer import TopicConsumer
from sink.pipeline import Pipeline
from sink.watch import Watch

log = structlog.get_logger(__name__)

REPORT_EVERY = 60.0
STARTUP_RETRY = 2.0
REFUSALS = 3
"""Refused logins in a row after which a start is given up."""


class Progress(Protocol):
    """Who is told how far a dataset is on its way to the log end found at start."""

    def __call__(self, dataset: str, done: int, total: int) -> None:
        """Hear of messages done and in total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """All parts of one dataset's membership in its consumer group, wired and not yet started."""

    dataset: str
    group: str
    consumer: TopicConsumer
    flusher: Flusher
    pipeline: Pipeline
    hopeless: Callable[[], SinkError | None]
    """Says, while no service answers, whether waiting cannot help: a certificate or password that is refused."""
    watch: Watch
    shutdown_timeout: float
    revisions: Revisions
    """The migrations that this version knows; the database must be at one that fits."""


class Runner:
    """Runs one member until it is stopped, has halted, or has caught up."""

    def __init__(self, member: Member, stop: threading.Event, progress: Progress | None) -> None:
        self.member = member
        self.failure: SinkError | None = None
        self._stop = stop
        self._progress = progress
        self._ends: dict[int, int] | None = None
        self._total = 0
        self._before: dict[int, int] = {}

    def run(self) -> None:
        """Run to the end; what went wrong stands in ``failure`` afterwards."""
        try:
            self._start()
            if not self._stop.is_set():
                self.member.watch.enter("running")
                self._loop()
        except SinkError as error:
            self.failure = error
            log.error("halted", dataset=self.member.dataset, error=str(error))  # noqa: TRY400 (expected: no traceback)
        except Exception as error:
            self.failure = SinkError(f"unexpected {type(error).__name__}: {error}")
            log.exception("halted by a fault of the sink itself", dataset=self.member.dataset)
        finally:
            self.member.watch.enter("stopping", self.failure)
            self._end()
            self.member.watch.enter("ended" if self.failure is None else "halted", self.failure)

    def _start(self) -> None:
        """Reach Kafka and the database, check that they belong together, join the group.

        A service that is away is waited for. One that refuses us a few times in a row needs a person: at a start that
        is a wrong setting, while later it may be a failover, and is waited for too.
        """
        member = self.member
        refused = 0
        while not self._stop.is_set():
            try:
                partitions = member.consumer.partitions()
                member.flusher.inspect(member.revisions)
                member.flusher.recognise(member.consumer.identity().cluster_id, member.group)
                if self._progress is not None:
                    self._find_ends(partitions)
            except TransientError as error:
                if (cause := member.hopeless()) is not None:
                    raise cause from error
                refused = refused + 1 if isinstance(error, RefusedError) else 0
                if refused == REFUSALS:
                    raise ConfigError(str(error)) from error
                log.warning("waiting to start; nothing is lost", dataset=member.dataset, error=str(error))
                member.watch.observed.retrying(error)
                member.watch.stepped()
                self._stop.wait(STARTUP_RETRY)
            else:
                member.watch.observed.succeeded()
                member.consumer.subscribe(member.pipeline)
                return

    def _find_ends(self, partitions: Sequence[int]) -> None:
        """Note where the log ends now; partitions without messages are done already."""
        ranges = {number: self.member.consumer.log_range(number) for number in partitions}
        stored = self.member.flusher.positions()
        self._ends = {number: end for number, (start, end) in ranges.items() if end > start}
        self._before = {
            number: stored[number].next_offset if number in stored else ranges[number][0] for number in self._ends
        }
        self._total = sum(max(0, end - self._before[number]) for number, end in self._ends.items())

    def _loop(self) -> None:
        pipeline = self.member.pipeline
        report_at = time.monotonic() + REPORT_EVERY
        while not self._stop.is_set() and pipeline.failure is None:
            pipeline.step()
            self.member.watch.stepped()
            if time.monotonic() >= report_at:
                report_at += REPORT_EVERY
                self._report()
            if self._ends is not None and self._caught_up():
                return
        self.failure = pipeline.failure

    def _caught_up(self) -> bool:
        pipeline, ends = self.member.pipeline, self._ends or {}
        at = {number: pipeline.positions.get(number, self._before[number]) for number in ends}
        if self._progress is not None:
            done = sum(min(at[number], end) - self._before[number] for number, end in ends.items())
            self._progress(self.member.dataset, max(0, done), self._total)
        halted = [number for number in pipeline.assignment.in_state(State.HALTED) if number in ends]
        if halted:
            raise DefinitionError(pipeline.assignment[halted[0]].reason)
        return all(at[number] >= end for number, end in ends.items())

    def _report(self) -> None:
        pipeline = self.member.pipeline
        totals = pipeline.totals
        log.info(
            "progress",
            dataset=self.member.dataset,
            messages=totals.messages,
            written=totals.rows_written,
            not_newer=totals.rows_not_newer,
            quarantined=sum(totals.quarantined.values()),
            late=totals.late,
            unknown_fields=pipeline.unknown_fields,
            breaker=str(pipeline.breaker),
            lag=self.member.consumer.lag(pipeline.positions),
            partitions=list(pipeline.assignment),
        )

    def _end(self) -> None:
        member = self.member
        try:
            member.pipeline.drain(time.monotonic() + member.shutdown_timeout)
        except SinkError as error:
            log.warning("the last flush failed; its messages are read again", dataset=member.dataset, error=str(error))
        self._report()  # now: a closed consumer knows neither its partitions nor the lag
        if not member.consumer.close(CLOSE_DEADLINE):
            log.warning("Kafka's client does not close; leaving it", dataset=member.dataset)
        member.pipeline.close()


def run(
    members: Sequence[Member], *, stop: threading.Event, progress: Progress | None = None
) -> Mapping[str, SinkError]:
    """Run all members until they end; give what halted, by dataset.

    With ``progress`` each member ends once everything that was in its topic at the start is durable, and one failure
    stops nobody else either.
    """
    runners = [Runner(member, stop, progress) for member in members]
    threads = [threading.Thread(target=runner.run, name=runner.member.dataset, daemon=True) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        # joined in short waits: the main thread must stay able to take signals
        while thread.is_alive():
            thread.join(0.2)
    return {runner.member.dataset: runner.failure for runner in runners if runner.failure is not None}
