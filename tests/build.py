"""Builders: messages and decoded batches of trades, small enough to read in a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from sink.batch import BadRow, Batch, Clock, Decoded, Messages

TOPIC = "market.trades"
NOON = datetime(2026, 6, 2, 12, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """Give a time as UTC microseconds."""
    return round(moment.timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message of a test: where it stands, and the trade that it tells of (None for one that is undecodable)."""

    partition: int
    offset: int
    trade_id: int | None
    price: str = "1"
    at: datetime = NOON
    """Kafka's record time."""
    symbol: str = "BTCUSDT"
    trade_ts: datetime = NOON
    side: str | None = None
    observed_at: datetime | None = None


def messages(told: Sequence[Told], topic: str = TOPIC) -> Messages:
    """Give the raw messages."""
    return Messages(
        topic=topic,
        partitions=[one.partition for one in told],
        offsets=[one.offset for one in told],
        timestamps=[micros(one.at) for one in told],
        keys=[one.symbol.encode("utf-8", "surrogatepass") for one in told],
        values=[f"{one.partition}/{one.offset}".encode() for one in told],
        headers=[None] * len(told),
    )


def decoded(told: Sequence[Told], *, start: int = 0) -> Decoded:
    """Give what a decoder makes of them; ``start`` is the index of the first."""
    good = [(start + index, one) for index, one in enumerate(told) if one.trade_id is not None]
    frame = pl.DataFrame(
        {
            "message": [index for index, _ in good],
            "symbol": [one.symbol for _, one in good],
            "trade_ts": [one.trade_ts for _, one in good],
            "trade_id": [one.trade_id for _, one in good],
            "price": [Decimal(one.price) for _, one in good],
            "quantity": [Decimal(1) for _ in good],
            "is_buyer_maker": [True for _ in good],
            "side": [one.side for _, one in good],
            "observed_at": [one.observed_at for _, one in good],
        },
        schema={
            "message": pl.UInt32,
            "symbol": pl.String,
            "trade_ts": pl.Datetime("us", "UTC"),
            "trade_id": pl.Int64,
            "price": pl.Decimal(38, 18),
            "quantity": pl.Decimal(38, 18),
            "is_buyer_maker": pl.Boolean,
            "side": pl.String,
            "observed_at": pl.Datetime("us", "UTC"),
        },
    )
    bad = [
        BadRow(index=start + index, reason="decode", error="not a trade\x00", schema_id="1")
        for index, one in enumerate(told)
        if one.trade_id is None
    ]
    return Decoded(frame=frame, bad=bad, schema_ids=frozenset({"1"}))


def batch(told: Sequence[Told], bases: Mapping[int, int] | None = None, *, clock: Clock = "record") -> Batch:
    """Give a batch of them; a partition's base is its first offset unless ``bases`` says otherwise."""
    first = {one.partition: one.offset for one in reversed(told)}
    made = Batch(TOPIC, clock=clock)
    made.add(messages(told), decoded(told), first | dict(bases or {}), {})
    return made
