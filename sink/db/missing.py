"""A note for the reader of an error that comes from a missing migration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import UndefinedColumn, UndefinedTable
from sqlalchemy.exc import ProgrammingError


@contextmanager
def explain_missing_tables() -> Iterator[None]:
    """Add the next step to an error about a missing table or column; the error itself passes unchanged.

    The repository runs inside other applications, which handle SQLAlchemy's own errors.
    """
    try:
        yield
    except ProgrammingError as error:
        if isinstance(error.orig, UndefinedTable | UndefinedColumn):
            error.add_note("The tables of the sink are missing or older than this code: run `alembic upgrade head`.")
        raise
