"""What is traded: the steps in which price and size move, and where a market begins."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One market; prices are counted in ticks of 10**-price_digits, sizes in lots of 10**-size_digits."""

    symbol: str
    price_digits: int
    size_digits: int
    first_price: int
    """In ticks."""
    typical_size: int
    """Mean size of a trade, in lots."""


# Orders of magnitude of real markets; every other symbol gets figures drawn from its name.
_KNOWN = {
    "BTCUSDT": (2, 5, 64_000_00, 2_000),
    "ETHUSDT": (2, 4, 3_200_00, 4_000),
    "BNBUSDT": (2, 3, 580_00, 1_500),
    "SOLUSDT": (2, 3, 150_00, 6_000),
    "XRPUSDT": (4, 1, 5_500, 8_000),
    "DOGEUSDT": (5, 0, 12_000, 9_000),
}


def instrument(symbol: str) -> Instrument:
    """Give the market of a symbol; the same symbol is always the same market."""
    known = _KNOWN.get(symbol)
    if known is None:
        draw = Random(f"instrument/{symbol}")  # noqa: S311 (a market, not a secret)
        known = (4, 2, draw.randrange(5_000, 5_000_000), draw.randrange(500, 20_000))
    price_digits, size_digits, first_price, typical_size = known
    return Instrument(
        symbol=symbol,
        price_digits=price_digits,
        size_digits=size_digits,
        first_price=first_price,
        typical_size=typical_size,
    )
