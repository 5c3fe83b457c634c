"""A candle chart made of characters: thin lines from low to high, thick ones from open to close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sink.db.models import Candle1m

_EMPTY, _WICK, _BODY = " ", "│", "┃"
# Each character is two halves, upper and lower, which doubles the resolution.
_HALVES = {
    (_EMPTY, _EMPTY): " ",
    (_WICK, _WICK): "│",
    (_BODY, _BODY): "┃",
    (_WICK, _EMPTY): "╵",
    (_EMPTY, _WICK): "╷",
    (_BODY, _EMPTY): "╹",
    (_EMPTY, _BODY): "╻",
    (_WICK, _BODY): "╽",
    (_BODY, _WICK): "╿",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The four prices of one candle."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    @property
    def rises(self) -> bool:
        """Whether the price did not fall."""
        return self.close >= self.open


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRow:
    """One line of the chart: the price at its middle, and a character for each candle."""

    price: Decimal
    cells: str


def bar_of(candle: Candle1m) -> Bar:
    """Give a candle's prices."""
    return Bar(open=candle.open, high=candle.high, low=candle.low, close=candle.close)


def chart(bars: Sequence[Bar], *, height: int) -> list[ChartRow]:
    """Draw candles on ``height`` lines, from the highest price down to the lowest; none where there are no candles."""
    if not bars:
        return []
    low, high = min(bar.low for bar in bars), max(bar.high for bar in bars)
    step = (high - low) / (2 * height - 1)
    columns = [_column(bar, low=low, step=step, halves=2 * height) for bar in bars]
    return [
        ChartRow(
            price=low + step * (Decimal(lower) + Decimal("0.5")),
            cells="".join(_HALVES[column[lower + 1], column[lower]] for column in columns),
        )
        for lower in range(2 * height - 2, -1, -2)
    ]


def digits_of(bars: Sequence[Bar]) -> int:
    """Give how many digits after the point the prices need."""
    exponents = (price.normalize().as_tuple().exponent for bar in bars for price in (bar.open, bar.close))
    return max((-exponent for exponent in exponents if isinstance(exponent, int) and exponent < 0), default=0)


def _column(bar: Bar, *, low: Decimal, step: Decimal, halves: int) -> list[str]:
    """Fill the half lines of one candle, lowest first."""

    def place(price: Decimal) -> int:
        return round((price - low) / step) if step else 0

    column = [_EMPTY] * halves
    for half in range(place(bar.low), place(bar.high) + 1):
        column[half] = _WICK
    for half in range(place(min(bar.open, bar.close)), place(max(bar.open, bar.close)) + 1):
        column[half] = _BODY
    return column
