"""The columnstore as an option of migrations, on a real server of either edition."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from sink.db import migrating
from sink.db.columnstore import all_statements
from sink.db.errors import sqlstate_of
from sink.db.hypertables import columnstore_sql, hypertable_of, read_hypertables
from sink.db.models import Base
from sink.errors import DefinitionError
from tests.fix_database import REPOSITORY
from tests.process import run

FOLDER = REPOSITORY / "migrations"
LICENSE = "0A000"


def state_of(engine: Engine, statement: str) -> str | None:
    """Give the SQLSTATE with which the server refuses a statement."""
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    except DBAPIError as error:
        return sqlstate_of(error)
    return None


@pytest.mark.needs_apache
@pytest.mark.parametrize("statement", dict.fromkeys([*all_statements("on"), *all_statements("off")]))
def test_the_server_knows_every_statement(engine: Engine, statement: str) -> None:
    """The Apache-2 edition has all names and arguments, and refuses for its license alone, a wrong name otherwise."""
    assert state_of(engine, statement) == LICENSE
    for right, wrong in (("_columnstore", "_colunmstore"), ("after =>", "aftr =>"), ("if_exists", "if_exist")):
        if right in statement:
            assert state_of(engine, statement.replace(right, wrong)) in ("22023", "42883")


@pytest.mark.needs_apache
def test_where_there_is_none_that_is_said_and_nothing_done(database_url: str, engine: Engine) -> None:
    said: list[str] = []
    migrating.upgrade(database_url, FOLDER, said.append, columnstore="on")
    assert "Apache-2 edition" in said[-1]
    migrating.check(database_url, FOLDER)
    in_a_migration = columnstore_sql("trades", timedelta(days=3))
    assert state_of(engine, in_a_migration) is None


def test_both_commands_take_the_option(database_url: str) -> None:
    for command in (
        ["sink", "migrate", "--columnstore", "off"],
        ["alembic", "-x", "columnstore=off", "upgrade", "head"],
    ):
        done = run(command, database_url=database_url)
        assert done.returncode == 0, done.stderr
        assert "columnstore: " in done.stderr
    wrong = run(["alembic", "-x", "columnstore=maybe", "upgrade", "head"], database_url=database_url)
    assert wrong.returncode == 2
    assert "columnstore=maybe is neither on nor off" in wrong.stderr


def test_the_script_for_psql_has_it_too() -> None:
    printed = run(["sink", "migrate", "--sql", "--columnstore", "on"], database_url="postgresql://u@127.0.0.1:1/x")
    assert printed.returncode == 0, printed.stderr
    for statement in all_statements("on"):
        assert statement in printed.stdout


@pytest.mark.needs_community
def test_on_tuned_and_off(database_url: str, engine: Engine) -> None:
    """Never seen to run: no server of the community edition was at hand when it was written."""
    wanted = {
        table.name: options.columnstore for table in Base.metadata.sorted_tables if (options := hypertable_of(table))
    }
    for _ in range(2):
        migrating.upgrade(database_url, FOLDER, print, columnstore="on")
        with engine.connect() as connection:
            found = read_hypertables(connection)
        assert {name: one.columnstore for name, one in found.items()} == wanted
    migrating.check(database_url, FOLDER)
    with engine.begin() as connection:
        connection.execute(text(columnstore_sql("trades", timedelta(days=9))))
    with pytest.raises(DefinitionError, match="trades turn into columnstore after 9 days"):
        migrating.check(database_url, FOLDER)
    migrating.upgrade(database_url, FOLDER, print, columnstore="off")
    with engine.connect() as connection:
        assert {one.columnstore for one in read_hypertables(connection).values()} == {None}
