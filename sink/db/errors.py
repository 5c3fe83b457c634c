"""Translate what the database driver raises into the sink's errors, by class or SQLSTATE, with the next step."""

from __future__ import annotations

import socket

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from sink.errors import ConfigError, DefinitionError, SinkError, TransientError

PROBE_TIMEOUT = 5
"""Seconds that each step of finding out why a connection failed may take."""


def parse_url(text: str) -> URL:
    """Read a database URL; ``postgresql://`` and ``postgres://`` mean the psycopg driver.

    Raises ConfigError; its message never shows the URL, which may hold a password.
    """
    example = "postgresql+psycopg://USER:PASSWORD@HOST:5432/DATABASE"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"the database URL cannot be read; it must look like {example}, with special characters of the"
            " password percent-encoded"
        ) from None
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername != "postgresql+psycopg":
        raise ConfigError(f"the database URL names the driver {url.drivername}; it must look like {example}")
    if not url.database:
        raise ConfigError(f"the database URL names no database; it must look like {example}")
    return url


def shown(url: URL) -> str:
    """Name a database for people: host, port and name, never user or password."""
    return f"{url.database} on {url.host or 'the local socket'}:{url.port or 5432}"


def sqlstate_of(error: SQLAlchemyError | psycopg.Error) -> str | None:
    """Give the SQLSTATE of an error, or None where the server said none (for example when it is not there)."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return cause.sqlstate if isinstance(cause, psycopg.Error) else None


def translate(error: SQLAlchemyError | psycopg.Error) -> SinkError:
    """Make the sink's error of one that a statement raised; see :func:`explain_connect` for failing connections."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return SinkError(f"the database library failed: {type(error).__name__}")
    state = cause.sqlstate
    said = cause.diag.message_primary or type(cause).__name__
    if state is None:
        if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
            return TransientError("the connection to the database was lost; the same call may succeed later")
        if isinstance(cause, psycopg.ProgrammingError):
            return ConfigError("the database URL has an option that the driver does not know; see its part after '?'")
        return SinkError(f"the database library failed: {type(cause).__name__}")
    for prefix, kind, sentence in _STATES:
        if state.startswith(prefix):
            return kind(sentence.format(said=said, state=state), sqlstate=state)
    return SinkError(f"the database refused: {said} (SQLSTATE {state})", sqlstate=state)


_RETRY = "; the same call may succeed later"
_STATES: tuple[tuple[str, type[SinkError], str], ...] = (
    ("42501", DefinitionError, "missing privilege: {said}; have an administrator run deploy/roles.sql on the database"),
    ("42P01", DefinitionError, "{said}; make the tables with: sink migrate"),
    ("42703", DefinitionError, "{said}; bring the tables up to date with: sink migrate"),
    ("3F000", DefinitionError, "{said}; make the schema with: sink migrate"),
    ("58P01", DefinitionError, "{said}; server and extension differ: ALTER EXTENSION timescaledb UPDATE may mend it"),
    ("28", ConfigError, "the database refused the login: {said}; check user and password of DATABASE_URL"),
    ("3D000", ConfigError, "{said}; make the database with: createdb"),
    ("55P03", TransientError, "a lock was not to be had in time: another session uses the table" + _RETRY),
    ("57014", TransientError, "the statement took longer than allowed: {said}" + _RETRY),
    ("25P04", TransientError, "the transaction took longer than allowed: {said}" + _RETRY),
    ("25006", TransientError, "the server takes no writes (a standby, or failing over): {said}" + _RETRY),
    ("08", TransientError, "the connection to the database failed: {said}" + _RETRY),
    ("40", TransientError, "another transaction got in the way: {said}" + _RETRY),
    ("53400", TransientError, "the server's limit for one statement is reached: {said}" + _RETRY),
    ("53", TransientError, "the server is short of resources: {said}" + _RETRY),
    ("57P", TransientError, "the server is stopping or starting: {said}" + _RETRY),
    ("25P03", TransientError, "the server ended an idle transaction: {said}" + _RETRY),
    ("0A", DefinitionError, "the server does not support this: {said}"),
    ("42", DefinitionError, "the database is not as the sink needs it: {said}; compare with: sink migrate --check"),
)


def explain_connect(url: URL, error: DBAPIError | psycopg.Error) -> SinkError:
    """Find out why no connection to ``url`` came about; ConfigError where only a person can mend it.

    The driver gives no SQLSTATE for a failed login, so this looks step by step: does the name resolve, does the port
    answer, does the server take connections, does the same login reach the maintenance database.
    """
    if sqlstate_of(error) is not None:  # it came about, and its first statement failed
        return translate(error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.ProgrammingError):  # an option that the driver does not know
        return translate(error)
    away = _unreachable(url)
    if away is None and isinstance(cause, psycopg.errors.ConnectionTimeout):
        away = TransientError(f"the database server of {shown(url)} does not answer" + _RETRY)
    said = str(cause).strip().rpartition("\n")[2].rpartition("failed: ")[2]
    away = away or _not_taking_connections(url, said)
    if away is not None:
        return away
    if url.database != "postgres" and _exists(url) is False:
        port = f" -p {url.port}" if url.port else ""
        host = f" -h {url.host}" if url.host else ""
        user = f" -U {url.username}" if url.username else ""
        return ConfigError(
            f"there is no database {shown(url)}; make it with: createdb{host}{port}{user} {url.database}"
        )
    return ConfigError(
        f"the server refused {url.username or 'the default user'} at {shown(url)} ({said}); check user, password and"
        " options of DATABASE_URL, and that pg_hba.conf lets this host in"
    )


def _unreachable(url: URL) -> SinkError | None:
    if not url.host or url.host.startswith("/"):
        return None
    try:
        socket.create_connection((url.host, url.port or 5432), timeout=PROBE_TIMEOUT).close()
    except socket.gaierror:
        return TransientError(f"the host name {url.host} is unknown; check DATABASE_URL, or the name service")
    except OSError:
        return TransientError(
            f"no database server answers at {url.host}:{url.port or 5432}; start it (for development: sink stack up),"
            " or correct host and port in DATABASE_URL"
        )
    return None


def _not_taking_connections(url: URL, said: str) -> SinkError | None:
    """Tell a server that starts or stops from one that refuses us; libpq knows, but says it only when asked."""
    answer = pq.PGconn.ping(make_conninfo(_plain(url), connect_timeout=PROBE_TIMEOUT).encode())
    if answer == pq.Ping.OK:
        return None
    if answer == pq.Ping.REJECT:
        return TransientError(f"the database server of {shown(url)} is starting or stopping" + _RETRY)
    # the port answers, and yet they do not understand each other: TLS, a certificate, something else on this port
    return TransientError(f"no connection with the database server of {shown(url)} comes about ({said})" + _RETRY)


def _exists(url: URL) -> bool | None:
    """Tell whether the database exists; None where the login is refused as well."""
    try:
        with psycopg.connect(_plain(url.set(database="postgres")), connect_timeout=PROBE_TIMEOUT) as connection:
            row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [url.database]).fetchone()
            return row is not None
    except psycopg.Error:
        return None


def _plain(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
