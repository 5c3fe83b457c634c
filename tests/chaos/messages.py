"""Trades as messages that make trouble: versions out of order and in other partitions, repeated, bad, refused."""

from __future__ import annotations

import io
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from sink.avro.framing import (
    CONFLUENT_HEADER,
    CONFLUENT_MAGIC,
    SINGLE_OBJECT_HEADER,
    frame_confluent,
    frame_single_object,
)
from sink.avro.schemas import shipped_schema

DATASET = "trades"
SHIPPED = shipped_schema(DATASET)
WIRE: Any = parse_schema(SHIPPED.json)
REFUSED = Decimal(666)
"""A price that the database refuses, by a constraint that only the tests' tables have."""
CONSTRAINT = f"ALTER TABLE {DATASET} ADD CONSTRAINT no_beast CHECK (price <> {REFUSED})"
EXPECT = "expect"
"""Header that names the reason for which a message belongs in quarantine."""
_RECENT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One message to produce; ``timestamp`` in milliseconds, ``reason`` where it is bad."""

    partition: int
    key: bytes
    value: bytes | None
    timestamp: int
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trade:
    symbol: str
    trade_ts: datetime
    trade_id: int
    at: int
    """The record timestamp of its newest version."""


def decode(value: bytes) -> dict[str, Any]:
    """Decode a good message by the reference library alone."""
    header = CONFLUENT_HEADER if value[:1] == CONFLUENT_MAGIC else SINGLE_OBJECT_HEADER
    record: Any = schemaless_reader(io.BytesIO(value[header:]), WIRE, WIRE)
    return dict(record)


class Maker:
    """Makes messages by its dice; ``registered`` is the schema's id at the registry, for half of them."""

    def __init__(self, dice: random.Random, *, partitions: int, now: datetime, registered: int | None = None) -> None:
        self._dice = dice
        self._partitions = partitions
        self._registered = registered
        self._now = now
        self._clock = int((now - timedelta(minutes=30)).timestamp()) * 1000
        self._recent: deque[_Trade] = deque(maxlen=_RECENT)
        self._next_id = 0

    def __iter__(self) -> Iterator[Made]:
        kinds: list[Callable[[], Made]] = [self._new, self._update, self._late, self._again, self._bad, self._refused]
        while True:
            kind = self._dice.choices(kinds, weights=(50, 20, 15, 8, 5, 2))[0]
            # coarse, so that versions tie and partition and offset must decide
            self._clock += self._dice.choice((0, 0, 10))
            yield kind() if self._recent else self._new()

    def _new(self) -> Made:
        self._next_id += 1
        trade = _Trade(
            symbol=f"S{self._dice.randrange(7)}",
            # several chunks of the hypertable, all younger than its retention
            trade_ts=self._now.replace(microsecond=0) - timedelta(hours=self._dice.randrange(200)),
            trade_id=self._next_id,
            at=self._clock,
        )
        self._recent.append(trade)
        return self._told(trade)

    def _update(self) -> Made:
        trade = replace(self._dice.choice(self._recent), at=self._clock)
        return self._told(trade)

    def _late(self) -> Made:
        trade = self._dice.choice(self._recent)
        return self._told(replace(trade, at=trade.at - self._dice.randrange(60_000)))

    def _again(self) -> Made:
        return self._told(self._dice.choice(self._recent))

    def _refused(self) -> Made:
        # newer than every other version, which thus stay what the table must hold; and no version comes after it,
        # for otherwise it would depend on the batch whether the refused one is ever tried
        trade = self._dice.choice(self._recent)
        self._recent.remove(trade)
        return self._told(replace(trade, at=self._clock + 120_000), price=REFUSED, reason="rejected")

    def _bad(self) -> Made:
        trade = self._dice.choice(self._recent)
        good = self._told(trade)
        assert good.value is not None
        reason, value = self._dice.choice(
            [
                ("magic", b"rubbish that never was Avro"),
                ("framing", b"\x00\x01"),
                ("null_value", None),
                ("decode", good.value[:-9]),
                ("trailing_bytes", good.value + b"\x00"),
            ]
        )
        return replace(good, value=value, reason=reason)

    def _told(self, trade: _Trade, *, price: Decimal | None = None, reason: str | None = None) -> Made:
        dice = self._dice
        is_buyer_maker = dice.random() < 0.5
        file = io.BytesIO()
        schemaless_writer(
            file,
            WIRE,
            {
                "symbol": trade.symbol,
                "trade_ts": trade.trade_ts,
                "trade_id": trade.trade_id,
                "price": price or Decimal(dice.randrange(1, 10**12)).scaleb(-6),
                "quantity": Decimal(dice.randrange(1, 10**9)).scaleb(-dice.randrange(18)),
                "is_buyer_maker": is_buyer_maker,
                "side": dice.choice((None, "buy", "sell")),
                "observed_at": None,
            },
        )
        if self._registered is not None and dice.random() < 0.5:
            value = frame_confluent(self._registered, file.getvalue())
        else:
            value = frame_single_object(SHIPPED.fingerprint, file.getvalue())
        return Made(
            partition=dice.randrange(self._partitions),
            key=trade.symbol.encode(),
            value=value,
            timestamp=trade.at,
            reason=reason,
        )


def moment(milliseconds: int) -> datetime:
    """Give a record timestamp as the table holds it."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
