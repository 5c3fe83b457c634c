"""Teach Alembic's autogenerate about hypertables: options of a model become SQL frozen in the migration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.rewriter import Rewriter
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table, text

from sink.db.hypertables import (
    INFO_KEY,
    Hypertable,
    chunk_sql,
    columnstore_sql,
    convert_sql,
    create_sql,
    hypertable_of,
    read_hypertables,
    retention_sql,
)
from sink.db.models import SINK_SCHEMA


class HypertableOp(ops.ExecuteSQLOp):
    """One SQL statement about a hypertable and the one that takes it back ("" where nothing need be done)."""

    def __init__(self, sqltext: str, *, undo: str, finding: str) -> None:
        super().__init__(sqltext)
        self.sql = sqltext
        self.undo = undo
        self.finding = finding
        """What is wrong with the database, in a sentence that ``alembic check`` shows."""

    def reverse(self) -> HypertableOp:
        """Swap the statement with the one that takes it back."""
        return HypertableOp(self.undo, undo=self.sql, finding=self.finding)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Describe the difference for ``alembic check``."""
        return ("hypertable", self.finding)


rewriter = Rewriter()
"""Give this to Alembic as ``process_revision_directives``."""


@rewriter.rewrites(ops.CreateTableOp)
def _create(
    _context: MigrationContext, _revision: Any, operation: ops.CreateTableOp
) -> ops.MigrateOperation | list[ops.MigrateOperation]:
    options = operation.info.pop(INFO_KEY, None)
    if not isinstance(options, Hypertable):
        return operation
    name = operation.table_name
    return [
        operation,
        ops.ExecuteSQLOp(create_sql(name, options)),
        ops.ExecuteSQLOp(retention_sql(name, options.retain)),
    ]


@rewriter.rewrites(ops.DropTableOp)
def _drop(
    _context: MigrationContext, _revision: Any, operation: ops.DropTableOp
) -> ops.MigrateOperation | list[ops.MigrateOperation]:
    options = (operation.info or {}).get(INFO_KEY)
    if not isinstance(options, Hypertable):
        return operation
    return [ops.ExecuteSQLOp(retention_sql(operation.table_name, None)), operation]


@rewriter.rewrites(HypertableOp)
def _nothing_to_undo(
    _context: MigrationContext, _revision: Any, operation: HypertableOp
) -> ops.MigrateOperation | list[ops.MigrateOperation]:
    return operation if operation.sql else []


@comparators.dispatch_for("schema")
def _compare_hypertables(context: AutogenContext, upgrade: ops.UpgradeOps, _schemas: Collection[str | None]) -> None:
    connection, inspector = context.connection, context.inspector
    if connection is None:
        return
    stored = set(inspector.get_table_names())
    wanted = {
        table.name: options
        for table in context.sorted_tables
        if (options := hypertable_of(table)) is not None and table.name in stored
    }
    if wanted and connection.scalar(text("SELECT to_regnamespace('timescaledb_information')")) is not None:
        upgrade.ops.extend(differences(wanted, read_hypertables(connection)))


def differences(wanted: Mapping[str, Hypertable], found: Mapping[str, Hypertable]) -> list[HypertableOp]:
    """Give the statements that make the hypertables of a database as the models want them."""
    operations: list[HypertableOp] = []
    for name, want in wanted.items():
        have = found.get(name)
        if have is None:
            finding = f"{name} is a plain table, not a hypertable"
            operations.append(HypertableOp(convert_sql(name, want), undo="", finding=finding))
            operations.append(_retention(name, want, None))
            continue
        if have.chunk != want.chunk:
            finding = f"{name} has chunks of {have.chunk}, the model says {want.chunk}"
            operations.append(
                HypertableOp(chunk_sql(name, want.chunk), undo=chunk_sql(name, have.chunk), finding=finding)
            )
        if have.retain != want.retain:
            operations.append(_retention(name, want, have))
        # off is an operator's choice, and a policy where the model has none is one as well
        if have.columnstore is not None and want.columnstore is not None and have.columnstore != want.columnstore:
            operations.append(_columnstore(name, want.columnstore, have.columnstore))
    return operations


def _columnstore(name: str, want: timedelta, have: timedelta) -> HypertableOp:
    finding = f"chunks of {name} turn into columnstore after {have}, the model says {want}"
    return HypertableOp(columnstore_sql(name, want), undo=columnstore_sql(name, have), finding=finding)


def _retention(name: str, want: Hypertable, have: Hypertable | None) -> HypertableOp:
    kept = None if have is None else have.retain
    finding = f"{name} keeps rows for {kept or 'ever'}, the model says {want.retain or 'ever'}"
    return HypertableOp(retention_sql(name, want.retain), undo=retention_sql(name, kept), finding=finding)


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Keep autogenerate out of every schema but the default one and the sink's own."""
    return kind != "schema" or name in (None, SINK_SCHEMA)


def include_object(item: Any, _name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:  # noqa: FBT001 (Alembic calls it by position)
    """Leave alone the tables that others keep beside ours; dropping one of our own is a migration written by hand."""
    foreign = kind == "table" and reflected and compare_to is None
    return not (foreign and isinstance(item, Table) and item.schema != SINK_SCHEMA)
