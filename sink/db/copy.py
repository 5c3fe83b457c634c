"""COPY of a columnar frame into a table: no Python object per row."""

from __future__ import annotations

import polars as pl
import psycopg
from psycopg import sql

_TIME = "%Y-%m-%d %H:%M:%S%.6f+00"


def encoded(frame: pl.DataFrame) -> bytes:
    """Encode every column for :func:`copy_into`; times are UTC."""
    # null stands as nothing, an empty text as "": how both sides read CSV by default
    return frame.write_csv(include_header=False, datetime_format=_TIME).encode()


def copy_into(cursor: psycopg.Cursor, table: sql.Identifier, columns: list[str], data: bytes) -> None:
    """Copy encoded rows into these columns of a table. Raises psycopg's errors."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(table, names)) as copy:
        copy.write(data)
