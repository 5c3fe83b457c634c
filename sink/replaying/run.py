"""Runs the loop over a stretch until all of it is durable, somebody stops it, or somebody else goes on with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sink.assignment import State
from sink.errors import DefinitionError, Interrupted, TransientError
from sink.kafka.stretch import Range
from sink.pipeline import Pipeline


class Progress(Protocol):
    """Who is told how far it is."""

    def __call__(self, done: int, total: int) -> None:
        """Hear of offsets done and in total."""


def follow(
    pipeline: Pipeline,
    ranges: Mapping[int, Range],
    *,
    stop: threading.Event,
    watch: Callable[[], None],
    progress: Progress,
) -> bool:
    """Step until every range is durable (True) or ``stop`` is set (False).

    ``watch`` is called after each step and raises what ends the run. Raises what halted the dataset or a partition.
    """
    total = sum(end - start for start, end in ranges.values())
    while not stop.is_set():
        pipeline.step()
        watch()
        if pipeline.failure is not None:
            raise pipeline.failure
        halted = pipeline.assignment.in_state(State.HALTED)
        if halted:
            raise DefinitionError(f"partition {halted[0]}: {pipeline.assignment[halted[0]].reason}")
        left = sum(end - max(start, _durable(pipeline, number)) for number, (start, end) in ranges.items())
        progress(total - left, total)
        if left == 0:
            return True
    return False


def _durable(pipeline: Pipeline, number: int) -> int:
    partition = pipeline.assignment.get(number)
    return -1 if partition is None else partition.durable


@dataclass(slots=True, kw_only=True)
class Ownership:
    """Ends a replay that somebody else has taken over, with ``sink replay --resume`` of the same id.

    A fence alone does not tell: while two begin at once, a late claim of the one that lost may fence the one that won.
    The row of the replay does, and the loop claims back by itself what is rightfully its own.
    """

    pipeline: Pipeline
    replay_id: str
    owner: str
    ask: Callable[[], str | None]
    """Reads from the database who is at the replay."""
    _fences: int = 0

    def __call__(self) -> None:
        """Look, if a fence has been met since the last time."""
        fences = self.pipeline.totals.fenced
        if fences == self._fences:
            return
        try:
            owner = self.ask()
        except TransientError:
            return  # asked again after the next step
        if owner != self.owner:
            raise Interrupted(
                f"replay {self.replay_id} was taken over by {owner or 'somebody'}; this process has ended"
            )
        self._fences = fences
