"""One market minute by minute: its trades as columns of whole numbers, and the candle that they make."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from math import sqrt
from random import Random

from sink.db.payloads import CandlePayload, TradePayload
from sink.producing.simulator.instruments import Instrument
from sink.producing.simulator.plan import EPOCH, MINUTE, MOST_TRADES_A_MINUTE

MINUTE_US = 60_000_000
# A price moves by about 0.05 % a minute and is drawn back to where it began, so that a week stays plausible.
_MOVE_A_MINUTE = 0.0005
_PULL_A_MINUTE = 0.002
# Products of whole numbers: 60 digits are more than any of them has, so that nothing is ever rounded.
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
    """The trades of one minute in their order: microsecond of the minute, price in ticks, size in lots, who waited."""

    at: list[int]
    prices: list[int]
    sizes: list[int]
    makers: list[bool]


class Trading:
    """The trading of one instrument, from one minute to the next."""

    def __init__(self, instrument: Instrument, *, seed: int) -> None:
        self._instrument = instrument
        # Strings seed through sha512, alike on every machine, and only sums and products follow: no libm.
        self._random = Random(f"{seed}/{instrument.symbol}/trades")  # noqa: S311 (a market, not a secret)
        self._price = float(instrument.first_price)
        self._tick = Decimal(1).scaleb(-instrument.price_digits)
        self._lot = Decimal(1).scaleb(-instrument.size_digits)
        self.last_price = instrument.first_price

    def trade(self, count: int) -> Trades:
        """Trade for a minute; prices go on from where they were."""
        draw = self._random.random
        first, price = self._instrument.first_price, self._price
        typical = 4 * self._instrument.typical_size
        # The sum of three uniform draws has a standard deviation of one half.
        step = 2 * _MOVE_A_MINUTE * price / sqrt(count or 1)
        drift = _PULL_A_MINUTE * (first - price) / (count or 1)
        at = sorted([int(draw() * MINUTE_US) for _ in range(count)])
        prices, sizes, makers = [], [], []
        for _ in at:
            move = draw() + draw() + draw() - 1.5
            price = max(1.0, price + move * step + drift)
            prices.append(int(price))
            size = draw()
            sizes.append(1 + int(typical * size * size * size))
            makers.append(move + 2 * draw() < 1)
        self._price = price
        return Trades(at=at, prices=prices, sizes=sizes, makers=makers)

    def trade_payloads(self, minute: datetime, trades: Trades) -> Iterator[TradePayload]:
        """Give the trades of the minute that begins at ``minute``."""
        symbol, tick, lot, product = self._instrument.symbol, self._tick, self._lot, _EXACT.multiply
        trade_id = (minute - EPOCH) // MINUTE * MOST_TRADES_A_MINUTE
        for at, price, size, maker in zip(trades.at, trades.prices, trades.sizes, trades.makers, strict=True):
            moment = minute + timedelta(0, 0, at)
            yield TradePayload(
                symbol=symbol,
                trade_ts=moment,
                trade_id=trade_id,
                price=product(price, tick),
                quantity=product(size, lot),
                is_buyer_maker=maker,
                side="sell" if maker else "buy",
                observed_at=moment,
            )
            trade_id += 1

    def candles(self, minute: datetime, trades: Trades, *, open_updates: int) -> Iterator[CandlePayload]:
        """Give the candle of the minute as it stood at each update, then the final one; before a trade it is flat."""
        for version in range(1, open_updates + 2):
            until = MINUTE_US * version // (open_updates + 1)
            yield self._candle(minute, trades, bisect_left(trades.at, until), minute + timedelta(0, 0, until))

    def close(self, trades: Trades) -> None:
        """End the minute: its last price is where the next candle starts."""
        self.last_price = trades.prices[-1] if trades.prices else self.last_price

    def _candle(self, minute: datetime, trades: Trades, count: int, observed_at: datetime) -> CandlePayload:
        prices, sizes = trades.prices[:count] or [self.last_price], trades.sizes[:count]
        bought = [index for index in range(count) if not trades.makers[index]]
        return CandlePayload(
            symbol=self._instrument.symbol,
            bucket_start=minute,
            open=self.price(prices[0]),
            high=self.price(max(prices)),
            low=self.price(min(prices)),
            close=self.price(prices[-1]),
            volume=self.size(sum(sizes)),
            quote_volume=self.value(sum(price * size for price, size in zip(prices, sizes, strict=False))),
            trade_count=count,
            taker_buy_base_volume=self.size(sum(sizes[index] for index in bought)),
            taker_buy_quote_volume=self.value(sum(prices[index] * sizes[index] for index in bought)),
            observed_at=observed_at,
        )

    def price(self, ticks: int) -> Decimal:
        """Give a price in quote currency."""
        return _EXACT.multiply(ticks, self._tick)

    def size(self, lots: int) -> Decimal:
        """Give a size in base currency."""
        return _EXACT.multiply(lots, self._lot)

    def value(self, ticks_times_lots: int) -> Decimal:
        """Give a value in quote currency."""
        return _EXACT.multiply(_EXACT.multiply(ticks_times_lots, self._tick), self._lot)
