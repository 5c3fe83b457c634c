"""Trades and aggTrades dumps: one trade, raw or aggregated, a line."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from sink.db.payloads import TradePayload
from sink.producing.dumps.cells import amount, count, epoch_time, truth
from sink.producing.dumps.layout import Kind, Layout

_RAW = Layout(
    columns=("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"),
    required=6,
    aliases=MappingProxyType({"trade_id": "id", "quantity": "qty", "quotequantity": "quote_qty"}),
)
_AGGREGATED = Layout(
    columns=(
        "agg_trade_id",
        "price",
        "quantity",
        "first_trade_id",
        "last_trade_id",
        "transact_time",
        "is_buyer_maker",
        "is_best_match",
    ),
    required=7,
    aliases=MappingProxyType({"qty": "quantity", "time": "transact_time"}),
)


def _parse_raw(symbol: str, cells: list[str]) -> TradePayload:
    trade_id, price, quantity, _, time, maker, _ = cells
    return _trade(symbol, trade_id=trade_id, price=price, quantity=quantity, time=time, maker=maker)


def _parse_aggregated(symbol: str, cells: list[str]) -> TradePayload:
    trade_id, price, quantity, _, _, time, maker, _ = cells
    return _trade(symbol, trade_id=trade_id, price=price, quantity=quantity, time=time, maker=maker)


def _trade(symbol: str, *, trade_id: str, price: str, quantity: str, time: str, maker: str) -> TradePayload:
    """Make the payload; a trade is known when it happens, and where the buyer was the maker the taker sold."""
    trade_ts = epoch_time(time, "time")
    is_buyer_maker = truth(maker, "is_buyer_maker")
    return TradePayload(
        symbol=symbol,
        trade_ts=trade_ts,
        trade_id=count(trade_id, "id"),
        price=amount(price, "price"),
        quantity=amount(quantity, "quantity"),
        is_buyer_maker=is_buyer_maker,
        side="sell" if is_buyer_maker else "buy",
        observed_at=trade_ts,
    )


TRADES = Kind(name="trades", dataset="trades", layout=_RAW, parse=_parse_raw)
AGG_TRADES = Kind(name="aggTrades", dataset="trades", layout=_AGGREGATED, parse=_parse_aggregated)


def tell_apart(first_line: Sequence[str]) -> Kind:
    """Tell by its first line which of the two a file is whose name does not say so.

    A raw trade has its truth value in the sixth cell, where an aggregated one has its time.
    """
    if first_line[0].strip().lower().startswith("agg"):
        return AGG_TRADES
    return AGG_TRADES if first_line[5:6] and first_line[5].strip().isdigit() else TRADES
