"""Opens the writer's own connection: to the primary, noticing a dead peer."""

from __future__ import annotations

import psycopg

from sink.db.errors import parse_url
from sink.errors import TransientError


def conninfo(url: str) -> dict[str, object]:
    """Turn a SQLAlchemy URL, also one of several hosts, into psycopg's connection arguments.

    Raises ConfigError where it cannot be read.
    """
    parsed = parse_url(url)
    _, arguments = parsed.get_dialect()().create_connect_args(parsed)
    return dict(arguments)


def open_connection(url: str, *, application_name: str, connect_timeout: float = 10) -> psycopg.Connection:
    """Open a connection in autocommit mode to a server that takes writes.

    Keepalives and ``tcp_user_timeout`` bound how long a black hole holds us; nothing is prepared, so that a
    transaction pooler may stand between. Raises psycopg's errors, and TransientError where the server is a standby.
    """
    defaults: dict[str, object] = {
        "connect_timeout": max(2, int(connect_timeout)),
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "target_session_attrs": "read-write",
    }
    arguments = defaults | conninfo(url) | {"application_name": application_name}
    connection = psycopg.connect(**arguments, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]  # conninfo values
    if connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
        connection.close()
        raise TransientError("the database server is a standby; waiting for a primary")
    return connection
