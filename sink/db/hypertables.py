"""Hypertables: the options a model carries, the SQL that applies them, and what a live database has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict

from sqlalchemy import Connection, Table, text

INFO_KEY = "hypertable"
PUBLIC = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypertable:
    """How TimescaleDB partitions a table by time and when it drops what is old (None: never)."""

    time: str
    chunk: timedelta
    retain: timedelta | None
    columnstore: timedelta | None = None
    """Age from which chunks turn into columnstore where that is switched on (community edition); None: never.

    Of a live database: its policy, None where it is off.
    """


class _TableOptions(TypedDict):
    info: dict[str, Hypertable]


def hypertable(
    *, time: str, chunk: timedelta, retain: timedelta | None, columnstore: timedelta | None = None
) -> _TableOptions:
    """Make the entry of ``__table_args__`` that turns a model into a hypertable."""
    return {"info": {INFO_KEY: Hypertable(time=time, chunk=chunk, retain=retain, columnstore=columnstore)}}


def hypertable_of(table: Table) -> Hypertable | None:
    """Give the hypertable options of a table, or None where it is an ordinary one."""
    options = table.info.get(INFO_KEY)
    return options if isinstance(options, Hypertable) else None


def interval_sql(length: timedelta | None) -> str:
    """Write a length of time as an SQL literal in the largest unit that divides it, or NULL."""
    if length is None:
        return "NULL"
    for unit, one in (("days", timedelta(days=1)), ("hours", timedelta(hours=1)), ("seconds", timedelta(seconds=1))):
        if length % one == timedelta(0):
            return f"INTERVAL '{length // one} {unit}'"
    return f"INTERVAL '{length // timedelta(microseconds=1)} microseconds'"


def create_sql(table: str, options: Hypertable) -> str:
    """Make an empty table a hypertable; its indexes are the model's, not TimescaleDB's defaults."""
    return f"SELECT create_hypertable({_partitioning(table, options)}, create_default_indexes => false)"


def convert_sql(table: str, options: Hypertable) -> str:
    """Make a plain table that may hold rows a hypertable."""
    arguments = f"{_partitioning(table, options)}, create_default_indexes => false, migrate_data => true"
    return f"SELECT create_hypertable({arguments})"


def _partitioning(table: str, options: Hypertable) -> str:
    return f"'{table}', by_range('{options.time}', {interval_sql(options.chunk)})"


def chunk_sql(table: str, chunk: timedelta) -> str:
    """Change the length of chunks made from now on."""
    return f"SELECT set_chunk_time_interval('{table}', {interval_sql(chunk)})"


def retention_sql(table: str, retain: timedelta | None) -> str:
    """Set how long rows are kept; None keeps them for ever."""
    return f"SELECT sink.set_retention('{table}', {interval_sql(retain)})"


def columnstore_sql(table: str, after: timedelta) -> str:
    """Change the age from which chunks turn into columnstore, where a policy does that; does nothing elsewhere."""
    config = f"jsonb_set(config, '{{compress_after}}', to_jsonb({interval_sql(after)}))"
    policy = f"hypertable_schema = '{PUBLIC}' AND hypertable_name = '{table}' AND proc_name = 'policy_compression'"
    return f"SELECT alter_job(job_id, config => {config}) FROM timescaledb_information.jobs WHERE {policy}"  # noqa: S608 (names of our own tables, frozen into a migration)


def read_hypertables(connection: Connection) -> Mapping[str, Hypertable]:
    """Read the hypertables of schema public as the database has them, by table name.

    Retention is the policy on the community edition and the row of ``sink.retention`` on Apache-2, where TimescaleDB
    has no policies. Needs the TimescaleDB extension in the database.
    """
    retention, columnstore = _retention(connection), _columnstore(connection)
    rows = connection.execute(_DIMENSIONS, {"schema": PUBLIC})
    return {
        row.hypertable_name: Hypertable(
            time=row.column_name,
            chunk=row.time_interval,
            retain=retention.get(row.hypertable_name),
            columnstore=columnstore.get(row.hypertable_name),
        )
        for row in rows
    }


def is_community(connection: Connection) -> bool:
    """Tell the community edition, which has policies, from Apache-2, which has not."""
    return bool(connection.scalar(text("SELECT current_setting('timescaledb.license', true) = 'timescale'")))


def _retention(connection: Connection) -> Mapping[str, timedelta]:
    if is_community(connection):
        return {row.hypertable_name: row.drop_after for row in connection.execute(_POLICIES, {"schema": PUBLIC})}
    if connection.scalar(text("SELECT to_regclass('sink.retention')")) is None:
        return {}
    return {row.table_name: row.drop_after for row in connection.execute(_KEPT)}


def _columnstore(connection: Connection) -> Mapping[str, timedelta]:
    return {row.hypertable_name: row.turn_after for row in connection.execute(_TURNING, {"schema": PUBLIC})}


_DIMENSIONS = text(
    "SELECT hypertable_name, column_name, time_interval FROM timescaledb_information.dimensions"
    " WHERE hypertable_schema = :schema AND dimension_number = 1"
)
_POLICIES = text(
    "SELECT hypertable_name, CAST(config ->> 'drop_after' AS interval) AS drop_after FROM timescaledb_information.jobs"
    " WHERE hypertable_schema = :schema AND proc_name = 'policy_retention'"
)
# The name of the procedure did not change when compression became the columnstore. Apache-2 has no such jobs.
_TURNING = text(
    "SELECT hypertable_name, CAST(config ->> 'compress_after' AS interval) AS turn_after"
    " FROM timescaledb_information.jobs WHERE hypertable_schema = :schema AND proc_name = 'policy_compression'"
)
_KEPT = text("SELECT table_name, drop_after FROM sink.retention")
