"""Sets of offsets of one partition as sorted, disjoint intervals [from, to). Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

Interval = tuple[int, int]
"""Offsets [from, to)."""


def joined(intervals: Iterable[Interval], *, gap: int = 0) -> list[Interval]:
    """Sort intervals and join those that touch, overlap, or lie no more than ``gap`` apart; empty ones vanish."""
    done: list[Interval] = []
    for start, end in sorted(one for one in intervals if one[0] < one[1]):
        if done and start <= done[-1][1] + gap:
            done[-1] = (done[-1][0], max(done[-1][1], end))
        else:
            done.append((start, end))
    return done


def without(intervals: Iterable[Interval], removed: Iterable[Interval]) -> list[Interval]:
    """Give what is left of intervals after others are taken away."""
    gone = joined(removed)
    left: list[Interval] = []
    for start, end in joined(intervals):
        at = start
        # the last of those that begin before may reach in
        for index in range(max(0, bisect_left(gone, (start, start)) - 1), len(gone)):
            first, last = gone[index]
            if first >= end:
                break
            if last <= at:
                continue
            if first > at:
                left.append((at, first))
            at = max(at, last)
        if at < end:
            left.append((at, end))
    return left


def clipped(intervals: Iterable[Interval], bounds: Interval) -> list[Interval]:
    """Give the parts of intervals that lie within bounds."""
    low, high = bounds
    return joined((max(start, low), min(end, high)) for start, end in intervals)


def length(intervals: Sequence[Interval]) -> int:
    """Count the offsets of disjoint intervals."""
    return sum(end - start for start, end in intervals)


class Growing:
    """A set that is added to in order, mostly at its end, as a ledger is read."""

    def __init__(self) -> None:
        self._intervals: list[Interval] = []

    def add(self, start: int, end: int) -> None:
        """Add [start, end)."""
        if start >= end:
            return
        last = self._intervals[-1] if self._intervals else None
        if last is not None and last[0] <= start <= last[1]:
            self._intervals[-1] = (last[0], max(last[1], end))
        elif last is None or start > last[1]:
            self._intervals.append((start, end))
        else:
            self._intervals = joined([*self._intervals, (start, end)])

    @property
    def intervals(self) -> list[Interval]:
        """What it holds."""
        return list(self._intervals)
