"""The breaker lets single bad messages pass and stops a flood, by share and by writer schema."""

from __future__ import annotations

from sink.batch import BadRow
from sink.breaker import Breaker, BreakerLimits

LIMITS = BreakerLimits(share=0.5, window=100, run=30)


def bad(count: int, schema: str | None = None) -> list[BadRow]:
    return [BadRow(index=index, reason="decode", error="", schema_id=schema) for index in range(count)]


def test_the_first_messages_being_bad_does_not_trip_it() -> None:
    assert Breaker(LIMITS).observe(1, bad(1), frozenset()) is None


def test_more_than_the_share_of_the_window_trips_it_and_says_why() -> None:
    breaker = Breaker(LIMITS)

    assert breaker.observe(60, bad(50), frozenset()) is None
    assert breaker.observe(1, bad(1), frozenset()) == "51 of the last 61 messages cannot become rows (decode 1)"


def test_what_has_left_the_window_is_forgotten() -> None:
    breaker = Breaker(LIMITS)
    breaker.observe(50, bad(50), frozenset())
    for _ in range(10):
        assert breaker.observe(100, bad(20), frozenset()) is None


def test_a_run_of_one_schema_trips_it_long_before_the_share_does() -> None:
    breaker = Breaker(BreakerLimits(share=1, window=10_000, run=30))

    assert breaker.observe(100, bad(29, "7"), frozenset({"1"})) is None
    assert "schema 7" in str(breaker.observe(100, bad(1, "7"), frozenset({"1"})))


def test_a_good_message_of_the_schema_ends_its_run() -> None:
    breaker = Breaker(BreakerLimits(share=1, window=10_000, run=30))
    breaker.observe(100, bad(29, "7"), frozenset())

    assert breaker.observe(100, [], frozenset({"7"})) is None
    assert breaker.observe(100, bad(29, "7"), frozenset()) is None
