"""What autogenerate makes of hypertables, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import MetaData, Table

from sink.db.autogenerate import differences, include_name, include_object
from sink.db.hypertables import Hypertable, create_sql, interval_sql, retention_sql
from sink.db.layout import laid_out
from sink.db.models import Trade

TRADES = Hypertable(time="trade_ts", chunk=timedelta(days=3), retain=timedelta(days=30))


@pytest.mark.parametrize(
    ("length", "literal"),
    [
        (timedelta(days=3), "INTERVAL '3 days'"),
        (timedelta(hours=36), "INTERVAL '36 hours'"),
        (timedelta(minutes=90), "INTERVAL '5400 seconds'"),
        (timedelta(microseconds=1_500_000), "INTERVAL '1500000 microseconds'"),
        (None, "NULL"),
    ],
)
def test_intervals_are_written_exactly(length: timedelta | None, literal: str) -> None:
    assert interval_sql(length) == literal


def test_statements() -> None:
    assert create_sql("trades", TRADES) == (
        "SELECT create_hypertable('trades', by_range('trade_ts', INTERVAL '3 days'), create_default_indexes => false)"
    )
    assert retention_sql("trades", timedelta(days=30)) == "SELECT sink.set_retention('trades', INTERVAL '30 days')"


def test_what_is_as_wanted_is_quiet() -> None:
    assert differences({"trades": TRADES}, {"trades": TRADES, "others": TRADES}) == []


def test_changes_come_with_what_takes_them_back() -> None:
    found = Hypertable(time="trade_ts", chunk=timedelta(days=1), retain=None)
    chunk, retention = differences({"trades": TRADES}, {"trades": found})
    assert chunk.sql == "SELECT set_chunk_time_interval('trades', INTERVAL '3 days')"
    assert chunk.reverse().sql == "SELECT set_chunk_time_interval('trades', INTERVAL '1 days')"
    assert retention.sql == "SELECT sink.set_retention('trades', INTERVAL '30 days')"
    assert retention.reverse().sql == "SELECT sink.set_retention('trades', NULL)"
    assert retention.reverse().reverse().sql == retention.sql


def test_a_horizon_of_the_columnstore_is_compared_where_it_is_on() -> None:
    """Whether it is on is the operator's choice, so neither state is a difference; the horizon is the model's."""
    want = replace(TRADES, columnstore=timedelta(days=7))
    assert differences({"trades": want}, {"trades": TRADES}) == []
    assert differences({"trades": TRADES}, {"trades": want}) == []
    (changed,) = differences({"trades": want}, {"trades": replace(want, columnstore=timedelta(days=2))})
    assert changed.finding.startswith("chunks of trades turn into columnstore after 2 days")
    assert "INTERVAL '7 days'" in changed.sql
    assert changed.reverse().sql == changed.sql.replace("'7 days'", "'2 days'")


def test_a_plain_table_is_converted_with_its_rows() -> None:
    convert, retention = differences({"trades": TRADES}, {})
    assert "migrate_data => true" in convert.sql
    assert convert.reverse().sql == ""
    assert retention.sql == retention_sql("trades", TRADES.retain)


def test_schemas_and_tables_of_others_are_left_alone() -> None:
    assert include_name(None, "schema", {})
    assert include_name("sink", "schema", {})
    assert not include_name("_timescaledb_internal", "schema", {})
    metadata = MetaData()
    assert not include_object(Table("notes", metadata), "notes", "table", True, None)
    assert include_object(Table("stray", metadata, schema="sink"), "stray", "table", True, None)
    assert include_object(Trade.__table__, "trades", "table", False, None)


def test_layout_of_nothing() -> None:
    assert laid_out(None) == "    pass"


def test_layout_breaks_long_calls_as_ruff_does() -> None:
    name = "x" * 50
    source = f"# comment\nop.create_table('{name}',\nsa.Column('a', sa.Text(), nullable=False),\nschema='sink'\n)"
    assert laid_out(source) == (
        f'    op.create_table(\n        "{name}", sa.Column("a", sa.Text(), nullable=False), schema="sink"\n    )'
    )


def test_layout_cuts_long_sql_after_a_comma() -> None:
    names = [f"'{letter * 40}'" for letter in "abc"]
    sql = f"SELECT f({', '.join(names)})"
    assert laid_out(f"op.execute({sql!r})") == (
        f'    op.execute(\n        "SELECT f({names[0]}, {names[1]},"\n        " {names[2]})"\n    )'
    )
