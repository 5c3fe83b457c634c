"""COPY of a columnar frame into a table: no Python object per row."""

from __future__ import annotations

import polars as pl
import psycopg
from psycopg import sql

_TIME = "%Y-%m-%d %H:%M:%S%.6f+00"


def copy_frame(cursor: psycopg.Cursor, table: sql.Identifier, frame: pl.DataFrame) -> None:
    """Copy every column of the frame into the columns of the same names; times are UTC. Raises psycopg's errors."""
    columns = sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(table, columns)
    with cursor.copy(statement) as copy:
        # null stands as nothing, an empty text as "": how both sides read CSV by default
        copy.write(frame.write_csv(include_header=False, datetime_format=_TIME))
