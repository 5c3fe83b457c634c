"""Sets of offsets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sink.inspection.intervals import Growing, Interval, clipped, joined, length, without

INTERVALS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)))


def offsets(intervals: list[Interval]) -> set[int]:
    return {offset for start, end in intervals for offset in range(start, end)}


@given(INTERVALS, INTERVALS)
def test_they_are_what_sets_of_single_offsets_would_be(one: list[Interval], other: list[Interval]) -> None:
    growing = Growing()
    for interval in one:
        growing.add(*interval)

    assert offsets(joined(one)) == offsets(growing.intervals) == offsets(one)
    assert offsets(without(one, other)) == offsets(one) - offsets(other)
    assert offsets(clipped(one, (5, 20))) == offsets(one) & set(range(5, 20))
    assert length(joined(one)) == len(offsets(one))
    for found in (joined(one), without(one, other), growing.intervals):
        assert all(end < start for (_, end), (start, _) in pairwise(found))


def test_what_lies_near_is_joined_if_asked() -> None:
    assert joined([(0, 2), (5, 6), (20, 21)], gap=3) == [(0, 6), (20, 21)]
