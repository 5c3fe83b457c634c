"""Many trials, on a process for each core with a database of its own."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from typing import Any

from tests.model.member import Parts
from tests.model.mutants import MUTANTS, Mutant
from tests.model.schedule import draw
from tests.model.store import temporary_store
from tests.model.trial import Verdict, run

_PATIENCE = 120.0
"""Seconds after which a silent worker process has hung."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of many trials."""

    trials: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    failure: tuple[int, Verdict] | None = None
    """Seed and verdict of the first that was not right."""

    def add(self, seed: int, verdict: Verdict) -> None:
        """Count one."""
        self.trials += 1
        self.outcomes[verdict.outcome] += 1
        self.happened += verdict.happened
        if verdict.outcome != "right" and (self.failure is None or seed < self.failure[0]):
            self.failure = seed, verdict


class Workers:
    """Processes that run trials."""

    def __init__(self, server: str, template: str, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._tasks: Any = context.Queue()
        self._verdicts: Any = context.Queue()
        self._processes: Sequence[SpawnProcess] = [
            context.Process(target=_work, args=(server, template, self._tasks, self._verdicts)) for _ in range(count)
        ]
        for process in self._processes:
            process.start()

    def trials(self, mutant: Mutant | None, seeds: Iterable[int]) -> Iterator[tuple[int, Verdict]]:
        """Run the schedules of these seeds on the sink or on a mutant of it; verdicts come in any order."""
        waiting = iter(seeds)
        under_way = sum(self._submit(mutant, waiting) for _ in range(2 * len(self._processes)))
        try:
            while under_way:
                seed, verdict = self._next()
                under_way += self._submit(mutant, waiting) - 1
                yield seed, verdict
        finally:
            for _ in range(under_way):
                self._next()

    def close(self) -> None:
        """End the processes; each drops its database."""
        for _ in self._processes:
            self._tasks.put(None)
        for process in self._processes:
            process.join(_PATIENCE)

    def _submit(self, mutant: Mutant | None, seeds: Iterator[int]) -> int:
        seed = next(seeds, None)
        if seed is None:
            return 0
        self._tasks.put((None if mutant is None else mutant.name, seed))
        return 1

    def _next(self) -> tuple[int, Verdict]:
        while True:
            try:
                seed, verdict = self._verdicts.get(timeout=_PATIENCE)
            except queue.Empty:
                if not all(process.is_alive() for process in self._processes):
                    raise RuntimeError("a worker process of the proof has died; its traceback stands above") from None
                raise RuntimeError(f"no schedule has ended for {_PATIENCE:g} s: one hangs") from None
            else:
                return seed, verdict


@contextmanager
def workers(server: str, template: str, count: int) -> Iterator[Workers]:
    """Start worker processes, and end them afterwards."""
    # each works on frames of a few rows: polars' threads would only get in each other's way
    os.environ["POLARS_MAX_THREADS"] = "1"
    started = Workers(server, template, count)
    try:
        yield started
    finally:
        started.close()


def parts_of(mutant: str | None) -> Parts:
    """Give the parts of a mutant by its name, or of the sink as it is."""
    if mutant is None:
        return Parts()
    found = [one.parts for one in MUTANTS if one.name == mutant]
    if not found:
        raise ValueError(f"no mutant {mutant!r}; there are: {', '.join(one.name for one in MUTANTS)}")
    return found[0]


def _work(server: str, template: str, tasks: Any, verdicts: Any) -> None:
    with temporary_store(server, template) as store:
        while (task := _task(tasks)) is not None:
            mutant, seed = task
            verdicts.put((seed, run(draw(seed), store, parts_of(mutant))))


def _task(tasks: Any) -> tuple[str | None, int] | None:
    """Wait for a task; None where there are no more, or nobody is left who could give one."""
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        try:
            task: tuple[str | None, int] | None = tasks.get(timeout=2)
        except queue.Empty:
            continue
        return task
    return None
