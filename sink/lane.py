"""The writer's lane of one dataset: one task at a time, the wait after passing errors, the halt after lasting ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from sink.errors import SinkError, TransientError
from sink.observer import Observer
from sink.tasks import Task, Writer
from sink.transactions import UnlistedError

log = structlog.get_logger(__name__)

T = TypeVar("T")

LONGEST_BACKOFF = 30.0
UNLISTED_TRIES = 5
"""Times in a row that an error without a rule may come, before it is taken for a lasting one."""


@dataclass(slots=True)
class _Running:
    """The writer's present task, and what to do with its outcome."""

    ended: Callable[[], bool]
    wait: Callable[[float], bool]
    finish: Callable[[], None]


class Lane:
    """Gives the writer its tasks and brings their outcomes back to the thread that owns the consumer."""

    def __init__(
        self, *, dataset: str, writer: Writer, clock: Callable[[], float], dice: random.Random, observer: Observer
    ) -> None:
        self.failure: SinkError | None = None
        """Why the whole dataset is halted."""
        self._dataset = dataset
        self._writer = writer
        self._clock = clock
        self._dice = dice
        self._observer = observer
        self._running: _Running | None = None
        self._retry_at = 0.0
        self._attempts = 0
        self._unlisted = 0

    @property
    def busy(self) -> bool:
        """Whether a task is on its way, or its outcome has not been taken."""
        return self._running is not None

    @property
    def resting(self) -> bool:
        """Whether a passing error asks to wait before anything is tried again."""
        return self._clock() < self._retry_at

    @property
    def free(self) -> bool:
        """Whether a task may be given now."""
        return not self.busy and self.failure is None and not self.resting

    def run(self, call: Callable[[], T], then: Callable[[T], None], otherwise: Callable[[SinkError], None]) -> None:
        """Give the writer a task; one of the other two hears of its outcome in a later :meth:`harvest`."""
        task: Task[T] = self._writer.submit(call)

        def finish() -> None:
            try:
                outcome = task.result()
            except SinkError as error:
                otherwise(error)
            else:
                then(outcome)

        self._running = _Running(ended=task.done, wait=task.wait, finish=finish)

    def harvest(self) -> None:
        """Take the outcome of a task that has ended."""
        running = self._running
        if running is not None and running.ended():
            self._running = None
            running.finish()

    def wait(self, seconds: float) -> bool:
        """Wait for the present task, at most so long; say whether none is on its way any more."""
        return self._running is None or self._running.wait(seconds)

    def await_outcome(self, deadline: float) -> None:
        """Wait for the present task until a time on the clock, and take its outcome if there is one by then."""
        if self.wait(max(0.0, deadline - self._clock())):
            self.harvest()

    def succeeded(self) -> None:
        """Forget earlier errors: the next one waits briefly again."""
        self._attempts = self._unlisted = 0
        self._observer.succeeded()

    def back_off(self, error: SinkError) -> None:
        """Wait before the next task; what was to be written is kept by the caller."""
        if not self._passing(error):
            self.halt(error)
            return
        delay = min(LONGEST_BACKOFF, 0.25 * 2 ** min(self._attempts, 10)) * self._dice.uniform(0.5, 1.0)
        self._attempts += 1
        self._retry_at = self._clock() + delay
        self._observer.retrying(error)
        log.warning("waiting; nothing is lost", dataset=self._dataset, seconds=round(delay, 1), error=str(error))

    def _passing(self, error: SinkError) -> bool:
        if isinstance(error, UnlistedError):
            self._unlisted += 1
            return self._unlisted < UNLISTED_TRIES
        return isinstance(error, TransientError)

    def halt(self, error: SinkError) -> None:
        """Give no more tasks."""
        self.failure = error
        log.error("halted", dataset=self._dataset, error=str(error))
