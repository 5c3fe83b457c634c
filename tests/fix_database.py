"""Fixtures: a database per test, cloned from a migrated template that is made once per server and schema."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

REPOSITORY = Path(__file__).parent.parent
ROLES = REPOSITORY / "deploy" / "roles.sql"
LOGINS = ("sink_migrator", "sink_writer", "sink_reader")
MAKING = "sink test template"
"""Name of the advisory lock under which templates and roles are made, in the server's maintenance database."""


def plain_engine(url: URL | str) -> Engine:
    """Give an engine that closes each connection after use, so that databases can be dropped."""
    return create_engine(url, poolclass=NullPool)


@contextmanager
def administrator(server: str) -> Iterator[Connection]:
    """Connect to the server's own database outside of any transaction, as databases are made and dropped."""
    with plain_engine(server).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


def in_database(server: str, database: str, *, user: str | None = None) -> URL:
    """Name a database on the server, for the administrator or for one of the roles, whose password is its name."""
    url = make_url(server).set(database=database)
    return url if user is None else url.set(username=user, password=user)


def migrate(url: URL, revision: str = "head") -> None:
    """Upgrade a database with the repository's own migrations."""
    config = Config()
    config.set_main_option("script_location", str(REPOSITORY / "migrations"))
    config.attributes["database_url"] = url.render_as_string(hide_password=False)
    command.upgrade(config, revision)


def prepare_roles(url: URL) -> None:
    """Run deploy/roles.sql in a database, and let the roles log in where the server asks for passwords."""
    with plain_engine(url).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(ROLES.read_text())
        for role in LOGINS:
            # a role that has a password already is someone's: leave it
            unset = text("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = :role")
            if connection.scalar(unset, {"role": role}):
                connection.execute(text(f"ALTER ROLE {role} PASSWORD '{role}'"))


def _content() -> str:
    """Name the present schema: a template is made again when anything it is made from changes."""
    environment = REPOSITORY / "sink" / "db" / "environment.py"
    sources = sorted([*REPOSITORY.glob("migrations/**/*.py"), environment, ROLES, Path(__file__).resolve()])
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def _make_template(server: str, name: str, connection: Connection) -> None:
    connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
    prepare_roles(in_database(server, name))
    migrate(in_database(server, name, user="sink_migrator"))
    with plain_engine(in_database(server, name)).begin() as inside:
        if inside.scalar(text("SHOW timescaledb.license")) == "timescale":
            # a policy runs seconds after it was made, and would drop the old rows of tests
            inside.execute(
                text(
                    "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs"
                    " WHERE proc_name = 'policy_retention'"
                )
            )
    # TimescaleDB's workers connect to every database, and a template with a connection cannot be cloned. The mark as
    # template comes last: it says that the template is whole.
    connection.execute(text(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"))
    connection.execute(
        text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
    )
    connection.execute(text(f"ALTER DATABASE {name} WITH IS_TEMPLATE true"))


def _drop_stale_templates(connection: Connection) -> None:
    """Drop the templates of former schemas that no session has used for a day; other checkouts may share the server."""
    stale = text(
        "SELECT datname FROM pg_database WHERE starts_with(datname, 'sink_template_') AND datistemplate"
        " AND CAST(shobj_description(oid, 'pg_database') AS timestamptz) < now() - INTERVAL '1 day'"
    )
    for name in connection.scalars(stale).all():
        connection.execute(text(f"ALTER DATABASE {name} WITH IS_TEMPLATE false"))
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def template_database(server_database_url: str) -> str:
    """Name of a migrated database that tests clone; workers and later runs share it."""
    return template_of(server_database_url)


def template_of(server_database_url: str) -> str:
    """Give the name of a server's template, which is made unless it is there."""
    name = f"sink_template_{_content()}"
    with administrator(server_database_url) as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtextextended(:key, 0))"), {"key": MAKING})
        whole = text("SELECT datistemplate FROM pg_database WHERE datname = :name")
        if not connection.scalar(whole, {"name": name}):
            _drop_stale_templates(connection)
            _make_template(server_database_url, name, connection)
        used = connection.execute(text("SELECT CAST(now() AS text)")).scalar_one()
        connection.execute(text(f"COMMENT ON DATABASE {name} IS '{used}'"))
    return name


@contextmanager
def temporary_database(server: str, *, template: str = "template0") -> Iterator[URL]:
    """Make a database of a unique name and drop it afterwards, whoever is still connected.

    Never from template1: TimescaleDB's workers visit it, and a database with a visitor cannot be copied.
    """
    name = f"sink_test_{uuid4().hex[:12]}"
    with administrator(server) as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield in_database(server, name)
    finally:
        with administrator(server) as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@pytest.fixture
def empty_database_url(server_database_url: str) -> Iterator[str]:
    """URL of a database with nothing in it, not even the extension, as the server's administrator."""
    with temporary_database(server_database_url) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def database_url(server_database_url: str, template_database: str) -> Iterator[str]:
    """URL of this test's own migrated database, as the server's administrator."""
    with temporary_database(server_database_url, template=template_database) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def writer_url(database_url: str) -> str:
    """URL of this test's own migrated database, as sink_writer, which is how the sink runs in production."""
    url = make_url(database_url)
    assert url.database is not None
    return in_database(database_url, url.database, user="sink_writer").render_as_string(hide_password=False)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Engine of this test's own migrated database, as the server's administrator."""
    engine = plain_engine(database_url)
    yield engine
    engine.dispose()
