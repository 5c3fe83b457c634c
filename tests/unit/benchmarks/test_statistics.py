"""Medians, intervals and the line of ratios of a benchmark's rounds."""

from __future__ import annotations

from benchmarks import ratios, statistics
from benchmarks.results import Outcome, Result


def outcome(system: str, rate: float, *, correct: bool = True) -> Outcome:
    return Outcome(
        system=system, workload="load", phase="load", rows=10, keys=10, rows_per_second=rate, correct=correct
    )


def result(*outcomes: Outcome) -> Result:
    return Result(
        begun_at="2026-06-02T12:00:00+00:00",
        machine={},
        options={"rounds": 3},
        systems={"sink": "this sink", "limit": "the limit"},
        workloads={"load": {"title": "first load"}},
        outcomes=list(outcomes),
    )


def test_an_interval_holds_its_median_and_stays_within_the_rounds() -> None:
    interval = statistics.of_median([90, 100, 110, 105, 95])

    assert interval.median == 100
    assert 90 <= interval.low < 100 < interval.high <= 110


def test_a_single_round_has_no_width() -> None:
    assert statistics.of_median([7]) == statistics.Interval(median=7, low=7, high=7)


def test_a_ratio_takes_the_spread_of_both_sides() -> None:
    interval = statistics.of_ratio([100, 120], [50])

    assert interval.median == 2.2
    assert (interval.low, interval.high) == (2.0, 2.4)


def test_a_round_whose_table_was_wrong_is_in_no_figure() -> None:
    made = result(outcome("sink", 100), outcome("limit", 200), outcome("limit", 9_999, correct=False))

    assert made.figures("limit", "load", "load", "rows_per_second") == [200]
    assert ratios.line(made) == "load load: 0.50 x limit [0.50-0.50]"


def test_without_a_right_table_of_ours_there_is_nothing_to_compare() -> None:
    made = result(outcome("sink", 100, correct=False), outcome("limit", 200))

    assert ratios.line(made) == "nothing to compare"
