"""Migrations on a real server: there and back, again, at once, and equal to the models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from sink.db import migrating
from sink.db.environment import LOCK
from sink.errors import DefinitionError, TransientError
from tests.fix_database import REPOSITORY, plain_engine
from tests.process import run, start

FOLDER = REPOSITORY / "migrations"
LEFT = """
    SELECT 'schema ' || nspname FROM pg_namespace
    WHERE nspname !~ '^(pg_|information_schema$|_timescaledb|timescaledb_|public$)'
    UNION ALL
    SELECT 'relation ' || CAST(c.oid AS regclass) FROM pg_class c
    WHERE c.relnamespace = to_regnamespace('public')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'function ' || CAST(p.oid AS regprocedure) FROM pg_proc p
    WHERE p.pronamespace = to_regnamespace('public')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'hypertable ' || table_name FROM _timescaledb_catalog.hypertable
    ORDER BY 1
"""
COLLATIONS = """
    SELECT c.relname, l.collname FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid JOIN pg_collation l ON l.oid = a.attcollation
    WHERE a.attname = 'symbol' AND c.relkind = 'r' AND c.relnamespace = to_regnamespace('public') ORDER BY 1
"""
FUNCTIONS = """
    SELECT CAST(CAST(p.oid AS regprocedure) AS text) AS signature, p.prosrc
    FROM pg_proc p WHERE p.pronamespace = to_regnamespace('sink')
"""
ROWS = """
    INSERT INTO candles_1m (symbol, bucket_start, open, high, low, close, volume)
    SELECT 'BTCUSDT', day, 1, 1, 1, 1, 1 FROM generate_series(now() - INTERVAL '60 days', now(), '1 day') AS day;
    INSERT INTO trades (symbol, trade_ts, trade_id, price, quantity, is_buyer_maker)
    SELECT 'BTCUSDT', day, 1, 1, 1, true FROM generate_series(now() - INTERVAL '20 days', now(), '1 day') AS day;
    INSERT INTO oi_snapshots (symbol, snapshot_ts, open_interest) VALUES ('BTCUSDT', now(), 1);
    INSERT INTO funding (symbol, funding_ts, funding_rate) VALUES ('BTCUSDT', now(), 1)
"""


@pytest.fixture
def empty_engine(empty_database_url: str) -> Iterator[Engine]:
    engine = plain_engine(empty_database_url)
    yield engine
    engine.dispose()


def quiet(_sentence: str) -> None:
    """Take a report that the test does not look at."""


def left(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [row[0] for row in connection.execute(text(LEFT))]


def change(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_alembic_goes_up_and_back_and_up_again(empty_database_url: str, empty_engine: Engine) -> None:
    """`alembic` finds its database by -x db_url and by DATABASE_URL, and leaves only its own, empty table behind."""
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    up = run(["alembic", "-x", f"db_url={empty_database_url}", "upgrade", "head"], database_url=nowhere)
    assert up.returncode == 0, up.stderr
    change(empty_engine, *ROWS.split(";"))
    down = run(["alembic", "downgrade", "base"], database_url=empty_database_url)
    assert down.returncode == 0, down.stderr
    assert left(empty_engine) == ["relation alembic_version", "relation alembic_version_pkc"]
    reported: list[str] = []
    migrating.upgrade(empty_database_url, FOLDER, reported.append)
    assert any(sentence.startswith("applied 0001") for sentence in reported)
    migrating.check(empty_database_url, FOLDER)


def test_symbols_are_compared_by_bytes_where_that_costs_nothing(empty_database_url: str, empty_engine: Engine) -> None:
    """A table that has rows would be locked while its primary key is built anew: whoever may do that says when."""
    before = run(["alembic", "upgrade", "0005"], database_url=empty_database_url)
    assert before.returncode == 0, before.stderr
    change(empty_engine, "INSERT INTO funding (symbol, funding_ts, funding_rate) VALUES ('BTCUSDT', now(), 1)")
    migrating.upgrade(empty_database_url, FOLDER, quiet)
    with empty_engine.connect() as connection:
        found = connection.execute(text(COLLATIONS)).all()
    assert [tuple(row) for row in found] == [
        ("candles_1m", "C"),
        ("funding", "default"),
        ("oi_snapshots", "C"),
        ("trades", "C"),
    ]


def test_alembic_check_is_empty_on_a_live_database(database_url: str, engine: Engine) -> None:
    change(engine, *ROWS.split(";"))
    checked = run(["alembic", "check"], database_url=database_url)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "No new upgrade operations detected" in checked.stdout


def functions(engine: Engine) -> dict[str, str]:
    """Give the texts of the sink's functions by their signatures."""
    with engine.connect() as connection:
        return {row.signature: row.prosrc for row in connection.execute(text(FUNCTIONS))}


def test_sql_makes_the_same_tables_and_functions(empty_database_url: str, empty_engine: Engine, engine: Engine) -> None:
    """What `sink migrate --sql` prints, run by hand, is a migrated database."""
    printed = run(["sink", "migrate", "--sql"], database_url="postgresql://nobody@127.0.0.1:1/nothing")
    assert printed.returncode == 0, printed.stderr
    with empty_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(printed.stdout)
    migrating.check(empty_database_url, FOLDER)
    assert functions(empty_engine) == functions(engine)


def test_tables_of_others_are_none_of_our_business(database_url: str, engine: Engine) -> None:
    change(engine, "CREATE TABLE notes (a int)", "CREATE SCHEMA other", "CREATE TABLE other.notes (a int)")
    migrating.check(database_url, FOLDER)


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("SELECT set_chunk_time_interval('trades', INTERVAL '1 day')", "trades has chunks of 1 day"),
        ("SELECT sink.set_retention('funding', INTERVAL '1 day')", "funding keeps rows for 1 day"),
        ("SELECT sink.set_retention('funding', NULL)", "funding keeps rows for ever"),
        ("ALTER TABLE trades DROP COLUMN side", "column trades.side is missing"),
        ("ALTER TABLE trades ALTER price TYPE numeric(20, 8)", "type of trades.price is"),
        ("ALTER TABLE trades ALTER price DROP NOT NULL", "nullable of trades.price is True"),
        ("ALTER TABLE trades ALTER source_offset SET DEFAULT 0", "default of trades.source_offset is"),
        ("DROP INDEX ix_trades_trade_ts", "missing index ix_trades_trade_ts on trades"),
        ("DROP TABLE sink.sinks", "table sink.sinks is missing"),
        ("CREATE TABLE sink.stray (a int)", "table sink.stray is in no model"),
    ],
)
def test_check_names_what_differs(database_url: str, engine: Engine, statement: str, finding: str) -> None:
    change(engine, statement)
    with pytest.raises(DefinitionError) as caught:
        migrating.check(database_url, FOLDER)
    assert finding in str(caught.value)


def test_a_plain_table_is_found(database_url: str, engine: Engine) -> None:
    """The revision says head, yet trades was restored without TimescaleDB."""
    change(
        engine,
        "CREATE TABLE copied (LIKE trades INCLUDING ALL)",
        "DROP TABLE trades",
        "ALTER TABLE copied RENAME TO trades",
    )
    with pytest.raises(DefinitionError, match="trades is a plain table, not a hypertable"):
        migrating.check(database_url, FOLDER)
    by_alembic = run(["alembic", "check"], database_url=database_url)
    assert by_alembic.returncode != 0
    assert "trades is a plain table, not a hypertable" in by_alembic.stdout + by_alembic.stderr


def test_two_upgrades_at_once_make_the_tables_once(empty_database_url: str) -> None:
    both = [start(["alembic", "upgrade", "head"], database_url=empty_database_url) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Running upgrade" in text for text in said) == 1, said


def test_a_second_upgrade_waits_and_says_so(database_url: str, engine: Engine) -> None:
    with engine.connect() as holder:
        holder.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
        waiting = start(["sink", "migrate"], database_url=database_url)
        assert waiting.stderr is not None
        first = waiting.stderr.readline()
        still_there = waiting.poll() is None
    said, _ = waiting.communicate(timeout=30)
    assert "another migration is running (process" in first
    assert still_there
    assert (waiting.returncode, said) == (0, "the tables are up to date\n")


def test_waiting_ends_and_names_the_holder(database_url: str, engine: Engine) -> None:
    with engine.connect() as holder:
        pid = holder.execute(text("SELECT pg_backend_pid(), pg_advisory_lock(:key)"), {"key": LOCK}).one()[0]
        with pytest.raises(TransientError, match=f"still runs after 0.1 seconds: process {pid} of user"):
            migrating.upgrade(database_url, FOLDER, quiet, wait=0.1)
