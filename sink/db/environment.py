"""Alembic's environment: one run at a time, with time-outs, after looking whether the database is ours."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from logging.config import fileConfig
from typing import Any

from alembic import context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from sink.db import columnstore
from sink.db.autogenerate import include_name, include_object, rewriter
from sink.db.connect import conninfo
from sink.db.errors import explain_connect, parse_url, sqlstate_of, translate
from sink.db.models import Base
from sink.db.preflight import (
    Report,
    judge_server,
    read_server,
    refuse_foreign_tables,
    refuse_missing_privileges,
    refuse_unknown_revisions,
)
from sink.db.target import OLDEST_CODE
from sink.errors import ConfigError, SinkError, TransientError
from sink.settings import load
from sink.transport import database_exposed

LOCK = int.from_bytes(b"sinkmigr", "big")
"""Key of the advisory lock that a migrating session holds, in the database it migrates."""
WAIT = 600
"""Seconds to wait for another migration."""
CHANGING = frozenset({"upgrade", "downgrade", "stamp"})
SESSION = (
    # Not "$user" first: a role called sink would otherwise get its tables into the schema of that name.
    # pg_temp last, for it is searched first where it is not named: the functions pin this path.
    "SET search_path = public, pg_temp",
    "SET lock_timeout = '10s'",
    "SET statement_timeout = '15min'",
    "SET client_min_messages = warning",
)
EXTENSION = "CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public"

_LOG = logging.getLogger("alembic.env")


def run_environment() -> None:
    """Do what ``migrations/env.py`` is for: run the present Alembic command against the chosen database.

    Under the ``alembic`` command an expected error ends the process with one sentence and its documented exit code;
    callers of the API (``sink migrate``) get the error itself.
    """
    config = context.config
    if config.config_file_name is not None and config.cmd_opts is not None:
        fileConfig(config.config_file_name, disable_existing_loggers=False)
    try:
        if context.is_offline_mode():
            _write_sql(config)
        else:
            _run_online(config)
    except SinkError as error:
        if config.cmd_opts is None:
            raise
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


def _url(config: Config) -> URL:
    chosen = context.get_x_argument(as_dictionary=True).get("db_url") or config.attributes.get("database_url")
    return parse_url(str(chosen or load().database_url.get_secret_value()))


def _command(config: Config) -> str:
    """Name the command; a caller of the API that names none is taken to change things."""
    if config.cmd_opts is not None:
        return str(config.cmd_opts.cmd[0].__name__)
    return str(config.attributes.get("command", "upgrade"))


def _wait(config: Config) -> float:
    chosen = context.get_x_argument(as_dictionary=True).get("wait") or config.attributes.get("wait", WAIT)
    try:
        return float(chosen)
    except ValueError:
        raise ConfigError(f"-x wait={chosen} is no number of seconds") from None


def _columnstore(config: Config) -> columnstore.Switch | None:
    chosen = context.get_x_argument(as_dictionary=True).get("columnstore") or config.attributes.get("columnstore")
    return columnstore.switch_of(None if chosen is None else str(chosen))


def _write_sql(config: Config) -> None:
    """Write a script for psql (``--sql``); what can only be checked on a live database is left to its reader."""
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # psycopg's own would double every % of a function's text
        target_metadata=Base.metadata,
        literal_binds=True,
        on_version_apply=_note_oldest_code,  # type: ignore[arg-type] # it is called by keyword
    )
    with context.begin_transaction():
        for statement in (*SESSION, EXTENSION):
            context.execute(statement)
        context.run_migrations()
        if (switch := _columnstore(config)) is not None:
            for statement in columnstore.all_statements(switch):
                context.execute(statement)


def _run_online(config: Config) -> None:
    command = _command(config)
    report: Report = config.attributes.get("report", _LOG.warning)
    url = _url(config)
    _warn_of_exposed(url, report)
    try:
        with _connected(url) as connection:
            for statement in SESSION:
                connection.execute(text(statement))
            connection.commit()
            if command in CHANGING:
                _lock(connection, wait=_wait(config), report=report)
            # Configured while no transaction is open, for Alembic leaves one that it finds to its caller.
            context.configure(connection=connection, target_metadata=Base.metadata, **_options(config))
            _check(connection, command, report)
            with context.begin_transaction():
                context.run_migrations()
            if command == "upgrade" and (switch := _columnstore(config)) is not None:
                columnstore.apply(connection, switch, report)
                connection.commit()
    except SQLAlchemyError as error:
        raise translate(error) from error


def _warn_of_exposed(url: URL, report: Report) -> None:
    """Say where the server is not verified: `sink run` refuses that, a migration of the moment need not."""
    exposed = database_exposed(conninfo(url.render_as_string(hide_password=False)), os.environ)
    if exposed is None:
        return
    with suppress(ConfigError):  # with -x db_url the settings are not looked at, and may be anything
        if load().allow_insecure_database:
            return
    report(f"warning: {exposed}")


def _options(config: Config) -> dict[str, Any]:
    return {
        "on_version_apply": [_note_oldest_code, *config.attributes.get("on_version_apply", ())],
        "include_schemas": True,
        "include_name": include_name,
        "include_object": include_object,
        "process_revision_directives": rewriter,
        "compare_type": True,
        "compare_server_default": True,
    }


def _note_oldest_code(*, ctx: MigrationContext, heads: Collection[str], **_rest: object) -> None:
    """Write into the database which code still runs on it, for that code has not heard of this revision.

    A revision says so itself (``oldest_code``); one that says nothing takes only code that knows it.
    """
    scripts = [context.script.get_revision(head) for head in sorted(heads)]
    oldest = ", ".join(getattr(script.module, "oldest_code", script.revision) for script in scripts)
    if scripts:
        comment = sql.SQL("COMMENT ON TABLE public.alembic_version IS {}").format(sql.Literal(OLDEST_CODE + oldest))
        ctx.execute(comment.as_string(None))


@contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    engine = create_engine(
        url, poolclass=NullPool, connect_args={"application_name": "sink migrate", "connect_timeout": 10}
    )
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise explain_connect(url, error) from error
    with connection:
        yield connection


def _check(connection: Connection, command: str, report: Report) -> None:
    """Look before touching; an upgrade also enables the extension."""
    heads = context.get_context().get_current_heads()
    refuse_unknown_revisions(heads, [script.revision for script in context.script.walk_revisions()])
    if command == "upgrade":
        server = read_server(connection)
        judge_server(server, report)
        if set(heads) != set(context.script.get_heads()):
            refuse_missing_privileges(server)
        if not heads:
            refuse_foreign_tables(connection, Base.metadata)
        connection.execute(text(EXTENSION))
    connection.commit()


def _lock(connection: Connection, *, wait: float, report: Report) -> None:
    """Hold the lock until the connection closes; wait for a session that has it, and say so."""
    if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        report(f"another migration is running ({_holder(connection)}); waiting up to {wait:g} seconds for it")
        try:
            connection.execute(
                text("SELECT set_config('lock_timeout', :limit, true), set_config('statement_timeout', '0', true)"),
                {"limit": f"{max(1, round(wait * 1000))}ms"},
            )
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
        except DBAPIError as error:
            if sqlstate_of(error) != "55P03":
                raise
            connection.rollback()
            raise TransientError(
                f"another migration still runs after {wait:g} seconds: {_holder(connection)}; try again when it has"
                " ended, or end its session with pg_terminate_backend"
            ) from error
    connection.commit()


def _holder(connection: Connection) -> str:
    row = connection.execute(_HOLDER, {"key": LOCK}).one_or_none()
    if row is None:
        return "it has just ended"
    return f"process {row.pid} of user {row.usename} from {row.client}, connected since {row.backend_start:%H:%M:%S}"


_HOLDER = text(
    """
    SELECT pid, usename, COALESCE(host(client_addr), 'the local socket') AS client, backend_start
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) = :key
      AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
)
