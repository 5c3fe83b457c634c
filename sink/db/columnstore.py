"""TimescaleDB's columnstore as an option of migrations: the SQL that switches it on and off, by the models.

The community edition has it, from 2.18 on under these names. Never run here: the tests have the Apache-2 edition, which
knows every statement and refuses it for its license alone.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, Table, text

from sink.db.hypertables import PUBLIC, Hypertable, hypertable_of, interval_sql, is_community, read_hypertables
from sink.db.models import Base
from sink.db.preflight import Report, read_server, refuse_old_for_columnstore
from sink.errors import ConfigError

Switch = Literal["on", "off"]


def switch_of(chosen: str | None) -> Switch | None:
    """Read what an option says; None where it says nothing."""
    match chosen:
        case None | "on" | "off":
            return chosen
        case _:
            raise ConfigError(f"columnstore={chosen} is neither on nor off")


def statements(table: Table, options: Hypertable, switch: Switch) -> list[str]:
    """Give the SQL for a table: chunks wholly older than the model's horizon turn, or none does from now on.

    Segmented by what stands before the time in the key (the symbol), ordered by time and what follows it, so that the
    key's columns are all there and an upsert decompresses as little as can be. Nothing where the model has no horizon.
    """
    if options.columnstore is None:
        return []
    name = f"{PUBLIC}.{table.name}"
    key = [column.name for column in table.primary_key]
    at = key.index(options.time)
    order = ", ".join(f"{column} DESC" for column in key[at:])
    remove = f"CALL remove_columnstore_policy('{name}', if_exists => true)"
    if switch == "off":
        return [remove]
    segment, after = ", ".join(key[:at]), interval_sql(options.columnstore)
    settings = f"timescaledb.segmentby = '{segment}', timescaledb.orderby = '{order}'"
    return [
        f"ALTER TABLE {name} SET (timescaledb.enable_columnstore = true, {settings})",
        remove,
        f"CALL add_columnstore_policy('{name}', after => {after})",
    ]


def all_statements(switch: Switch) -> list[str]:
    """Give the SQL for every model."""
    return [
        statement
        for table in Base.metadata.sorted_tables
        if (options := hypertable_of(table)) is not None
        for statement in statements(table, options, switch)
    ]


def apply(connection: Connection, switch: Switch, report: Report) -> None:
    """Switch the columnstore on or off for the hypertables that the models have and the database has too.

    ``report`` hears what was done. On the Apache-2 edition that is nothing. Raises DefinitionError where TimescaleDB is
    older than the columnstore is safe with.
    """
    if not is_community(connection):
        report(
            "columnstore: nothing was done; this server has TimescaleDB's Apache-2 edition, and the columnstore is part"
            " of the community edition only"
        )
        return
    refuse_old_for_columnstore(read_server(connection))
    found = read_hypertables(connection)
    for table in Base.metadata.sorted_tables:
        options = hypertable_of(table)
        if options is None or table.name not in found:
            continue
        wanted = statements(table, options, switch)
        for statement in wanted:
            connection.execute(text(statement))
        if wanted:
            how = f"when they are older than {options.columnstore}" if switch == "on" else "no more"
            report(f"columnstore: chunks of {table.name} turn {how}")
