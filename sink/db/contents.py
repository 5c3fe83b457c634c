"""What stands in the tables: rows and times by symbol, and the offsets up to which topics are durable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from sink.db import session_scope
from sink.db.errors import explain_connect, parse_url, translate
from sink.db.models import Base, Position, table_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRows:
    """The rows of one symbol in one table."""

    symbol: str
    rows: int
    first: datetime
    last: datetime


@contextmanager
def reading(url: str) -> Iterator[Session]:
    """Give a session for reading; raises the sink's errors, with the next step, where the database refuses."""
    try:
        with session_scope(url) as session:
            try:
                session.connection()
            except DBAPIError as error:
                raise explain_connect(parse_url(url), error) from error
            yield session
    except SQLAlchemyError as error:
        raise translate(error) from error


def rows_by_symbol(session: Session, model: type[Base], *, time: str) -> list[SymbolRows]:
    """Count a table's rows by symbol, in the order of symbols; ``time`` is the column of their times."""
    columns = table_of(model).columns
    query = (
        select(columns["symbol"], func.count(), func.min(columns[time]), func.max(columns[time]))
        .group_by(columns["symbol"])
        .order_by(columns["symbol"])
    )
    return [
        SymbolRows(symbol=symbol, rows=rows, first=first, last=last)
        for symbol, rows, first, last in session.execute(query)
    ]


def next_offsets(session: Session, *, sink_id: str, topic: str) -> dict[int, int]:
    """Give by partition the offset that follows the last durable message."""
    query = select(Position.partition, Position.next_offset).where(Position.sink_id == sink_id, Position.topic == topic)
    return {row.partition: row.next_offset for row in session.execute(query)}
