"""Reading the datasets for the API layer, inside the caller's own transaction.

Times without a zone are read as UTC. A row that the session loaded before is read anew, since upserts pass it by;
changes pending in the session are flushed first, so that reading anew does not lose them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from sink.db.missing import explain_missing_tables
from sink.db.models import Candle1m, Funding, OpenInterestSnapshot, Trade
from sink.db.values import as_utc


def fetch_candles(session: Session, symbol: str, start: datetime, end: datetime) -> list[Candle1m]:
    """Give a symbol's candles that open within [start, end), in ascending order."""
    return _fetch(
        session,
        select(Candle1m)
        .where(Candle1m.symbol == symbol, Candle1m.bucket_start >= as_utc(start), Candle1m.bucket_start < as_utc(end))
        .order_by(Candle1m.bucket_start),
    )


def recent_trades(session: Session, symbol: str, limit: int = 100) -> list[Trade]:
    """Give a symbol's last trades, newest first, at most ``limit``; ties in time go by trade id."""
    return _fetch(
        session,
        select(Trade).where(Trade.symbol == symbol).order_by(Trade.trade_ts.desc(), Trade.trade_id.desc()).limit(limit),
    )


def latest_open_interest(session: Session, symbol: str) -> OpenInterestSnapshot | None:
    """Give a symbol's open interest snapshot of the latest time, or None where there is none."""
    return _first(
        session,
        select(OpenInterestSnapshot)
        .where(OpenInterestSnapshot.symbol == symbol)
        .order_by(OpenInterestSnapshot.snapshot_ts.desc()),
    )


def latest_funding(session: Session, symbol: str) -> Funding | None:
    """Give a symbol's funding of the latest time, or None where there is none."""
    return _first(session, select(Funding).where(Funding.symbol == symbol).order_by(Funding.funding_ts.desc()))


def _first(session: Session, query: Select[Any]) -> Any | None:
    return next(iter(_fetch(session, query.limit(1))), None)


def _fetch(session: Session, query: Select[Any]) -> list[Any]:
    session.flush()
    with explain_missing_tables():
        return list(session.scalars(query, execution_options={"populate_existing": True}))
