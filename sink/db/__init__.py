"""The database: engines and sessions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

from sink.db.errors import parse_url
from sink.settings import load

CONNECT_TIMEOUT = 10
"""Seconds until a server that does not answer is given up; without it, minutes."""


def engine_for(url: str) -> Engine:
    """Give the engine of a database URL, one per URL and process, made at the first call.

    Raises ConfigError where the URL cannot be read or names another driver than psycopg.
    """
    return _engine(url, os.getpid())


@contextmanager
def session_scope(url: str | None = None) -> Iterator[Session]:
    """Give a session whose transaction is committed when the block succeeds, rolled back when it raises.

    The database is ``url``, or the one that the settings name (``DATABASE_URL``) at the time of the call. Objects
    that the block has read stay readable after it. Errors of the block and of the commit pass unchanged.
    """
    engine = engine_for(url or load().database_url.get_secret_value())
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


@cache
def _engine(url: str, _process: int) -> Engine:
    """Make an engine; the process is part of the cache's key, for a fork must not share its parent's connections."""
    engine = create_engine(
        parse_url(url),
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT,
            # A pooler in transaction mode (PgBouncer) hands each transaction another server, which does not know
            # statements prepared on the last one.
            "prepare_threshold": None,
        },
    )
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: Any, _record: object) -> None:
    """Have times read back in UTC, and tables found in public even by a login that is called like a schema.

    As statements, because poolers refuse ``options``.
    """
    connection.execute("SET TIME ZONE 'UTC'")
    connection.execute("SET search_path TO public")
    connection.commit()
