"""The SQL of the columnstore, as text; tests/integration/db/test_columnstore.py has the server read it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sink.db.columnstore import all_statements, statements, switch_of
from sink.db.hypertables import Hypertable, hypertable_of
from sink.db.models import Base, Trade, table_of
from sink.errors import ConfigError

TRADES = table_of(Trade)
OPTIONS = Hypertable(time="trade_ts", chunk=timedelta(days=3), retain=timedelta(days=30), columnstore=timedelta(days=7))


def test_chunks_are_segmented_by_symbol_and_ordered_by_time() -> None:
    """With the whole key in the two lists: an upsert then finds the few rows it may collide with."""
    alter, *policy = statements(TRADES, OPTIONS, "on")
    assert alter == (
        "ALTER TABLE public.trades SET (timescaledb.enable_columnstore = true, timescaledb.segmentby = 'symbol',"
        " timescaledb.orderby = 'trade_ts DESC, trade_id DESC')"
    )
    assert policy == [
        "CALL remove_columnstore_policy('public.trades', if_exists => true)",
        "CALL add_columnstore_policy('public.trades', after => INTERVAL '7 days')",
    ]


def test_off_removes_the_policy_alone() -> None:
    """What is in the columnstore stays there, and can still be written to."""
    assert statements(TRADES, OPTIONS, "off") == ["CALL remove_columnstore_policy('public.trades', if_exists => true)"]


def test_a_model_without_a_horizon_is_left_alone() -> None:
    assert statements(TRADES, replace(OPTIONS, columnstore=None), "on") == []


def test_every_horizon_lies_between_two_chunks_and_retention() -> None:
    """Rows may be late by at least a chunk, and what is about to be dropped is not turned first."""
    for table in Base.metadata.sorted_tables:
        options = hypertable_of(table)
        if options is not None and options.columnstore is not None and options.retain is not None:
            assert 2 * options.chunk <= options.columnstore <= options.retain / 2, table.name
    assert len(all_statements("on")) == 3 * 4


@pytest.mark.parametrize("chosen", ["yes", "true", ""])
def test_neither_on_nor_off_is_refused(chosen: str) -> None:
    with pytest.raises(ConfigError, match="neither on nor off"):
        switch_of(chosen)
