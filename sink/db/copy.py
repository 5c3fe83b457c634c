"""COPY of a columnar frame into a table: no Python object per row."""

from __future__ import annotations

import polars as pl
import psycopg
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql


def encoded(frame: pl.DataFrame) -> bytes:
    """Encode every column for :func:`copy_into`, in PostgreSQL's binary form.

    The form must fit the table's columns exactly: String is text, Datetime in UTC timestamptz, Decimal numeric, Int64
    bigint, Int32 integer, Boolean boolean. PostgreSQL refuses anything else (22P03), which is a wrong table, never a
    bad row.
    """
    # the oldest Arrow form: the encoder knows no string views
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    encoder = ArrowToPostgresBinaryEncoder(arrow.schema)
    pieces = [encoder.write_header(), *(encoder.write_batch(batch) for batch in arrow.to_batches()), encoder.finish()]
    return b"".join(pieces)


def copy_into(cursor: psycopg.Cursor, table: sql.Identifier, columns: list[str], data: bytes) -> None:
    """Copy encoded rows into these columns of a table. Raises psycopg's errors."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(table, names)) as copy:
        copy.write(data)
