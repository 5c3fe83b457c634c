"""The newest-wins SQL: what is written, what is replaced, what never changes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import BigInteger, Column, DateTime, MetaData, Numeric, Table, Text, func

from sink.db.upsert import drop_known, flushed_columns, upsert_arrays, upsert_stage


@pytest.fixture
def table() -> Table:
    return Table(
        "ticks",
        MetaData(),
        Column("symbol", Text, primary_key=True),
        Column("at", DateTime(timezone=True), primary_key=True),
        Column("price", Numeric(38, 18), nullable=False),
        Column("note", Text),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("observed_at", DateTime(timezone=True), nullable=False),
        Column("source_partition", BigInteger, nullable=False),
        Column("source_offset", BigInteger, nullable=False),
    )


def test_a_flush_writes_every_column_but_created_at(table: Table) -> None:
    assert flushed_columns(table) == [
        "symbol", "at", "price", "note", "observed_at", "source_partition", "source_offset",
    ]  # fmt: skip


def test_a_flush_replaces_whole_rows_by_strictly_greater_tuples(table: Table) -> None:
    columns = '"symbol", "at", "price", "note", "observed_at", "source_partition", "source_offset"'

    assert upsert_stage(table, "stage").as_string() == (
        f'INSERT INTO "ticks" AS stored ({columns}) SELECT {columns} FROM "stage" ON CONFLICT ("symbol", "at") '
        'DO UPDATE SET "price" = EXCLUDED."price", "note" = EXCLUDED."note", "observed_at" = EXCLUDED."observed_at", '
        '"source_partition" = EXCLUDED."source_partition", "source_offset" = EXCLUDED."source_offset" '
        'WHERE (EXCLUDED."observed_at", EXCLUDED."source_offset", EXCLUDED."source_partition") > '
        '(stored."observed_at", stored."source_offset", stored."source_partition")'
    )


def test_what_is_known_already_is_told_by_key_and_order_tuple_within_the_times_of_the_stage(table: Table) -> None:
    first, last = datetime(2026, 6, 2, 12, tzinfo=UTC), datetime(2026, 6, 2, 13, tzinfo=UTC)

    _, delete, *_ = drop_known(table, "stage", "at", first, last).as_string().split("; ")

    assert delete == (
        'DELETE FROM "stage" AS incoming USING "ticks" AS stored WHERE stored."symbol" = incoming."symbol" AND '
        'stored."at" = incoming."at" AND stored."at" BETWEEN \'2026-06-02 12:00:00+00:00\'::timestamptz AND '
        "'2026-06-02 13:00:00+00:00'::timestamptz AND "
        '(stored."observed_at", stored."source_offset", stored."source_partition") >= '
        '(incoming."observed_at", incoming."source_offset", incoming."source_partition")'
    )


def test_the_repository_keeps_what_is_null_and_resets_the_lineage(table: Table) -> None:
    assert upsert_arrays(table, ["symbol", "at", "price", "note", "observed_at"], kept=["note"]).as_string() == (
        'INSERT INTO "ticks" AS stored ("symbol", "at", "price", "note", "observed_at") '
        'SELECT "symbol", "at", "price", "note", "observed_at" '
        "FROM unnest(%b::TEXT[], %b::TIMESTAMP WITH TIME ZONE[], %b::text[]::NUMERIC(38, 18)[], %b::TEXT[], "
        '%b::TIMESTAMP WITH TIME ZONE[]) AS source ("symbol", "at", "price", "note", "observed_at") '
        'ON CONFLICT ("symbol", "at") DO UPDATE SET "price" = EXCLUDED."price", '
        '"note" = COALESCE(EXCLUDED."note", stored."note"), "observed_at" = EXCLUDED."observed_at", '
        '"source_partition" = EXCLUDED."source_partition", "source_offset" = EXCLUDED."source_offset" '
        'WHERE (EXCLUDED."observed_at", EXCLUDED."source_offset", EXCLUDED."source_partition") >= '
        '(stored."observed_at", stored."source_offset", stored."source_partition")'
    )


def test_names_are_quoted_not_pasted(table: Table) -> None:
    statement = upsert_stage(table, 'stage"; DROP TABLE ticks; --').as_string()

    assert 'FROM "stage""; DROP TABLE ticks; --" ON CONFLICT' in statement


def test_a_table_of_another_schema_is_named_in_full(table: Table) -> None:
    elsewhere = table.to_metadata(MetaData(), schema="other")

    assert upsert_stage(elsewhere, "stage").as_string().startswith('INSERT INTO "other"."ticks" AS stored (')
