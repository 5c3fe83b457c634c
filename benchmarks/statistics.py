"""Medians of few rounds, and how far they can be trusted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

RESAMPLES = 2_000
_TAIL = 0.025


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A median, and the interval that holds 95 % of the medians of resampled rounds."""

    median: float
    low: float
    high: float


def of_median(values: Sequence[float]) -> Interval:
    """Give the median of some rounds with its bootstrap interval."""
    return _bootstrap(median(values), lambda dice: median(_again(values, dice)))


def of_ratio(values: Sequence[float], others: Sequence[float]) -> Interval:
    """Give the ratio of two medians with its bootstrap interval."""
    return _bootstrap(
        median(values) / median(others), lambda dice: median(_again(values, dice)) / median(_again(others, dice))
    )


def _again(values: Sequence[float], dice: random.Random) -> list[float]:
    return dice.choices(values, k=len(values))


def _bootstrap(middle: float, draw: Callable[[random.Random], float]) -> Interval:
    dice = random.Random(1)  # noqa: S311 - the same rounds give the same interval
    drawn = sorted(draw(dice) for _ in range(RESAMPLES))
    return Interval(median=middle, low=drawn[int(RESAMPLES * _TAIL)], high=drawn[int(RESAMPLES * (1 - _TAIL)) - 1])
