"""The breaker lets single bad messages pass and stops a flood, by share and by writer schema."""

from __future__ import annotations

from sink.batch import BadRow
from sink.breaker import MOST_RUNS, Breaker, BreakerLimits, BreakerState

LIMITS = BreakerLimits(share=0.5, window=100, run=30)


def bad(count: int, schema: str | None = None) -> list[BadRow]:
    return [BadRow(index=index, reason="decode", error="", schema_id=schema) for index in range(count)]


def test_the_first_messages_being_bad_does_not_trip_it() -> None:
    assert Breaker(LIMITS).observe(1, bad(1), frozenset()) is None


def test_more_than_the_share_of_the_window_trips_it_and_says_why() -> None:
    breaker = Breaker(LIMITS)

    assert breaker.observe(60, bad(50), frozenset()) is None
    assert breaker.observe(1, bad(1), frozenset()) == (
        "51 of the last 61 messages cannot become rows (decode 51); more than 0.5 of 100 is too much"
    )


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


def test_what_only_the_flush_finds_trips_it_too() -> None:
    """Messages that decode, but have impossible times: nothing is wrong with them before the flush."""
    breaker = Breaker(LIMITS)
    breaker.observe(100, [], frozenset({"1"}))

    assert breaker.observe_flush(100, {"ts_range": 30, "rejected": 20}) is None
    assert "81 of the last 160 messages cannot become rows (ts_range 61, rejected 20)" in str(
        breaker.observe_flush(60, {"ts_range": 31})
    )


def test_its_state_says_how_close_it_is_and_why_it_is_open() -> None:
    breaker = Breaker(LIMITS)
    breaker.observe(80, [*bad(10, "7"), *bad(3, "8")], frozenset({"1"}))
    assert breaker.state() == BreakerState(
        seen=80, bad=13, share=0.13, limit=LIMITS.share, schema="7", run=10, why=None
    )
    assert str(breaker.state()) == "closed: 13 of the last 80 messages bad"

    sentence = breaker.observe(60, bad(20, "7"), frozenset({"1"}))

    assert (
        sentence == "30 messages in a row of writer schema 7 cannot become rows (decode 20); 30 in a row are too many"
    )
    assert breaker.state().is_open
    assert str(breaker.state()) == f"open: {sentence}"


def test_random_schema_ids_do_not_fill_its_memory_and_the_longest_run_is_kept() -> None:
    breaker = Breaker(BreakerLimits(share=1, window=10, run=30))
    breaker.observe(20, bad(20, "worst"), frozenset())
    for number in range(3 * MOST_RUNS):
        breaker.observe(100, bad(1, str(number)), frozenset({"1"}))

    assert len(breaker._runs) <= MOST_RUNS
    assert breaker.state().run == 20
