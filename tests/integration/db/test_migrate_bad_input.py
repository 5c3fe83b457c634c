"""Whatever is wrong with the database, both commands say it in a sentence, with the next step and its exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import make_url, text

from sink.db import migrating
from sink.db.target import revisions_in
from sink.errors import ConfigError, DefinitionError, SinkError
from tests.fix_database import REPOSITORY, in_database, plain_engine, prepare_roles
from tests.process import run

CANARY = "canary-password"
SINK = ("sink", "migrate")
ALEMBIC = ("alembic", "upgrade", "head")
FOLDER = REPOSITORY / "migrations"
HEAD = revisions_in(FOLDER).head
OFF = {"options": "-c timescaledb.disable_load=on"}


def execute(url: str, *statements: str) -> None:
    engine = plain_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))


def refuse_process(command: Sequence[str], url: str, *, code: int, says: Sequence[str]) -> None:
    """Expect one sentence on stderr, the exit code, and nothing that reveals the password."""
    ended = run(command, database_url=url)
    output = ended.stdout + ended.stderr
    assert ended.returncode == code, output
    assert "Traceback" not in output
    assert CANARY not in output
    sentence = next(line for line in ended.stderr.splitlines() if line.startswith("error: "))
    for part in says:
        assert part in sentence


def refuse(url: str, *, code: int, says: Sequence[str]) -> None:
    """Expect what `sink migrate` prints as it is and exits with."""
    with pytest.raises(SinkError) as caught:
        migrating.upgrade(url, FOLDER, print)
    assert caught.value.exit_code == code
    assert CANARY not in str(caught.value)
    for part in says:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        (f"postgresql://u:{CANARY}@127.0.0.1:1/x", 3, ["no database server answers at 127.0.0.1:1", "sink stack up"]),
        (f"postgresql://u:{CANARY}@nowhere.invalid/x", 3, ["host name nowhere.invalid is unknown"]),
        (f"u:{CANARY}@nowhere", 2, ["the database URL cannot be read", "postgresql+psycopg://"]),
        (f"mysql://u:{CANARY}@nowhere/x", 2, ["names the driver mysql"]),
        (f"postgresql://u:{CANARY}@127.0.0.1:1", 2, ["names no database"]),
    ],
)
def test_urls_that_lead_nowhere(url: str, code: int, says: Sequence[str]) -> None:
    refuse(url, code=code, says=says)


@pytest.mark.parametrize("command", [SINK, ALEMBIC])
def test_missing_database(server_database_url: str, command: Sequence[str]) -> None:
    url = in_database(server_database_url, "not_yet_made").render_as_string(hide_password=False)
    refuse_process(command, url, code=2, says=["there is no database not_yet_made", "createdb -h"])


@pytest.mark.parametrize("command", [SINK, ALEMBIC])
def test_server_away(command: Sequence[str]) -> None:
    refuse_process(command, f"postgresql://u:{CANARY}@127.0.0.1:1/x", code=3, says=["no database server answers"])


def test_login_refused(server_database_url: str) -> None:
    """A role that is not there stands for every refusal: the server's answer is what tells them apart."""
    url = make_url(server_database_url).set(username="sink_nobody", password=CANARY)
    refuse(url.render_as_string(hide_password=False), code=2, says=["refused sink_nobody", "pg_hba.conf"])


def test_option_that_the_driver_does_not_know(server_database_url: str) -> None:
    url = make_url(server_database_url).update_query_dict({"sslmod": "require"})
    refuse(url.render_as_string(hide_password=False), code=2, says=["an option that the driver does not know"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A database as others left it, and what is said of it."""

    make: Callable[[str], str]
    says: Sequence[str]
    code: int = 4


def _foreign_tables(url: str) -> str:
    execute(url, "CREATE TABLE trades (id int)", "CREATE TABLE funding (id int)", "INSERT INTO trades VALUES (1)")
    return url


def _other_alembic(url: str) -> str:
    execute(
        url,
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('f00f')",
    )
    return url


def _no_package(url: str) -> str:
    """Hide the package in the catalogue of this one database."""
    execute(
        url,
        "SET allow_system_table_mods = on",
        "CREATE OR REPLACE VIEW pg_catalog.pg_available_extensions AS SELECT e.name, e.default_version,"
        ' CAST(NULL AS text) COLLATE "C" AS installed_version, e.comment FROM pg_available_extensions() e WHERE false',
    )
    return url


def _old_version(url: str) -> str:
    execute(
        url,
        "CREATE EXTENSION timescaledb",
        "UPDATE pg_extension SET extversion = '2.9.1' WHERE extname = 'timescaledb'",
    )
    return make_url(url).update_query_dict(OFF).render_as_string(hide_password=False)


def _library_gone(url: str) -> str:
    """Have the extension of a version whose library the server no longer has."""
    execute(
        url,
        "CREATE EXTENSION timescaledb",
        "UPDATE pg_extension SET extversion = '2.9.1' WHERE extname = 'timescaledb'",
    )
    return url


def _as_writer(url: str) -> str:
    """Migrate as the writer of the running sink, which may not."""
    prepare_roles(make_url(url))
    execute(url, "DROP SCHEMA sink")
    return make_url(url).set(username="sink_writer", password="sink_writer").render_as_string(hide_password=False)


CASES = {
    "foreign tables": Case(
        make=_foreign_tables, says=["the sink did not make: funding, trades", "Nothing was changed", "createdb"]
    ),
    "newer or other": Case(make=_other_alembic, says=["revision f00f", "does not know", "database of its own"]),
    "no package": Case(make=_no_package, says=["has no TimescaleDB", "postgresql-17-timescaledb", "timescale/"]),
    "too old": Case(make=_old_version, says=["TimescaleDB 2.9.1 is too old", "2.13", "ALTER EXTENSION"]),
    "library gone": Case(make=_library_gone, says=["2.9.1", "ALTER EXTENSION timescaledb UPDATE"]),
    "no privilege": Case(make=_as_writer, says=["sink_writer may not make", "deploy/roles.sql", "GRANT CREATE ON"]),
}


@pytest.mark.parametrize("case", CASES)
def test_databases_that_are_not_ours_to_change(empty_database_url: str, case: str) -> None:
    refuse(CASES[case].make(empty_database_url), code=CASES[case].code, says=CASES[case].says)


@pytest.mark.parametrize("command", [SINK, ALEMBIC])
def test_tables_of_another_application_stay_untouched(empty_database_url: str, command: Sequence[str]) -> None:
    case = CASES["foreign tables"]
    refuse_process(command, case.make(empty_database_url), code=case.code, says=case.says)
    with plain_engine(empty_database_url).connect() as connection:
        assert connection.execute(text("SELECT * FROM trades")).all() == [(1,)]
        found = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"))
        assert found.all() == ["funding", "trades"]
        assert connection.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'")) == 0


def test_check_names_the_missing_migration(empty_database_url: str) -> None:
    with pytest.raises(DefinitionError, match=f"needs {HEAD}: run sink migrate"):
        migrating.check(empty_database_url, FOLDER)


def test_unknown_revision_is_refused_before_connecting() -> None:
    with pytest.raises(ConfigError, match=f"there is no revision f00f; the newest is {HEAD}"):
        migrating.upgrade("postgresql://u@127.0.0.1:1/x", FOLDER, print, revision="f00f")
