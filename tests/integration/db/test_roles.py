"""deploy/roles.sql: each role can do its work and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from sink.db.hypertables import is_community
from tests.fix_database import in_database, migrate, plain_engine, prepare_roles

TRADE = "INSERT INTO trades (symbol, trade_ts, trade_id, price, quantity, is_buyer_maker)"
NOW_TRADE = f"{TRADE} VALUES ('BTCUSDT', now(), 1, 1, 1, true)"


@pytest.fixture
def writer(writer_url: str) -> Iterator[Engine]:
    engine = plain_engine(writer_url)
    yield engine
    engine.dispose()


@pytest.fixture
def reader(database_url: str) -> Iterator[Engine]:
    name = make_url(database_url).database
    assert name is not None
    engine = plain_engine(in_database(database_url, name, user="sink_reader"))
    yield engine
    engine.dispose()


def chunks(engine: Engine) -> int:
    with engine.connect() as connection:
        return len(connection.execute(text("SELECT show_chunks('trades')")).all())


def refused(engine: Engine, statement: str) -> bool:
    """Tell whether the statement fails for want of a privilege."""
    with engine.connect() as connection:
        try:
            connection.execute(text(statement))
        except ProgrammingError as error:
            return getattr(error.orig, "sqlstate", None) == "42501"
        return False


def test_everything_belongs_to_the_owner(engine: Engine) -> None:
    """Migrated as sink_migrator, nothing is the migrator's own."""
    with engine.connect() as connection:
        owners = connection.scalars(
            text(
                "SELECT tableowner FROM pg_tables WHERE schemaname IN ('public', 'sink')"
                " UNION SELECT CAST(CAST(proowner AS regrole) AS text) FROM pg_proc"
                " WHERE CAST(pronamespace AS regnamespace) = CAST('sink' AS regnamespace)"
            )
        ).all()
    assert owners == ["sink_owner"]


def test_the_owner_may_log_in_where_policies_run_as_it(engine: Engine) -> None:
    """TimescaleDB refuses a policy on a table whose owner may not; without policies nobody needs to."""
    with engine.connect() as connection:
        may = connection.scalar(text("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'sink_owner'"))
        assert may == is_community(connection)


def test_writer_inserts_and_updates_across_a_new_chunk(writer: Engine, engine: Engine) -> None:
    assert chunks(engine) == 0
    with writer.begin() as connection:
        connection.execute(text(NOW_TRADE))
        connection.execute(text("UPDATE trades SET price = 2"))
        assert connection.execute(text("SELECT price FROM trades")).scalar_one() == 2
    assert chunks(engine) == 1


def test_writer_makes_temporary_tables(writer: Engine) -> None:
    with writer.begin() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE staging (LIKE trades) ON COMMIT DROP"))
        connection.execute(text("INSERT INTO staging SELECT * FROM trades"))


def test_writer_prunes_the_bookkeeping(writer: Engine) -> None:
    with writer.begin() as connection:
        for table in ("positions", "flushes", "quarantine", "sinks"):
            connection.execute(text(f"DELETE FROM sink.{table}"))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM trades",
        "TRUNCATE trades",
        "CREATE TABLE public.mine (a int)",
        "CREATE SCHEMA mine",
        "SELECT drop_chunks('trades', older_than => now())",
        "SELECT sink.set_retention('trades', INTERVAL '1 day')",
        "UPDATE sink.retention SET drop_after = INTERVAL '1 second'",
        "DELETE FROM sink.retention",
        "UPDATE alembic_version SET version_num = 'x'",
    ],
)
def test_writer_may_not(writer: Engine, engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(NOW_TRADE))
    assert refused(writer, statement)


def test_reader_reads_and_nothing_else(reader: Engine, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(NOW_TRADE))
    with reader.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM trades")).scalar_one() == 1
        assert connection.execute(text("SELECT count(*) FROM sink.positions")).scalar_one() == 0
    assert refused(reader, NOW_TRADE)
    assert refused(reader, "UPDATE trades SET price = 2")
    assert refused(reader, "DELETE FROM sink.positions")
    assert refused(reader, "SELECT sink.drop_expired_chunks()")
    assert refused(reader, "SELECT sink.drop_expired_chunks('trades')")


def test_later_tables_are_covered(writer: Engine, engine: Engine) -> None:
    """A dataset added by a later migration needs no grant of its own."""
    with engine.begin() as connection:
        connection.execute(text("SET ROLE sink_owner"))
        connection.execute(text("CREATE TABLE public.liquidations (symbol text)"))
        connection.execute(text("CREATE TABLE sink.later (a int)"))
    with writer.begin() as connection:
        connection.execute(text("INSERT INTO liquidations VALUES ('BTCUSDT')"))
        connection.execute(text("DELETE FROM sink.later"))
    assert refused(writer, "DELETE FROM liquidations")


def test_roles_after_a_migration_by_the_administrator(empty_database_url: str) -> None:
    """A database that was migrated as postgres becomes the owner's, and twice running the file changes nothing."""
    url = make_url(empty_database_url)
    migrate(url)
    prepare_roles(url)
    prepare_roles(url)
    assert url.database is not None
    writer = plain_engine(in_database(empty_database_url, url.database, user="sink_writer"))
    with writer.begin() as connection:
        connection.execute(text(NOW_TRADE))
        connection.execute(text("DELETE FROM sink.flushes"))
        connection.execute(text("SELECT sink.drop_expired_chunks()"))
        connection.execute(text("SELECT sink.drop_expired_chunks('trades')"))
    assert refused(writer, "DELETE FROM trades")
    assert refused(writer, "UPDATE sink.retention SET drop_after = INTERVAL '1 second'")
    migrator = plain_engine(in_database(empty_database_url, url.database, user="sink_migrator"))
    with migrator.begin() as connection:
        assert connection.execute(text("SELECT current_user")).scalar_one() == "sink_owner"
        connection.execute(text("SELECT sink.set_retention('trades', INTERVAL '31 days')"))
