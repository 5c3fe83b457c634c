"""Klines dumps: one 1-minute candle a line."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType

from sink.db.payloads import CandlePayload
from sink.producing.dumps.cells import CellError, amount, epoch_time, optional_amount, optional_count
from sink.producing.dumps.layout import Kind, Layout

_MINUTE = timedelta(minutes=1)
_TICKS = (timedelta(milliseconds=1), timedelta(microseconds=1))

_LAYOUT = Layout(
    columns=(
        "open_time",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "close_time",
        "quote_volume",
        "count",
        "taker_buy_volume",
        "taker_buy_quote_volume",
        "ignore",
    ),
    required=6,
    aliases=MappingProxyType(
        {
            "quote_asset_volume": "quote_volume",
            "number_of_trades": "count",
            "trades": "count",
            "taker_buy_base_volume": "taker_buy_volume",
            "taker_buy_base_asset_volume": "taker_buy_volume",
            "taker_buy_quote_asset_volume": "taker_buy_quote_volume",
        }
    ),
)


def _parse(symbol: str, cells: list[str]) -> CandlePayload:
    """Read a candle; it is final, and so observed, one minute after it opens.

    The file's close time is one unit earlier (…59.999 or …59.999999), so that the same candle would be observed at
    different times in a file of milliseconds and one of microseconds.
    """
    opened, open_, high, low, close, volume, closed, quote, trades, taker_base, taker_quote, _ = cells
    bucket_start = epoch_time(opened, "open_time")
    if bucket_start.second or bucket_start.microsecond:
        raise CellError(f"open_time is {opened!r}, not the beginning of a minute")
    final = bucket_start + _MINUTE
    if closed and final - epoch_time(closed, "close_time") not in _TICKS:
        raise CellError(f"close_time is {closed!r}, so that this is no 1-minute candle; only those have a table")
    return CandlePayload(
        symbol=symbol,
        bucket_start=bucket_start,
        open=amount(open_, "open"),
        high=amount(high, "high"),
        low=amount(low, "low"),
        close=amount(close, "close"),
        volume=amount(volume, "volume"),
        quote_volume=optional_amount(quote, "quote_volume"),
        trade_count=optional_count(trades, "count"),
        taker_buy_base_volume=optional_amount(taker_base, "taker_buy_volume"),
        taker_buy_quote_volume=optional_amount(taker_quote, "taker_buy_quote_volume"),
        observed_at=final,
    )


KLINES = Kind(name="klines", dataset="candles_1m", layout=_LAYOUT, parse=_parse)
