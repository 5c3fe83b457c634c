"""Retention on a real server: what is kept, what is dropped, and by whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from sink.db.hypertables import hypertable_of, is_community, read_hypertables
from sink.db.models import Base
from tests.fix_database import plain_engine

OLD_AND_NEW = (
    "INSERT INTO trades (symbol, trade_ts, trade_id, price, quantity, is_buyer_maker) VALUES"
    " ('OLD', now() - INTERVAL '60 days', 1, 1, 1, true), ('NEW', now(), 1, 1, 1, true)"
)
DROP = text("SELECT sink.drop_expired_chunks()")


def symbols(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT symbol FROM trades ORDER BY symbol")))


def test_the_database_has_what_the_models_say(engine: Engine) -> None:
    """Chunk intervals and retention as in the table reference, read back from the server."""
    with engine.connect() as connection:
        found = read_hypertables(connection)
    wanted = {table.name: options for table in Base.metadata.sorted_tables if (options := hypertable_of(table))}
    assert found == {name: replace(options, columnstore=None) for name, options in wanted.items()}, "off by default"
    assert {name: (one.chunk.days, one.retain and one.retain.days) for name, one in found.items()} == {
        "candles_1m": (7, 180),
        "trades": (3, 30),
        "oi_snapshots": (7, 120),
        "funding": (30, 365),
    }


@pytest.mark.needs_apache
def test_the_writer_drops_what_is_older_than_its_retention(engine: Engine, writer_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(OLD_AND_NEW))
    writer = plain_engine(writer_url)
    with writer.begin() as connection:
        dropped = connection.scalars(DROP).all()
        assert len(dropped) == 1
        assert dropped[0].startswith("_timescaledb_internal._hyper_")
        assert connection.scalars(DROP).all() == []
    with engine.connect() as connection:
        assert symbols(connection) == ["NEW"]


@pytest.mark.needs_apache
def test_one_session_at_a_time_drops(engine: Engine, writer_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(OLD_AND_NEW))
    writer = plain_engine(writer_url)
    with writer.connect() as first, writer.connect() as second:
        assert len(first.scalars(DROP).all()) == 1
        second.execute(text("SET lock_timeout = '2s'"))
        second.commit()
        assert second.scalars(DROP).all() == []
        first.rollback()
        assert len(second.scalars(DROP).all()) == 1


@pytest.mark.needs_apache
def test_only_what_has_a_retention_is_dropped(engine: Engine) -> None:
    """A dataset kept for ever keeps its chunks; a table that is gone or plain does not stop the others."""
    with engine.begin() as connection:
        connection.execute(text(OLD_AND_NEW))
        connection.execute(text("SELECT sink.set_retention('trades', NULL)"))
        connection.execute(text("CREATE TABLE plain (a int)"))
        connection.execute(text("INSERT INTO sink.retention VALUES ('gone', '1 day'), ('plain', '1 day')"))
        assert connection.scalars(DROP).all() == []
        connection.execute(text("SELECT sink.set_retention('trades', INTERVAL '50 days')"))
        assert len(connection.scalars(DROP).all()) == 1
        assert symbols(connection) == ["NEW"]


def test_functions_find_their_tables_whatever_the_search_path(engine: Engine) -> None:
    """Nobody can slip another `retention` or `trades` under a function that runs as the owner."""
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA evil"))
        connection.execute(text("CREATE TABLE evil.trades (a int)"))
        connection.execute(text("SET LOCAL search_path = evil"))
        connection.execute(text("SELECT sink.set_retention('public.trades', INTERVAL '31 days')"))
        kept = connection.execute(text("SELECT drop_after FROM sink.retention WHERE table_name = 'trades'"))
        assert kept.scalar_one() == timedelta(days=31)


@pytest.mark.needs_apache
def test_the_dropping_function_runs_in_its_own_search_path(engine: Engine, writer_url: str) -> None:
    """The writer calls it with the owner's rights, so the writer's search path must not matter."""
    with engine.begin() as connection:
        connection.execute(text(OLD_AND_NEW))
    with plain_engine(writer_url).begin() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE trades (a int)"))
        connection.execute(text("SET LOCAL search_path = pg_temp"))
        assert len(connection.scalars(DROP).all()) == 1


@pytest.mark.needs_community
def test_set_retention_replaces_the_policy(engine: Engine) -> None:
    """On the community edition TimescaleDB's own policy does it, and the function for Apache-2 stands back."""
    with engine.begin() as connection:
        assert is_community(connection)
        connection.execute(text(OLD_AND_NEW))
        for days in (31, 32):
            connection.execute(text(f"SELECT sink.set_retention('trades', INTERVAL '{days} days')"))
            retained = read_hypertables(connection)["trades"].retain
            assert retained == timedelta(days=days)
        assert connection.scalars(DROP).all() == []
        connection.execute(text("SELECT sink.set_retention('trades', NULL)"))
        assert read_hypertables(connection)["trades"].retain is None
