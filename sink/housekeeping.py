"""What `sink run` does beside its loops: drop expired chunks, prune the ledger, measure tables and quarantine."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from sink import metrics
from sink.db.upkeep import Upkeep
from sink.errors import SinkError
from sink.ledger import Source

log = structlog.get_logger(__name__)

MEASURE_EVERY = 60.0
SOON = 60.0
"""Seconds within which everything is done for the first time: replicas that restart often get to it too."""
JITTER = 0.1
"""Share by which turns come earlier or later, so that replicas do not stay in step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often chunks and ledger are cleaned, in seconds, and how long entries of the ledger stay."""

    every: float | None
    """None: never."""
    keep_ledger: timedelta | None
    """None: for ever."""


class Housekeeper:
    """Does its chores when they are due, in a thread of its own; none of them can hold up or end a loop.

    ``sources`` says by dataset whose table and ledger are kept; ``clock`` counts seconds, ``now`` is the time of day
    for the metrics.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        upkeep: Upkeep,
        schedule: Schedule,
        *,
        clock: Callable[[], float],
        now: Callable[[], float],
        dice: random.Random,
    ) -> None:
        self._sources, self._upkeep, self._schedule = sources, upkeep, schedule
        self._clock, self._now, self._dice = clock, now, dice
        self._every = {self._measure: MEASURE_EVERY}
        self._due = {self._measure: clock()}
        if schedule.every is not None:
            self._every[self._clean] = schedule.every
            self._due[self._clean] = clock() + dice.uniform(0, min(SOON, schedule.every))
        self._failing: set[tuple[str, str]] = set()

    def run(self, stop: threading.Event) -> None:
        """Keep house until told to stop."""
        while not stop.wait(max(0.0, min(self._due.values()) - self._clock())):
            self.turn()

    def turn(self) -> None:
        """Do what is due now."""
        for chore, due in list(self._due.items()):
            if self._clock() >= due:
                chore()
                self._due[chore] = self._clock() + self._every[chore] * self._dice.uniform(1 - JITTER, 1 + JITTER)

    def _measure(self) -> None:
        for dataset in self._sources:
            self._try("measuring", dataset, self._measured)

    def _clean(self) -> None:
        for dataset in self._sources:
            self._try("retention", dataset, self._drop)
            self._try("pruning the ledger", dataset, self._prune)

    def _measured(self, dataset: str) -> None:
        source = self._sources[dataset]
        stored = self._upkeep.measured(dataset)
        if stored is not None:
            metrics.TABLE_BYTES.labels(dataset).set(stored.size)
            metrics.TABLE_CHUNKS.labels(dataset).set(stored.chunks)
            oldest = math.nan if stored.oldest is None else stored.oldest.timestamp()
            metrics.TABLE_OLDEST.labels(dataset).set(oldest)
        waiting = self._upkeep.quarantined(sink_id=source.sink_id, topic=source.topic).waiting
        metrics.QUARANTINE_WAITING.labels(dataset).set(waiting)

    def _drop(self, dataset: str) -> None:
        try:
            dropped = self._upkeep.drop_expired(dataset)
        except SinkError:
            metrics.RETENTION_RUNS.labels(dataset, "failed").inc()
            raise
        if dropped.outcome == "policy":
            return
        metrics.RETENTION_RUNS.labels(dataset, dropped.outcome).inc()
        metrics.RETENTION_DROPPED.labels(dataset).inc(len(dropped.chunks))
        if dropped.outcome == "done":
            metrics.RETENTION_LAST_RUN.labels(dataset).set(self._now())
        if dropped.chunks:
            log.info("dropped what is older than its retention", dataset=dataset, chunks=list(dropped.chunks))

    def _prune(self, dataset: str) -> None:
        keep, source = self._schedule.keep_ledger, self._sources[dataset]
        if keep is None:
            return
        pruned = self._upkeep.prune_flushes(sink_id=source.sink_id, topic=source.topic, keep=keep)
        if pruned:
            log.info("removed old entries of the ledger", dataset=dataset, entries=pruned)

    def _try(self, chore: str, dataset: str, do: Callable[[str], None]) -> None:
        """Do a chore; what goes wrong is a warning, once until it works again, and tried at its next turn."""
        name = (chore, dataset)
        try:
            do(dataset)
        except SinkError as error:
            if name not in self._failing:
                log.warning("housekeeping failed; it is tried again", chore=chore, dataset=dataset, error=str(error))
            self._failing.add(name)
        except Exception:
            log.exception("housekeeping failed by a fault of the sink itself", chore=chore, dataset=dataset)
        else:
            self._failing.discard(name)
