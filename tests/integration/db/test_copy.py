"""Frames come out of the database as they went in, whatever their values: the binary form of COPY against psycopg."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from sink.db.connect import open_connection
from sink.db.copy import copy_into, encoded

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "name": pl.String,
    "at": pl.Datetime("us", "UTC"),
    "amount": pl.Decimal(38, 18),
    "big": pl.Int64,
    "small": pl.Int32,
    "flag": pl.Boolean,
}
TEXTS = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=20)
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (bounds are naive by hypothesis's rule)
AMOUNTS = st.integers(-(10**38) + 1, 10**38 - 1).map(lambda units: Decimal(f"{units}e-18"))
SMALL_AMOUNTS = st.integers(-(10**6), 10**6).map(lambda units: Decimal(f"{units}e-9"))
ROWS = st.lists(
    st.tuples(
        st.none() | TEXTS,
        st.none() | TIMES,
        st.none() | AMOUNTS | SMALL_AMOUNTS,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.integers(-(2**31), 2**31 - 1),
        st.none() | st.booleans(),
    ),
    max_size=20,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_what_is_copied_is_read_back(writer_url: str, rows: list[tuple[object, ...]]) -> None:
    with open_connection(writer_url, application_name="test") as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute(
            "CREATE TEMP TABLE copied (row serial, name text, at timestamptz, amount numeric(38,18), big bigint,"
            " small integer, flag boolean)"
        )
        frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        copy_into(cursor, sql.Identifier("copied"), list(SCHEMA), encoded(frame))
        columns = sql.SQL(", ").join(map(sql.Identifier, SCHEMA))
        cursor.execute(sql.SQL("SELECT {} FROM copied ORDER BY row").format(columns))
        assert cursor.fetchall() == rows


def test_a_column_of_another_type_is_refused_not_misread(writer_url: str) -> None:
    with open_connection(writer_url, application_name="test") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE copied (big integer)")
        frame = pl.DataFrame({"big": [1]}, schema={"big": pl.Int64})
        with pytest.raises(psycopg.errors.InvalidBinaryRepresentation):
            copy_into(cursor, sql.Identifier("copied"), ["big"], encoded(frame))
