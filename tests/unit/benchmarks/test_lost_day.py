"""The scene of the lost day: what counts as good, and how samples of the lag are summed up."""

from __future__ import annotations

import pytest

from benchmarks.lost_day import MINUTES, Lag, Scene
from benchmarks.plan import SYMBOLS

LOST = MINUTES * SYMBOLS


def scene(**changed: object) -> Scene:
    told = {"deleted": LOST, "found_missing": LOST, "foretold_inserts": LOST, "written": LOST, "last": {"equal": 9}}
    return Scene(**{**told, **changed})  # type: ignore[arg-type] # by name, for each test another


def test_everything_restored_and_nothing_else_different_is_good() -> None:
    assert scene().good
    assert scene(last={"equal": 9, "later": 1}).good


@pytest.mark.parametrize(
    "changed", [{"found_missing": LOST - 1}, {"foretold_inserts": 0}, {"written": LOST + 1}, {"last": {"missing": 1}}]
)
def test_anything_else_is_not(changed: dict[str, object]) -> None:
    assert not scene(**changed).good


def test_samples_of_the_lag_are_summed_up_in_any_order() -> None:
    assert Lag.of([3, 1, 2, 100, 4]) == Lag(samples=5, median=3, p95=4, maximum=100)
