"""What a futures market reports of one instrument besides trades: open interest and funding."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Context, Decimal
from random import Random

from sink.db.payloads import FundingPayload, OpenInterestPayload
from sink.producing.dumps.funding import annualised
from sink.producing.simulator.trading import Trading

_EXACT = Context(prec=60)
_RATE_STEP = Decimal("0.00000001")
_USUAL_RATE = 10_000
_BASIS_STEP = Decimal("0.01")


class Derivatives:
    """Open interest and funding of one instrument; each has draws of its own, so that one never moves the other."""

    def __init__(self, symbol: str, *, seed: int, typical_size: int) -> None:
        self._symbol = symbol
        self._interest_draw = Random(f"{seed}/{symbol}/interest").random  # noqa: S311 (a market, not a secret)
        self._funding_draw = Random(f"{seed}/{symbol}/funding").random  # noqa: S311 (a market, not a secret)
        self._interest = typical_size * 1_000_000

    def interest(self, at: datetime, trading: Trading) -> OpenInterestPayload:
        """Report the open interest at a moment, in base currency and in quote currency at the last price."""
        self._interest = max(1, int(self._interest * (0.995 + 0.01 * self._interest_draw())))
        return OpenInterestPayload(
            symbol=self._symbol,
            snapshot_ts=at,
            open_interest=trading.size(self._interest),
            open_interest_usd=trading.value(self._interest * trading.last_price),
            basis_points=_EXACT.multiply(int(2000 * self._interest_draw()) - 600, _BASIS_STEP),
            observed_at=at,
        )

    def funding(self, at: datetime, trading: Trading, *, interval: timedelta) -> FundingPayload:
        """Report the funding at a moment: a rate about 0.01 %, now and then negative, paid on the last price."""
        rate = _EXACT.multiply(_USUAL_RATE + int(40_000 * (self._funding_draw() - 0.5)), _RATE_STEP)
        return FundingPayload(
            symbol=self._symbol,
            funding_ts=at,
            funding_rate=rate,
            annualised_rate=annualised(rate, interval=interval),
            payment=_EXACT.multiply(rate, trading.price(trading.last_price)),
            observed_at=at,
        )
