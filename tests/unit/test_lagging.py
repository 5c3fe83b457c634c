"""The lag in seconds is the age of the record at the position, or what is known of it."""

from __future__ import annotations

from sink.lagging import Lagging


def test_it_is_the_age_of_the_record_at_the_position() -> None:
    lagging = Lagging()
    assert lagging.seconds(0, position=5, end=9, recorded=100.0, now=130.0) == 30.0
    assert lagging.seconds(0, position=9, end=9, recorded=None, now=131.0) == 0.0


def test_a_record_that_is_let_go_keeps_its_age_while_the_position_stands_still() -> None:
    lagging = Lagging()
    lagging.seconds(0, position=5, end=9, recorded=100.0, now=130.0)
    assert lagging.seconds(0, position=5, end=20, recorded=None, now=150.0) == 50.0


def test_an_unread_record_counts_from_when_the_position_was_first_behind() -> None:
    lagging = Lagging()
    assert lagging.seconds(0, position=5, end=9, recorded=None, now=200.0) == 0.0
    assert lagging.seconds(0, position=5, end=9, recorded=None, now=260.0) == 60.0
    assert lagging.seconds(0, position=6, end=9, recorded=None, now=261.0) == 0.0, "it has moved"
    assert lagging.seconds(0, position=6, end=9, recorded=61.0, now=262.0) == 201.0, "and now it is known"


def test_partitions_do_not_mix_and_a_clock_ahead_of_ours_makes_no_negative_age() -> None:
    lagging = Lagging()
    lagging.seconds(0, position=5, end=9, recorded=100.0, now=130.0)
    assert lagging.seconds(1, position=5, end=9, recorded=None, now=130.0) == 0.0
    assert lagging.seconds(2, position=5, end=9, recorded=140.0, now=130.0) == 0.0
