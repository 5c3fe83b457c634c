"""What callers hand to the repository: one frozen dataclass per dataset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CandlePayload:
    """One 1-minute candle; prices in quote currency, volumes in base currency, ``bucket_start`` its opening time.

    Times without a zone are read as UTC. ``observed_at`` is when the value was known (default: the moment of the
    write); a row is only replaced by one observed later. None in an optional field keeps the stored value.
    """

    symbol: str
    bucket_start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal | None = None
    trade_count: int | None = None
    taker_buy_base_volume: Decimal | None = None
    taker_buy_quote_volume: Decimal | None = None
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradePayload:
    """One aggregated trade; ``side`` is the taker's, 'buy' or 'sell'."""

    symbol: str
    trade_ts: datetime
    trade_id: int
    price: Decimal
    quantity: Decimal
    is_buyer_maker: bool
    side: str | None = None
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInterestPayload:
    """One snapshot of a future's open interest; ``basis_points`` is the future over spot."""

    symbol: str
    snapshot_ts: datetime
    open_interest: Decimal
    open_interest_usd: Decimal | None = None
    basis_points: Decimal | None = None
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPayload:
    """One funding of a perpetual swap; rates are fractions, ``payment`` is quote currency per contract."""

    symbol: str
    funding_ts: datetime
    funding_rate: Decimal
    annualised_rate: Decimal | None = None
    payment: Decimal | None = None
    observed_at: datetime | None = None
