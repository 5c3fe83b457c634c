"""Upserts and queries of the repository, on a real database, as the writer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from sink.db import repository
from sink.db.models import Candle1m, Funding, OpenInterestSnapshot, Trade
from sink.db.repository import (
    CandlePayload,
    FundingPayload,
    OpenInterestPayload,
    TradePayload,
    UpsertResult,
    fetch_candles,
    latest_funding,
    latest_open_interest,
    recent_trades,
    upsert_candles,
    upsert_funding,
    upsert_open_interest,
    upsert_trades,
)
from sink.errors import BadValue
from tests.fix_database import plain_engine

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def writer(writer_url: str) -> Engine:
    return plain_engine(writer_url)


@pytest.fixture
def session(writer: Engine) -> Iterator[Session]:
    with Session(writer) as session:
        yield session


def funding(rate: str, *, observed_at: datetime | None = None, payment: str | None = None) -> FundingPayload:
    return FundingPayload(
        symbol="BTCUSDT",
        funding_ts=NOON,
        funding_rate=Decimal(rate),
        payment=None if payment is None else Decimal(payment),
        observed_at=observed_at,
    )


def candle(start: datetime, close: str = "1", symbol: str = "BTCUSDT") -> CandlePayload:
    one = Decimal(1)
    return CandlePayload(
        symbol=symbol, bucket_start=start, open=one, high=one, low=one, close=Decimal(close), volume=one
    )


def trade(trade_id: int, *, at: datetime = NOON, symbol: str = "BTCUSDT") -> TradePayload:
    return TradePayload(
        symbol=symbol,
        trade_ts=at,
        trade_id=trade_id,
        price=Decimal("64000.12"),
        quantity=Decimal("0.001"),
        is_buyer_maker=trade_id % 2 == 0,
    )


def stored(session: Session) -> tuple[Decimal, Decimal | None]:
    row = latest_funding(session, "BTCUSDT")
    assert row is not None
    return row.funding_rate, row.payment


def test_every_field_comes_back_as_it_was_given(session: Session) -> None:
    given = CandlePayload(
        symbol="Ω-PERP", bucket_start=NOON, open=Decimal("0.000000000000000001"),
        high=Decimal("99999999999999999999.999999999999999999"), low=Decimal("-1E+3"), close=Decimal("64080.10"),
        volume=Decimal(0), quote_volume=Decimal("152.4"), trade_count=2**63 - 1,
        taker_buy_base_volume=Decimal("1.5"), taker_buy_quote_volume=Decimal("2.5"), observed_at=NOON + MINUTE,
    )  # fmt: skip
    upsert_candles(session, [given])

    [row] = fetch_candles(session, "Ω-PERP", NOON, NOON + MINUTE)

    assert {name: getattr(row, name) for name in CandlePayload.__slots__} == {
        name: getattr(given, name) for name in CandlePayload.__slots__
    }
    assert (row.source_partition, row.source_offset) == (-1, -1)


def test_each_dataset_is_written_and_read(session: Session) -> None:
    upsert_trades(session, [trade(1)])
    upsert_open_interest(
        session,
        [
            OpenInterestPayload(
                symbol="BTCUSDT",
                snapshot_ts=NOON,
                open_interest=Decimal(5),
                basis_points=Decimal("0.1234567890123456789"),
            )
        ],
    )
    upsert_funding(session, [funding("0.0001", payment="6.4")])

    assert [row.trade_id for row in recent_trades(session, "BTCUSDT")] == [1]
    snapshot = latest_open_interest(session, "BTCUSDT")
    assert snapshot is not None
    assert (snapshot.open_interest, snapshot.basis_points) == (Decimal(5), Decimal("0.1234567890123456789"))
    assert stored(session) == (Decimal("0.0001"), Decimal("6.4"))


def test_nothing_given_writes_nothing(session: Session) -> None:
    assert upsert_trades(session, []) == UpsertResult(given=0, deduplicated=0, written=0, not_newer=0)


def test_writing_the_same_again_leaves_one_row_and_its_ingestion_time(writer: Engine) -> None:
    ingested = []
    for _ in range(2):
        with Session(writer) as session, session.begin():
            assert upsert_candles(session, [candle(NOON)]).written == 1
            [row] = fetch_candles(session, "BTCUSDT", NOON, NOON + MINUTE)
            ingested.append(row.created_at)

    assert ingested[0] == ingested[1]


def test_what_was_observed_earlier_does_not_replace(session: Session) -> None:
    upsert_funding(session, [funding("2", observed_at=NOON)])

    result = upsert_funding(session, [funding("1", observed_at=NOON - MINUTE, payment="1")])

    assert result == UpsertResult(given=1, deduplicated=0, written=0, not_newer=1)
    assert stored(session) == (Decimal(2), None)


def test_of_two_calls_observed_at_the_same_moment_the_second_wins(session: Session) -> None:
    upsert_funding(session, [funding("1", observed_at=NOON)])
    upsert_funding(session, [funding("2", observed_at=NOON)])

    assert stored(session)[0] == 2


def test_a_second_write_in_one_transaction_counts_as_observed_later(session: Session) -> None:
    upsert_funding(session, [funding("1")])
    upsert_funding(session, [funding("2")])

    assert stored(session)[0] == 2


def test_a_write_without_observed_at_is_observed_now_by_the_databases_clock(session: Session) -> None:
    session.execute(text("SELECT 1"))  # begins the transaction, whose now() stands still from here
    before = session.scalar(select(func.clock_timestamp()))
    upsert_funding(session, [funding("1")])
    after = session.scalar(select(func.clock_timestamp()))

    row = latest_funding(session, "BTCUSDT")
    assert row is not None
    assert before is not None
    assert after is not None
    assert before < row.observed_at < after


def test_none_leaves_the_stored_optional_value(session: Session) -> None:
    upsert_funding(session, [funding("1", payment="6.4")])
    upsert_funding(session, [funding("2")])

    assert stored(session) == (Decimal(2), Decimal("6.4"))


def test_duplicates_fold_by_time_observed_then_by_place_and_none_takes_the_earlier_value(session: Session) -> None:
    result = upsert_funding(
        session,
        [
            funding("3", observed_at=NOON + MINUTE),
            funding("1", observed_at=NOON, payment="10"),
            funding("2", observed_at=NOON, payment="20"),
        ],
    )

    assert result == UpsertResult(given=3, deduplicated=2, written=1, not_newer=0)
    assert stored(session) == (Decimal(3), Decimal(20))


def test_within_a_call_no_observed_at_means_now_later_than_the_past_and_earlier_than_the_future(
    session: Session,
) -> None:
    now = session.scalar(select(func.clock_timestamp()))
    assert now is not None
    upsert_funding(session, [funding("2"), funding("1", observed_at=now - MINUTE)])
    assert stored(session)[0] == 2

    upsert_funding(session, [funding("4", observed_at=now + MINUTE), funding("3")])
    assert stored(session)[0] == 4


def test_a_key_given_in_two_zones_is_one_row(session: Session) -> None:
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    naive = NOON.replace(tzinfo=None)

    result = upsert_candles(session, [candle(NOON, "1"), candle(east, "2"), candle(naive, "3")])

    assert (result.deduplicated, result.written) == (2, 1)
    [row] = fetch_candles(session, "BTCUSDT", naive, naive + MINUTE)
    assert (row.bucket_start, row.close) == (NOON, Decimal(3))


def test_times_are_utc_in_a_session_of_another_zone(session: Session) -> None:
    session.execute(text("SET LOCAL TIME ZONE 'America/New_York'"))
    naive = NOON.replace(tzinfo=None)
    upsert_funding(
        session, [FundingPayload(symbol="BTCUSDT", funding_ts=naive, funding_rate=Decimal(1), observed_at=naive)]
    )

    row = latest_funding(session, "BTCUSDT")

    assert row is not None
    assert (row.funding_ts, row.observed_at) == (NOON, NOON)


def test_a_value_that_does_not_fit_is_named_and_nothing_is_written(session: Session) -> None:
    with pytest.raises(BadValue, match=r"funding\.funding_rate of payload 1: Decimal\('NaN'\) is not a finite number"):
        upsert_funding(session, [funding("1"), funding("NaN")])

    assert latest_funding(session, "BTCUSDT") is None


def test_a_message_of_kafka_observed_later_is_not_replaced(session: Session) -> None:
    upsert_funding(session, [funding("1", observed_at=NOON)])
    session.execute(update(Funding).values(source_partition=3, source_offset=7))

    assert upsert_funding(session, [funding("2", observed_at=NOON)]).not_newer == 1
    assert upsert_funding(session, [funding("3", observed_at=NOON + MINUTE)]).written == 1

    row = latest_funding(session, "BTCUSDT")
    assert row is not None
    assert (row.funding_rate, row.source_partition, row.source_offset) == (Decimal(3), -1, -1)


def test_counts_and_rows_are_right_over_several_statements_and_chunks(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "STATEMENT_ROWS", 7)
    days = [NOON + timedelta(days=day) for day in range(40)]
    upsert_candles(session, [candle(day, "1") for day in days[:10]])
    session.execute(update(Candle1m).values(observed_at=func.clock_timestamp() + timedelta(days=1)))

    result = upsert_candles(session, [candle(day, "2") for day in [*reversed(days), days[-1]]])

    assert result == UpsertResult(given=41, deduplicated=1, written=30, not_newer=10)
    rows = fetch_candles(session, "BTCUSDT", days[0], days[-1] + MINUTE)
    assert [(row.bucket_start, row.close) for row in rows] == [
        (day, Decimal(1) if place < 10 else Decimal(2)) for place, day in enumerate(days)
    ]
    assert session.scalar(text("SELECT count(*) FROM timescaledb_information.chunks")) == 7


def test_rows_are_locked_in_the_order_of_their_keys_so_that_two_writers_do_not_deadlock(session: Session) -> None:
    upsert_trades(session, [trade(number, symbol=symbol) for number in (3, 1, 2) for symbol in ("b", "B", "a")])

    written = session.execute(text("SELECT symbol, trade_id FROM trades ORDER BY tableoid, ctid")).all()

    assert [tuple(row) for row in written] == [(symbol, number) for symbol in ("B", "a", "b") for number in (1, 2, 3)]


def test_a_hundred_thousand_payloads_go_in_one_call(session: Session) -> None:
    result = upsert_trades(session, [trade(number) for number in range(100_000)])

    assert result == UpsertResult(given=100_000, deduplicated=0, written=100_000, not_newer=0)
    totals = select(func.count(), func.min(Trade.trade_id), func.max(Trade.trade_id))
    assert session.execute(totals).one() == (100_000, 0, 99_999)


def test_nothing_is_committed_for_the_caller(writer: Engine) -> None:
    with Session(writer) as session:
        upsert_candles(session, [candle(NOON)])
        upsert_funding(session, [funding("1")])
        session.rollback()

    with Session(writer) as session:
        assert fetch_candles(session, "BTCUSDT", NOON, NOON + MINUTE) == []
        assert latest_funding(session, "BTCUSDT") is None


def test_a_row_loaded_before_an_upsert_is_read_anew(session: Session) -> None:
    upsert_funding(session, [funding("1")])
    loaded = latest_funding(session, "BTCUSDT")
    assert loaded is not None

    upsert_funding(session, [funding("2")])
    again = latest_funding(session, "BTCUSDT")

    assert again is loaded
    assert again.funding_rate == 2


@pytest.mark.parametrize("autoflush", [True, False])
def test_reading_anew_does_not_lose_a_pending_change(writer: Engine, autoflush: bool) -> None:  # noqa: FBT001 (a case)
    with Session(writer, autoflush=autoflush) as session:
        upsert_funding(session, [funding("1")])
        loaded = latest_funding(session, "BTCUSDT")
        assert loaded is not None
        loaded.payment = Decimal(7)

        assert stored(session) == (Decimal(1), Decimal(7))


def test_a_pending_change_comes_before_a_later_upsert(session: Session) -> None:
    upsert_funding(session, [funding("1")])
    loaded = latest_funding(session, "BTCUSDT")
    assert loaded is not None
    loaded.funding_rate = Decimal(7)

    upsert_funding(session, [funding("2")])

    assert stored(session)[0] == 2


def test_candles_are_those_of_the_symbol_from_start_until_before_end_in_order(session: Session) -> None:
    upsert_candles(session, [candle(NOON + minute * MINUTE) for minute in (3, 0, 2, 1)])
    upsert_candles(session, [candle(NOON + MINUTE, symbol="ETHUSDT")])

    rows = fetch_candles(session, symbol="BTCUSDT", start=NOON + MINUTE, end=NOON + 3 * MINUTE)

    assert [row.bucket_start for row in rows] == [NOON + MINUTE, NOON + 2 * MINUTE]
    assert {row.symbol for row in rows} == {"BTCUSDT"}


def test_recent_trades_are_the_newest_first_up_to_the_limit(session: Session) -> None:
    upsert_trades(session, [trade(number, at=NOON + number // 2 * MINUTE) for number in range(120)])
    upsert_trades(session, [trade(500, at=NOON + timedelta(days=1), symbol="ETHUSDT")])

    assert [row.trade_id for row in recent_trades(session, "BTCUSDT", limit=3)] == [119, 118, 117]
    assert [row.trade_id for row in recent_trades(session, "BTCUSDT")] == list(range(119, 19, -1))


def test_the_latest_is_by_the_events_time_whatever_was_written_last(session: Session) -> None:
    for at, amount in ((NOON + MINUTE, 2), (NOON, 1)):
        upsert_funding(session, [FundingPayload(symbol="BTCUSDT", funding_ts=at, funding_rate=Decimal(amount))])
        upsert_open_interest(
            session, [OpenInterestPayload(symbol="BTCUSDT", snapshot_ts=at, open_interest=Decimal(amount))]
        )

    snapshot = latest_open_interest(session, "BTCUSDT")
    assert stored(session)[0] == 2
    assert isinstance(snapshot, OpenInterestSnapshot)
    assert snapshot.open_interest == 2
    assert latest_open_interest(session, "ETHUSDT") is None
    assert latest_funding(session, "ETHUSDT") is None


def test_a_missing_migration_is_named_beside_sqlalchemys_own_error(empty_database_url: str) -> None:
    with Session(plain_engine(empty_database_url)) as session:
        with pytest.raises(ProgrammingError) as written:
            upsert_trades(session, [trade(1)])
        session.rollback()
        with pytest.raises(ProgrammingError) as read:
            recent_trades(session, "BTCUSDT")

    for caught in (written, read):
        assert any("alembic upgrade head" in note for note in caught.value.__notes__)
