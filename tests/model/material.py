"""The messages of a schedule: what each says, and the row that it must become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import polars as pl

from sink.avro.decode import DTYPES
from sink.avro.schemas import Kind
from sink.batch import BadRow, Decoded, Messages
from sink.datasets import Dataset

NOON = datetime(2026, 6, 2, 12, tzinfo=UTC)
REFUSED = Decimal(666)
"""An amount that a constraint of the proof's own tables refuses."""
REFUSING = {"trades": "quantity", "candles_1m": "volume"}
"""The column of that constraint."""

Fault = Literal["", "undecodable", "text", "untimed", "refused"]

REASONS: dict[Fault, str] = {
    "undecodable": "decode",
    "text": "text",
    "untimed": "no_observed_at",
    "refused": "rejected",
}
"""Why a message with a fault goes to quarantine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message: where it stands, which row (``key``) it tells of, its version's number, and what is wrong with it.

    ``seconds`` is its record time after :data:`NOON`.
    """

    partition: int
    offset: int
    key: int
    version: int
    seconds: int
    fault: Fault = ""

    @property
    def at(self) -> datetime:
        """Kafka's record time."""
        return NOON + timedelta(seconds=self.seconds)

    @property
    def raw(self) -> bytes:
        """The message's value."""
        return f"{self.partition}/{self.offset}".encode()


def row_of(told: Told, dataset: Dataset) -> dict[str, Any]:
    """Give the contract columns of a message's row; keys fall into two chunks of a hypertable."""
    version = Decimal(told.version)
    amount = REFUSED if told.fault == "refused" else version
    optional = None if told.version % 3 == 0 else told.version
    symbol = "S" * 65 if told.fault == "text" else f"S{told.key % 2}"
    time = NOON + timedelta(days=10 * (told.key % 2), minutes=told.key)
    if dataset.name == "trades":
        return {
            "symbol": symbol,
            "trade_ts": time,
            "trade_id": told.key,
            "price": version,
            "quantity": amount,
            "is_buyer_maker": told.version % 2 == 0,
            "side": "buy" if optional else None,
        }
    prices = dict.fromkeys(("open", "high", "low", "close"), version)
    further = {"quote_volume": None, "trade_count": optional}
    taker = dict.fromkeys(("taker_buy_base_volume", "taker_buy_quote_volume"), None)
    return {"symbol": symbol, "bucket_start": time, **prices, "volume": amount, **further, **taker}


def messages_of(told: Sequence[Told], topic: str) -> Messages:
    """Give messages as a consumer gives them."""
    return Messages(
        topic=topic,
        partitions=[one.partition for one in told],
        offsets=[one.offset for one in told],
        timestamps=[-1 if one.fault == "untimed" else round(one.at.timestamp() * 1e6) for one in told],
        keys=[str(one.key).encode() for one in told],
        values=[one.raw for one in told],
        headers=[None] * len(told),
    )


def decoded(told: Sequence[Told], dataset: Dataset) -> Decoded:
    """Give what a decoder makes of messages."""
    good = [(index, row_of(one, dataset)) for index, one in enumerate(told) if one.fault != "undecodable"]
    columns = {"message": pl.Series("message", [index for index, _ in good], dtype=pl.UInt32)}
    for name in dataset.columns:
        columns[name] = pl.Series(name, [row[name] for _, row in good], dtype=_DTYPES.get(name, DTYPES[Kind.AMOUNT]))
    observed = pl.Series("observed_at", [None] * len(good), dtype=DTYPES[Kind.TIME])
    bad = [
        BadRow(index=index, reason="decode", error="not a record", schema_id="1")
        for index, one in enumerate(told)
        if one.fault == "undecodable"
    ]
    return Decoded(
        frame=pl.DataFrame({**columns, "observed_at": observed}), bad=bad, schema_ids=frozenset({"1"} if told else ())
    )


_DTYPES = {
    "symbol": DTYPES[Kind.TEXT],
    "side": DTYPES[Kind.TEXT],
    "trade_ts": DTYPES[Kind.TIME],
    "bucket_start": DTYPES[Kind.TIME],
    "trade_id": DTYPES[Kind.BIG],
    "trade_count": DTYPES[Kind.BIG],
    "is_buyer_maker": DTYPES[Kind.FLAG],
}
