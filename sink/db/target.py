"""Judge, as the writer, whether a database is one to write into: its revision, and the table of a dataset."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import psycopg
import structlog
from sqlalchemy import Table

from sink.db.hypertables import hypertable_of
from sink.db.upsert import ORDER
from sink.errors import DefinitionError

log = structlog.get_logger(__name__)

OLDEST_CODE = "oldest code: "
"""Begins the comment on Alembic's table that names the oldest revision whose code runs on the present schema."""


COMMENT = "SELECT obj_description('public.alembic_version'::regclass, 'pg_class')"


class Standing(Enum):
    """How a database that this code may write into stands to it."""

    SAME = "same"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """The migrations that this version of the code knows, and the newest of them."""

    heads: frozenset[str]
    known: frozenset[str]

    @property
    def head(self) -> str:
        """Name the newest."""
        return ", ".join(sorted(self.heads))


def revisions_in(folder: Path) -> Revisions:
    """Read which revisions the folder of migrations has.

    From the scripts' text: Alembic, which would execute them, is a large part of what a command costs at its start.
    """
    before: dict[str, Any] = {}
    for script in sorted(folder.glob("versions/*.py")):
        said = _assigned(script)
        if "revision" in said:
            before[said["revision"]] = said.get("down_revision")
    followed: set[str] = set()
    for down in before.values():
        followed.update((down,) if isinstance(down, str) else down or ())
    return Revisions(heads=frozenset(before.keys() - followed), known=frozenset(before))


def _assigned(script: Path) -> dict[str, Any]:
    """Give a script's constants."""
    said: dict[str, Any] = {}
    for line in ast.parse(script.read_bytes(), filename=str(script)).body:
        match line:
            case (
                ast.AnnAssign(target=ast.Name(id="revision" | "down_revision" as name), value=ast.expr() as value)
                | ast.Assign(targets=[ast.Name(id="revision" | "down_revision" as name)], value=value)
            ):
                said[name] = ast.literal_eval(value)
            case _:
                pass
    return said


def refuse_revision(cursor: psycopg.Cursor, ours: Revisions) -> None:
    """Refuse a database that was never migrated, stands behind this code, or has gone too far ahead of it.

    Ahead is allowed where the database itself names a revision that we know as the oldest whose code still runs: a
    release first expands the schema, so that the replicas of the version before go on until they are replaced.
    """
    if cursor.execute("SELECT to_regclass('public.alembic_version')").fetchone() == (None,):
        raise DefinitionError(
            f"the database has none of the sink's tables; this version needs revision {ours.head}. Run: sink migrate"
        )
    found = [row[0] for row in cursor.execute("SELECT version_num FROM public.alembic_version").fetchall()]
    (comment,) = cursor.execute(COMMENT).fetchone() or (None,)
    if judge_revision(found, comment, ours) is Standing.AHEAD:
        log.warning(
            "the database is ahead of this version, which still runs on it",
            database=", ".join(sorted(found)),
            ours=ours.head,
        )


def judge_revision(found: Collection[str], comment: str | None, ours: Revisions) -> Standing:
    """Say how a migrated database stands to this code; raises DefinitionError where this code must not write into it.

    ``found`` are the database's revisions, ``comment`` is that on Alembic's table.
    """
    if ours.heads == set(found):
        return Standing.SAME
    named = ", ".join(sorted(found)) or "none"
    if ours.known.issuperset(found):
        raise DefinitionError(
            f"the database is at revision {named}, this version of the sink needs {ours.head}. Run: sink migrate"
        )
    if (comment or "").removeprefix(OLDEST_CODE) not in ours.known:
        raise DefinitionError(
            f"the database is at revision {named}, which this version of the sink ({ours.head}) does not know and"
            " cannot run on. Install the version that migrated it, or a newer one"
        )
    return Standing.AHEAD


def refuse_table(cursor: psycopg.Cursor, table: Table) -> None:
    """Refuse a table that lacks a column, the unique key, what orders versions, or the partitioning by time.

    Without the key every replay would double rows, and where an order column may be null nothing would ever replace
    such a row.
    """
    row = cursor.execute(_TABLE, {"name": table.name}).fetchone()
    if row is None:
        raise DefinitionError(f"there is no table {table.name}. Run: sink migrate")
    present, nullable, keys, is_hypertable = row
    key = sorted(column.name for column in table.primary_key)
    faults = [f"lacks column {column.name}" for column in table.columns if column.name not in present]
    faults += [f"allows null in {name}" for name in sorted({*key, *ORDER} & set(nullable))]
    if key not in keys:
        faults.append(f"has no unique index on exactly ({', '.join(key)})")
    if hypertable_of(table) is not None and not is_hypertable:
        faults.append("is no hypertable")
    if faults:
        raise DefinitionError(
            f"table {table.name} {', '.join(faults)}. Undo what was changed by hand; 'sink migrate --check' names every"
            " difference"
        )


_TABLE = """
SELECT ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT a.attnotnull),
       ARRAY(SELECT to_jsonb(ARRAY(SELECT a.attname::text FROM pg_attribute a
                                   WHERE a.attrelid = c.oid AND a.attnum = ANY(i.indkey) ORDER BY 1))
             FROM pg_index i
             WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                 AND i.indexprs IS NULL),
       EXISTS (SELECT FROM timescaledb_information.hypertables h
               WHERE h.hypertable_schema = 'public' AND h.hypertable_name = c.relname)
FROM pg_class c WHERE c.oid = to_regclass('public.' || quote_ident(%(name)s))
"""
