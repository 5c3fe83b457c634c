"""Opens the writer's own connection: to the primary, noticing a dead peer, with an end to every wait."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import structlog
from sqlalchemy import URL
from sqlalchemy.orm import Session

from sink.db.errors import explain_connect, parse_url, shown, translate
from sink.errors import ConfigError, RefusedError, SinkError, TransientError

log = structlog.get_logger(__name__)

_SECOND_LOOK = 5
"""Seconds for a connection that only tells a standby from a refusal."""


def conninfo(url: str) -> dict[str, object]:
    """Turn a SQLAlchemy URL, also one of several hosts, into psycopg's connection arguments.

    Raises ConfigError where it cannot be read.
    """
    parsed = parse_url(url)
    _, arguments = parsed.get_dialect()().create_connect_args(parsed)
    return dict(arguments)


def open_connection(url: str, *, application_name: str, connect_timeout: float = 10) -> psycopg.Connection:
    """Open a connection in autocommit mode to a server that takes writes.

    Keepalives and ``tcp_user_timeout`` bound how long a dead network holds us, see :func:`cut_after` for a server that
    is alive and silent; nothing is prepared, so that a transaction pooler may stand between. Raises TransientError
    where the server is away or a standby, RefusedError where it does not let us in.
    """
    parsed = parse_url(url)
    defaults: dict[str, object] = {
        "connect_timeout": max(2, int(connect_timeout)),
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "target_session_attrs": "read-write",
    }
    arguments = defaults | conninfo(url) | {"application_name": application_name}
    try:
        connection = psycopg.connect(**arguments, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]  # conninfo values
    except psycopg.Error as error:
        raise _refusal(parsed, arguments, error) from error
    connection.add_notice_handler(_told)
    try:
        with cut_after(connection, connect_timeout):
            row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    except psycopg.Error as error:
        connection.close()
        raise translate(error) from error
    if row == (True,):
        connection.close()
        raise TransientError("the database server is a standby; waiting for a primary")
    return connection


@contextmanager
def cut_after(connection: psycopg.Connection, seconds: float) -> Iterator[None]:
    """Cut a connection whose server has not answered when the time is over; the statement then fails as a lost one.

    The server's own time-outs end what a living server does. They do not help where it is stopped, or where a network
    swallows its answers: the driver would wait for ever.
    """
    # a copy: the driver may close its own descriptor, and another connection get its number
    with socket.socket(fileno=os.dup(connection.fileno())) as copy:

        def cut() -> None:
            with suppress(OSError):
                copy.shutdown(socket.SHUT_RDWR)
            log.warning("the database has not answered in time; the connection is cut", seconds=seconds)

        watch = threading.Timer(seconds, cut)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()
            watch.join()


def driver_of(session: Session) -> psycopg.Connection:
    """Give the driver's own connection under a session, for what SQLAlchemy cannot do."""
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("the session is not one of psycopg")
    return connection


def _told(notice: psycopg.errors.Diagnostic) -> None:
    # Class 01 are warnings. One of them says that a COMMIT which was to wait for a standby did not: what is durable
    # here may then be missing after a failover, and comes again with the position that is missing as well.
    if (notice.sqlstate or "").startswith("01"):
        log.warning("the database warns; its own log says more", sqlstate=notice.sqlstate)


def _refusal(url: URL, arguments: dict[str, object], error: psycopg.Error) -> SinkError:
    explained = explain_connect(url, error)
    if not isinstance(explained, ConfigError):
        return explained
    if isinstance(error, psycopg.OperationalError) and _lets_us_read(arguments):
        return TransientError(f"{shown(url)} is a standby; waiting for a primary")
    return RefusedError(str(explained)) if isinstance(error, psycopg.OperationalError) else explained


def _lets_us_read(arguments: dict[str, object]) -> bool:
    """Tell whether the same login works where the session need not be able to write."""
    given = arguments | {"target_session_attrs": "any", "connect_timeout": _SECOND_LOOK}
    try:
        psycopg.connect(**given).close()  # type: ignore[arg-type]  # conninfo values
    except psycopg.Error:
        return False
    return True
