"""Values against their columns: what fits, how it is written, what is refused with field and value."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Table

from sink.db.models import Base
from sink.db.values import as_utc, checked_column
from sink.errors import BadValue, SinkError

EAST = timezone(timedelta(hours=5, minutes=30))


def column(path: str) -> Column[Any]:
    table, name = path.split(".")
    tables: dict[str, Table] = dict(Base.metadata.tables)
    return tables[table].columns[name]


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("trades.price", None, "is of type NoneType: use Decimal"),
        ("trades.price", 1.5, "is of type float: use Decimal"),
        ("trades.price", "1.5", "is of type str: use Decimal"),
        ("trades.price", True, "is of type bool: use Decimal"),
        ("trades.price", Decimal("NaN"), "is not a finite number"),
        ("trades.price", Decimal("sNaN"), "is not a finite number"),
        ("trades.price", Decimal("-Infinity"), "is not a finite number"),
        ("trades.price", Decimal("1e-19"), "has more than 18 decimal places"),
        ("trades.price", Decimal("1.0000000000000000001"), "has more than 18 decimal places"),
        ("trades.price", Decimal("1e20"), "has more than 20 digits before the point"),
        ("trades.price", Decimal("-1e20"), "has more than 20 digits before the point"),
        ("trades.price", Decimal("1e400000"), "has more than 20 digits before the point"),
        ("trades.price", 10**20, "has more than 20 digits before the point"),
        ("oi_snapshots.basis_points", Decimal("NaN"), "is not a finite number"),
        ("oi_snapshots.basis_points", Decimal("1e200000"), "has more than 16383 digits on one side of the point"),
        ("oi_snapshots.basis_points", Decimal("1e-16384"), "has more than 16383 digits on one side of the point"),
        ("trades.trade_id", None, "is not an int"),
        ("trades.trade_id", True, "is not an int"),
        ("trades.trade_id", Decimal(1), "is not an int"),
        ("trades.trade_id", 2**63, "does not fit 64 bits"),
        ("trades.trade_id", -(2**63) - 1, "does not fit 64 bits"),
        ("candles_1m.trade_count", 1.0, "is not an int"),
        ("trades.is_buyer_maker", 1, "is not a bool"),
        ("trades.is_buyer_maker", None, "is not a bool"),
        ("trades.symbol", None, "is not a str"),
        ("trades.symbol", b"BTCUSDT", "is not a str"),
        ("trades.symbol", "", "is 0 characters long: a symbol has 1 to 64"),
        ("trades.symbol", "x" * 65, "is 65 characters long: a symbol has 1 to 64"),
        ("trades.symbol", "BTC\0USDT", "holds a NUL character, which PostgreSQL cannot store"),
        ("trades.symbol", "BTC\ud800", "holds half a surrogate pair, which is no Unicode text"),
        ("trades.side", "BUY", "is neither 'buy' nor 'sell'"),
        ("trades.side", ["buy"], "is neither 'buy' nor 'sell'"),
        ("trades.trade_ts", None, "is not a datetime"),
        ("trades.trade_ts", date(2025, 1, 1), "is not a datetime"),
        ("trades.trade_ts", 1735689600, "is not a datetime"),
        ("trades.trade_ts", datetime.min.replace(tzinfo=EAST), "lies outside the years 1 to 9999 in UTC"),
    ],
)
def test_what_does_not_fit_is_refused_with_field_place_and_fault(path: str, value: object, fault: str) -> None:
    fitting = {
        "price": Decimal(1), "basis_points": None, "trade_id": 1, "trade_count": None, "is_buyer_maker": False,
        "symbol": "BTCUSDT", "side": None, "trade_ts": datetime(2025, 1, 1, tzinfo=UTC),
    }[path.split(".")[1]]  # fmt: skip

    with pytest.raises(BadValue) as caught:
        checked_column(column(path), [fitting, value, value])

    assert (caught.value.field, caught.value.index) == (path, 1)
    assert str(caught.value).startswith(f"{path} of payload 1: ")
    assert str(caught.value).endswith(fault)


@pytest.mark.parametrize(
    ("path", "value", "written"),
    [
        ("trades.price", Decimal("64000.12"), "64000.12"),
        ("trades.price", Decimal("-0.000000000000000001"), "-1E-18"),
        ("trades.price", Decimal("99999999999999999999.999999999999999999"), "99999999999999999999.999999999999999999"),
        ("trades.price", Decimal("1." + "0" * 40), "1." + "0" * 40),
        ("trades.price", 7, "7"),
        ("candles_1m.quote_volume", None, None),
        ("oi_snapshots.basis_points", Decimal("-0.12345678901234567890123"), "-0.12345678901234567890123"),
        ("oi_snapshots.basis_points", Decimal("1e16000"), "1E+16000"),
        ("trades.trade_id", 2**63 - 1, 2**63 - 1),
        ("trades.trade_id", -(2**63), -(2**63)),
        ("trades.symbol", "Ω" * 64, "Ω" * 64),
        ("trades.side", "sell", "sell"),
        ("trades.observed_at", None, None),
    ],
)
def test_what_fits_is_given_as_the_column_takes_it(path: str, value: object, written: object) -> None:
    assert checked_column(column(path), [value]) == [written]


def test_a_refusal_is_both_the_sinks_error_and_a_value_error() -> None:
    assert issubclass(BadValue, SinkError)
    assert issubclass(BadValue, ValueError)


@pytest.mark.parametrize("value", ["x" * 1000, 10**5000], ids=["text", "integer"])
def test_a_message_shows_only_the_beginning_of_a_long_value(value: object) -> None:
    error = BadValue(field="trades.trade_id", index=0, value=value, fault="does not fit")

    assert len(str(error)) < 150


@pytest.fixture
def machine_in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("machine_in_tokyo")
def test_times_become_utc_and_naive_ones_are_utc_already() -> None:
    moment = datetime(2025, 3, 30, 1, 30, 0, 123456, tzinfo=UTC)

    assert as_utc(moment.replace(tzinfo=None)) == moment
    assert as_utc(moment.astimezone(EAST)).isoformat() == "2025-03-30T01:30:00.123456+00:00"


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**21), max_value=10**21))
def test_a_decimal_fits_exactly_when_numeric_38_18_would_not_change_it(value: Decimal) -> None:
    units = Fraction(value) * 10**18

    try:
        checked_column(column("trades.price"), [value])
        fits = True
    except BadValue:
        fits = False

    assert fits == (units.denominator == 1 and abs(units) < 10**38)
