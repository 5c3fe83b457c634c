"""Random schedules of everything that can go wrong end with the tables that the log demands."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.model.member import Parts
from tests.model.schedule import Schedule, draw, read
from tests.model.store import Store
from tests.model.trial import run, shrunk

# a poll that breaks off during the last flush, while the lane backs off
BREAKS_OFF_AT_THE_END = (
    '{"seed":1005153,"dataset":"candles_1m","keys":3,"members":2,"partitions":3,"max_rows":4,"max_age":3.0,'
    '"lenient":false,"actions":[["produce",51275,27020,45012],["work",23890,4365,2890],["failover",36119,22291,2731],'
    '["poll_breaks",57314,44398,17346],["stop",47192,24494,56340]]}'
)
FOUND = [BREAKS_OFF_AT_THE_END]
"""Schedules that once failed, as `make prove` printed them."""
SHARES = 10
SCHEDULES = 15
"""In each share; `make prove` runs thousands."""


@pytest.mark.parametrize("share", range(SHARES))
def test_every_schedule_ends_with_the_right_tables(store: Store, share: int) -> None:
    happened: Counter[str] = Counter()
    for seed in range(share * SCHEDULES, (share + 1) * SCHEDULES):
        verdict = run(draw(seed), store, Parts())
        assert verdict.outcome == "right", f"python -m tests.model --only {seed}: {verdict.differences}"
        happened += verdict.happened
    # schedules in which nothing goes wrong would prove nothing
    assert {"flushes", "zombies", "failover", "rewind", "crash", "fenced flushes and checks"} <= happened.keys()


@pytest.mark.parametrize("written", FOUND)
def test_a_schedule_that_once_failed_is_right_now(store: Store, written: str) -> None:
    assert run(read(written), store, Parts()).outcome == "right"


def test_the_same_schedule_takes_the_same_course(store: Store) -> None:
    assert run(draw(3), store, Parts()) == run(draw(3), store, Parts())


def test_a_failing_schedule_is_cut_down_to_what_makes_it_fail() -> None:
    def fails(schedule: Schedule) -> bool:
        return {"produce", "crash"} <= {action.kind for action in schedule.actions}

    whole = next(schedule for schedule in map(draw, range(100)) if fails(schedule))

    assert sorted(action.kind for action in shrunk(whole, fails).actions) == ["crash", "produce"]


def test_a_seed_gives_the_same_schedule_again() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_a_schedule_reads_as_it_was_written() -> None:
    assert read(draw(7).written()) == draw(7)
