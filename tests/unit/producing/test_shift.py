"""Moving old data to the present: whole days, together where it belongs together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from sink.db.payloads import CandlePayload, TradePayload
from sink.producing.shift import Span, shifted, shifts, span_of

DAY = timedelta(days=1)
ANCHOR = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
times = st.datetimes(datetime(2009, 1, 3), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (the zone follows)


def span(symbol: str, oldest: datetime, newest: datetime) -> Span:
    return Span(symbol=symbol, rows=1, oldest=oldest, newest=newest)


@given(newest=times, anchor=times)
def test_newest_row_lands_within_the_day_before_the_anchor(newest: datetime, anchor: datetime) -> None:
    (by,) = shifts([span("A", newest - DAY, newest)], anchor=anchor)
    assert not by % DAY
    assert timedelta() <= anchor - (newest + by) < DAY


def test_files_of_one_symbol_or_of_one_time_move_together_and_others_alone() -> None:
    old, later = datetime(2019, 10, 11, tzinfo=UTC), datetime(2021, 11, 18, tzinfo=UTC)
    spans = [
        span("XRPETH", old, old + DAY),
        span("XRPETH", old + 5 * DAY, old + 6 * DAY),
        span("BTCUSDT", old + 6 * DAY, old + 7 * DAY),
        span("XRPUSDT", later, later + DAY),
    ]
    first, second, third, alone = shifts(spans, anchor=ANCHOR)
    assert first == second == third
    assert timedelta() <= ANCHOR - (old + 7 * DAY + first) < DAY
    assert timedelta() <= ANCHOR - (later + DAY + alone) < DAY


def test_groups_join_through_a_file_that_belongs_to_both() -> None:
    spans = [
        span("A", ANCHOR - 9 * DAY, ANCHOR - 8 * DAY),
        span("B", ANCHOR - 5 * DAY, ANCHOR - 4 * DAY),
        span("A", ANCHOR - 5 * DAY, ANCHOR - 3 * DAY),
    ]
    assert len(set(shifts(spans, anchor=ANCHOR))) == 1


def test_everything_in_a_payload_moves_but_its_values() -> None:
    candle = CandlePayload(
        symbol="A",
        bucket_start=ANCHOR,
        open=Decimal(1),
        high=Decimal(1),
        low=Decimal(1),
        close=Decimal(1),
        volume=Decimal(1),
        observed_at=ANCHOR + timedelta(minutes=1),
    )
    moved = shifted(candle, 3 * DAY)
    assert isinstance(moved, CandlePayload)
    assert (moved.bucket_start, moved.observed_at) == (ANCHOR + 3 * DAY, ANCHOR + 3 * DAY + timedelta(minutes=1))
    assert shifted(moved, -3 * DAY) == candle


def test_span_counts_rows_and_takes_the_last_observation_as_newest() -> None:
    trades = [
        TradePayload(
            symbol="A",
            trade_ts=ANCHOR + timedelta(seconds=second),
            trade_id=second,
            price=Decimal(1),
            quantity=Decimal(1),
            is_buyer_maker=True,
            observed_at=ANCHOR + timedelta(seconds=10 * second),
        )
        for second in (2, 1, 3)
    ]
    assert span_of(trades) == Span(
        symbol="A", rows=3, oldest=ANCHOR + timedelta(seconds=1), newest=ANCHOR + timedelta(seconds=30)
    )
    assert span_of([]) is None
