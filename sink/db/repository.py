"""Newest-wins upserts for application code, inside the caller's own transaction; the queries stand in queries.py.

All functions take a plain session and never commit. docs/schema.md tells the whole contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any

from sqlalchemy import Column, Connection, Table, func, select
from sqlalchemy.orm import Session

from sink.db.missing import explain_missing_tables
from sink.db.models import Base, Candle1m, Funding, OpenInterestSnapshot, Trade
from sink.db.payloads import CandlePayload, FundingPayload, OpenInterestPayload, TradePayload
from sink.db.queries import fetch_candles, latest_funding, latest_open_interest, recent_trades
from sink.db.upsert import upsert_arrays
from sink.db.values import as_utc, checked_column

__all__ = [
    "CandlePayload",
    "FundingPayload",
    "OpenInterestPayload",
    "TradePayload",
    "UpsertResult",
    "fetch_candles",
    "latest_funding",
    "latest_open_interest",
    "recent_trades",
    "upsert_candles",
    "upsert_funding",
    "upsert_open_interest",
    "upsert_trades",
]

OBSERVED = "observed_at"
STATEMENT_ROWS = 20_000
"""Rows of one statement, which keeps its parameters far below PostgreSQL's 1 GB."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertResult:
    """What one upsert did; ``given`` is the sum of the other three."""

    given: int
    deduplicated: int
    """Payloads folded into another one of the same call with the same key."""
    written: int
    """Rows inserted or replaced."""
    not_newer: int
    """Rows left as they were, because the stored one was observed later."""


def upsert_candles(session: Session, payloads: Sequence[CandlePayload]) -> UpsertResult:
    """Write candles; raises BadValue, before anything is written, where a value does not fit its column."""
    return _upsert(session, Candle1m, CandlePayload, payloads)


def upsert_trades(session: Session, payloads: Sequence[TradePayload]) -> UpsertResult:
    """Write trades; raises BadValue, before anything is written, where a value does not fit its column."""
    return _upsert(session, Trade, TradePayload, payloads)


def upsert_open_interest(session: Session, payloads: Sequence[OpenInterestPayload]) -> UpsertResult:
    """Write open interest snapshots; raises BadValue, before anything is written, as the others do."""
    return _upsert(session, OpenInterestSnapshot, OpenInterestPayload, payloads)


def upsert_funding(session: Session, payloads: Sequence[FundingPayload]) -> UpsertResult:
    """Write fundings; raises BadValue, before anything is written, where a value does not fit its column."""
    return _upsert(session, Funding, FundingPayload, payloads)


def _upsert(session: Session, model: type[Base], payload: type[Any], payloads: Sequence[Any]) -> UpsertResult:
    table = Base.metadata.tables[model.__tablename__]
    columns = [table.columns[field.name] for field in fields(payload)]
    values = {column.name: checked_column(column, [getattr(p, column.name) for p in payloads]) for column in columns}
    session.flush()  # what the caller changed through the ORM before this call is older than what it writes here
    connection = session.connection(bind_arguments={"mapper": model})
    with explain_missing_tables():
        if None in values[OBSERVED]:
            moment = as_utc(connection.scalars(select(func.clock_timestamp())).one())
            values[OBSERVED] = [observed or moment for observed in values[OBSERVED]]
        rows = _fold(columns, list(zip(*values.values(), strict=True)))
        written = _write(connection, table, columns, rows)
    return UpsertResult(
        given=len(payloads),
        deduplicated=len(payloads) - len(rows),
        written=written,
        not_newer=len(rows) - written,
    )


def _fold(columns: Sequence[Column[Any]], rows: Sequence[Row]) -> list[Row]:
    """Fold rows of one key into one, and sort by key, so that two writers never lock rows in opposite order.

    Later observed goes before earlier, later in the sequence before earlier; None takes the earlier row's value.
    """
    names = [column.name for column in columns]
    key_of = itemgetter(*(place for place, column in enumerate(columns) if column.primary_key))
    folded: dict[Any, Row] = {}
    for row in sorted(rows, key=itemgetter(names.index(OBSERVED))):
        key = key_of(row)
        if (earlier := folded.get(key)) is None:
            folded[key] = row
        else:
            folded[key] = tuple(old if new is None else new for new, old in zip(row, earlier, strict=True))
    return [folded[key] for key in sorted(folded)]


def _write(connection: Connection, table: Table, columns: Sequence[Column[Any]], rows: Sequence[Row]) -> int:
    optional = [column.name for column in columns if column.nullable]
    statement = upsert_arrays(table, [column.name for column in columns], kept=optional).as_string()
    written = 0
    for start in range(0, len(rows), STATEMENT_ROWS):
        arrays = zip(*rows[start : start + STATEMENT_ROWS], strict=True)
        written += connection.exec_driver_sql(statement, tuple(map(list, arrays))).rowcount
    return written
