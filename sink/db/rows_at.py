"""Finds the rows of a symbol at a time, or at the nearest time that has any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.orm import Session

from sink.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Rows of one time; ``more`` says that there are others of that time."""

    at: datetime
    rows: Sequence[Mapping[str, Any]]
    more: bool


def rows_near(
    session: Session,
    table: Table,
    *,
    time: str,
    wanted: Mapping[str, object],
    at: datetime,
    within: timedelta,
    limit: int,
) -> Near:
    """Give the rows whose columns are as ``wanted`` at a time, or at the nearest no further than ``within``.

    Raises ConfigError, with what there is, where nothing is found.
    """
    same = [table.columns[name] == value for name, value in wanted.items()]
    when = table.columns[time]
    after = session.scalar(select(func.min(when)).where(*same, when >= at, when <= at + within))
    before = session.scalar(select(func.max(when)).where(*same, when < at, when >= at - within))
    found = min((one for one in (after, before) if one is not None), key=lambda one: abs(one - at), default=None)
    if found is None:
        raise ConfigError(_nothing(session, table, time=time, wanted=wanted, same=same, at=at, within=within))
    query = select(table).where(*same, when == found).order_by(*table.primary_key).limit(limit + 1)
    rows = [dict(row) for row in session.execute(query).mappings()]
    return Near(at=found, rows=rows[:limit], more=len(rows) > limit)


def _nothing(
    session: Session,
    table: Table,
    *,
    time: str,
    wanted: Mapping[str, object],
    same: Sequence[ColumnElement[bool]],
    at: datetime,
    within: timedelta,
) -> str:
    when = table.columns[time]
    named = ", ".join(str(value) for value in wanted.values())
    first, last = session.execute(select(func.min(when), func.max(when)).where(*same)).one()
    if first is None:
        return f"{table.name} has no row of {named}; symbols are written as in the table"
    return (
        f"{table.name} has no row of {named} within {within.total_seconds():g} s of {at:%Y-%m-%d %H:%M:%S} UTC; it has"
        f" rows from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC. See further with --within 1h"
    )
