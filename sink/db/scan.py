"""Reads a table's rows as columnar frames, whatever their number: COPY to the client, a piece at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime

import polars as pl
import psycopg
from psycopg import sql
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, Numeric, Table, func, select
from sqlalchemy.orm import Session

from sink.db.connect import driver_of
from sink.db.errors import translate
from sink.db.upsert import flushed_columns

ROWS = 50_000
"""Rows of a piece."""

_YEARS = (-62_135_596_800_000_000, 253_402_300_799_999_999)

Window = tuple[datetime, datetime]
"""First and last time of rows, both included."""


def readable(times: pl.Expr) -> pl.Expr:
    """Cut times, in UTC microseconds, to the years 1 to 9999: Python knows no others, and none of them is a row's."""
    return times.cast(pl.Int64).clip(*_YEARS).cast(pl.Datetime("us", "UTC"))


def count(session: Session, table: Table, *, time: str, window: Window | None) -> int:
    """Count the rows that :func:`scan` gives."""
    query = select(func.count()).select_from(table)
    return session.scalar(query if window is None else query.where(table.columns[time].between(*window))) or 0


def database_time(session: Session) -> datetime:
    """Give the time by the database's clock."""
    return session.execute(select(func.now())).scalar_one()


def scan(session: Session, table: Table, *, time: str, window: Window | None) -> Iterator[pl.DataFrame]:
    """Give all columns but ``created_at``; with a ``window`` only the rows whose ``time`` lies in it.

    Types are those of a decoded message. What no message can hold (NaN, infinite times) is read as null. Raises the
    sink's errors.
    """
    columns = [table.columns[name] for name in flushed_columns(table)]
    statement = sql.SQL("COPY (SELECT {} FROM {}{}) TO STDOUT (FORMAT csv)").format(
        sql.SQL(", ").join(map(_selected, columns)),
        sql.Identifier(*filter(None, (table.schema, table.name))),
        _where(time, window),
    )
    try:
        with driver_of(session).cursor() as cursor, cursor.copy(statement) as copy:
            lines: list[bytes] = []
            for line in copy:
                lines.append(bytes(line))
                if len(lines) >= ROWS:
                    yield _frame(lines, columns)
                    lines = []
            if lines:
                yield _frame(lines, columns)
    except psycopg.Error as error:
        raise translate(error) from error


def _where(time: str, window: Window | None) -> sql.Composable:
    if window is None:
        return sql.SQL("")
    return sql.SQL(" WHERE {} BETWEEN {} AND {}").format(sql.Identifier(time), *map(sql.Literal, window))


def _selected(column: Column[object]) -> sql.Composed:
    name = sql.Identifier(column.name)
    if isinstance(column.type, DateTime):
        # exact: epochs are numeric
        return sql.SQL("CASE WHEN isfinite({name}) THEN (extract(epoch FROM {name}) * 1000000)::bigint END").format(
            name=name
        )
    return sql.SQL("{}::int" if isinstance(column.type, Boolean) else "{}").format(name)


def _frame(lines: list[bytes], columns: list[Column[object]]) -> pl.DataFrame:
    raw = pl.read_csv(
        io.BytesIO(b"".join(lines)), has_header=False, schema={column.name: _raw_type(column) for column in columns}
    )
    return raw.with_columns(_typed(column) for column in columns)


def _raw_type(column: Column[object]) -> pl.DataType:
    if isinstance(column.type, DateTime | BigInteger | Boolean):
        return pl.Int64()
    return pl.Int32() if isinstance(column.type, Integer) else pl.String()


def _typed(column: Column[object]) -> pl.Expr:
    raw = pl.col(column.name)
    if isinstance(column.type, Numeric):
        return raw.cast(pl.Decimal(38, 18), strict=False)
    if isinstance(column.type, DateTime):
        return readable(raw)
    return raw.cast(pl.Boolean) if isinstance(column.type, Boolean) else raw
