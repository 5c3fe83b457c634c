"""Hypertable options of a model: the time column, how long a chunk is, how long rows are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict

from sqlalchemy import Table

INFO_KEY = "hypertable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypertable:
    """How TimescaleDB partitions a table by time and when it drops what is old."""

    time: str
    chunk: timedelta
    retain: timedelta


class _TableOptions(TypedDict):
    info: dict[str, Hypertable]


def hypertable(*, time: str, chunk: timedelta, retain: timedelta) -> _TableOptions:
    """Make the entry of ``__table_args__`` that turns a model into a hypertable."""
    return {"info": {INFO_KEY: Hypertable(time=time, chunk=chunk, retain=retain)}}


def hypertable_of(table: Table) -> Hypertable | None:
    """Give the hypertable options of a table, or None where it is an ordinary one."""
    options = table.info.get(INFO_KEY)
    return options if isinstance(options, Hypertable) else None
