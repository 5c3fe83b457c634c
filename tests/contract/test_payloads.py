"""Payloads and models agree: whoever adds a column to one is told of the other."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import pytest

from sink.db.models import Base, Candle1m, Funding, OpenInterestSnapshot, Row, Trade
from sink.db.payloads import CandlePayload, FundingPayload, OpenInterestPayload, TradePayload

PAIRS = [
    (Candle1m, CandlePayload),
    (Trade, TradePayload),
    (OpenInterestSnapshot, OpenInterestPayload),
    (Funding, FundingPayload),
]


@pytest.mark.parametrize(("model", "payload"), PAIRS)
def test_a_payload_has_the_models_contract_columns_and_observed_at(model: type[Base], payload: type[Any]) -> None:
    bookkeeping = set(Row.__annotations__)
    contract = [column.name for column in model.__table__.columns if column.name not in bookkeeping]

    assert [field.name for field in fields(payload)] == [*contract, "observed_at"]


@pytest.mark.parametrize(("model", "payload"), PAIRS)
def test_exactly_the_nullable_columns_are_optional_in_the_payload(model: type[Base], payload: type[Any]) -> None:
    nullable = {column.name for column in model.__table__.columns if column.nullable}

    assert {field.name for field in fields(payload) if field.default is not MISSING} == {*nullable, "observed_at"}
    assert all(field.default is None for field in fields(payload) if field.default is not MISSING)
