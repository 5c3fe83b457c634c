"""A plan as a stream of payloads in the order in which they come to be known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter
from random import Random

from sink.producing.payload import Payload
from sink.producing.simulator.derivatives import Derivatives
from sink.producing.simulator.instruments import instrument
from sink.producing.simulator.plan import EPOCH, MINUTE, Plan
from sink.producing.simulator.trading import Trading

_known_at = attrgetter("observed_at")


def simulate(plan: Plan) -> Iterator[Payload]:
    """Give the payloads of a plan, ordered by ``observed_at``, holding one minute of market at a time.

    A candle holds exactly the trades of its minute, whether or not ``plan.datasets`` names the trades too; leaving a
    dataset out changes nothing in the others.
    """
    markets = [_Market(symbol, plan) for symbol in plan.symbols]
    counts = _trade_counts(plan)
    waiting: list[Payload] = []
    for number in range(plan.minutes):
        minute = plan.start + number * MINUTE
        for market in markets:
            waiting.extend(market.minute(minute, next(counts)))
        # Stable: what becomes known at the same moment keeps the order of symbols and datasets.
        waiting.sort(key=_known_at)
        yield from waiting
        waiting.clear()


def _trade_counts(plan: Plan) -> Iterator[int]:
    """Share the trades out over minutes and symbols: up to twice the mean each, the sum exact."""
    draw = Random(f"{plan.seed}/activity").random  # noqa: S311 (a market, not a secret)
    before = 0
    for cell in range(1, plan.cells + 1):
        bound = plan.total_trades if cell == plan.cells else int(plan.total_trades * (cell + draw()) / plan.cells)
        bound = min(bound, plan.total_trades)
        yield bound - before
        before = bound


class _Market:
    """One symbol in all its datasets."""

    def __init__(self, symbol: str, plan: Plan) -> None:
        traded = instrument(symbol)
        self._plan = plan
        self._trading = Trading(traded, seed=plan.seed)
        self._derivatives = Derivatives(symbol, seed=plan.seed, typical_size=traded.typical_size)

    def minute(self, minute: datetime, count: int) -> Iterator[Payload]:
        """Give what becomes known from the beginning of a minute to its end."""
        plan, trading, since_epoch = self._plan, self._trading, minute - EPOCH
        if not since_epoch % plan.interest_interval:
            snapshot = self._derivatives.interest(minute, trading)
            if "oi_snapshots" in plan.datasets:
                yield snapshot
        if not since_epoch % plan.funding_interval:
            funding = self._derivatives.funding(minute, trading, interval=plan.funding_interval)
            if "funding" in plan.datasets:
                yield funding
        trades = trading.trade(count)
        if "trades" in plan.datasets:
            yield from trading.trade_payloads(minute, trades)
        if "candles_1m" in plan.datasets:
            yield from trading.candles(minute, trades, open_updates=plan.open_updates)
        trading.close(trades)
