"""COPY of a columnar frame into a table: no Python object per row."""

from __future__ import annotations

import polars as pl
import psycopg
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql

_AT_ONCE = 2_000
"""Rows that are encoded while Python's lock is held: a thread that writes wants it between its statements."""


def encoded(frame: pl.DataFrame) -> bytes:
    """Encode every column for :func:`copy_into`, in PostgreSQL's binary form.

    The form must fit the table's columns exactly: String is text, Datetime in UTC timestamptz, Decimal numeric, Int64
    bigint, Int32 integer, Boolean boolean. PostgreSQL refuses anything else (22P03), which is a wrong table, never a
    bad row.
    """
    # the oldest Arrow form: the encoder knows no string views
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    encoder = ArrowToPostgresBinaryEncoder(arrow.schema)
    parts = (encoder.write_batch(batch) for batch in arrow.to_batches(max_chunksize=_AT_ONCE))
    return b"".join([encoder.write_header(), *parts, encoder.finish()])


def copy_into(cursor: psycopg.Cursor, table: sql.Identifier, columns: list[str], data: bytes) -> None:
    """Copy encoded rows into these columns of a table. Raises psycopg's errors."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(table, names)) as copy:
        copy.write(data)
