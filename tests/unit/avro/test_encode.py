"""The encoder writes what fastavro reads back, and refuses what a column cannot hold."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from fastavro import schemaless_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from sink.avro.encode import Encoder, encode
from sink.errors import BadMessage
from tests.unit.avro.material import SCHEMAS

TRADE: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "trade_ts": datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC),
    "trade_id": 2**40,
    "price": Decimal("64000.12"),
    "quantity": Decimal("0.000000000000000001"),
    "is_buyer_maker": True,
    "side": "sell",
    "observed_at": None,
}
ENCODER = Encoder(SCHEMAS["trades"])


def read_back(body: bytes) -> Any:
    return schemaless_reader(io.BytesIO(body), SCHEMAS["trades"].json, None)


def test_a_record_comes_back_as_it_was() -> None:
    assert read_back(encode(SCHEMAS["trades"], TRADE)) == TRADE


def test_optional_fields_may_be_left_out() -> None:
    short = {name: value for name, value in TRADE.items() if name not in {"side", "observed_at"}}
    assert read_back(ENCODER.encode(short)) == TRADE | {"side": None, "observed_at": None}


@given(unscaled=st.integers(-(10**38) + 1, 10**38 - 1))
@settings(max_examples=200)
def test_every_decimal_that_fits_comes_back_exactly(unscaled: int) -> None:
    sign, digits = int(unscaled < 0), tuple(map(int, str(abs(unscaled))))
    amount = Decimal((sign, digits, -18))
    assert (
        read_back(ENCODER.encode(TRADE | {"price": amount}))["price"].compare_total(
            amount.copy_abs() if not unscaled else amount
        )
        == 0
    )


def test_times_of_other_zones_are_the_same_instant() -> None:
    there = TRADE["trade_ts"].astimezone(timezone(timedelta(hours=9)))
    assert ENCODER.encode(TRADE | {"trade_ts": there}) == ENCODER.encode(TRADE)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("price", Decimal("1E-19"), "decimal_range"),
        ("price", Decimal("1E+20"), "decimal_range"),
        ("price", Decimal("1E+999999"), "decimal_range"),
        ("price", Decimal(-100000000000000000000), "decimal_range"),
        ("price", Decimal("NaN"), "non_finite"),
        ("price", Decimal("-Infinity"), "non_finite"),
        ("price", 1.5, "decode"),
        ("price", None, "null_key"),
        ("symbol", "a\0b", "text"),
        ("symbol", "\ud800", "text"),
        ("symbol", 7, "decode"),
        ("trade_id", 2**63, "decode"),
        ("trade_id", True, "decode"),
        ("is_buyer_maker", 1, "decode"),
        ("trade_ts", datetime(2024, 1, 1), "ts_range"),  # noqa: DTZ001 (a naive time is the point)
        ("trade_ts", 1700000000, "decode"),
        ("colour", "red", "decode"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(field: str, value: object, reason: str) -> None:
    with pytest.raises(BadMessage, match=field) as caught:
        ENCODER.encode(TRADE | {field: value})
    assert caught.value.reason == reason
