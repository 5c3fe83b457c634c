"""Judge a database before anything in it is touched: server, extension, privileges, whose tables stand there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, text

from sink.errors import DefinitionError

Report = Callable[[str], object]
"""Hears a sentence for people."""

OLDEST = (2, 13)
"""First version with ``by_range``."""
RECOMMENDED = (2, 25, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What one query tells about the server, the database and us."""

    database: str
    user: str
    offered: str | None
    """Version of TimescaleDB that the server could install, None where it has no such package."""
    installed: str | None
    """Version of the extension in this database."""
    preloaded: bool
    """Whether shared_preload_libraries holds timescaledb."""
    may_create: bool
    """CREATE on the database (for schema sink and the extension)."""
    may_create_tables: bool
    """CREATE on schema public."""


def read_server(connection: Connection) -> Server:
    """Ask the server; any user may."""
    return Server(**connection.execute(_SERVER).mappings().one())


def judge_server(server: Server, warn: Callable[[str], object]) -> None:
    """Refuse a server that cannot work (DefinitionError); warn of one that can but should not stay as it is."""
    if server.offered is None:
        raise DefinitionError(
            "the server has no TimescaleDB: install its package for this PostgreSQL (Debian:"
            " postgresql-17-timescaledb) or use the image timescale/timescaledb"
        )
    if not server.preloaded:
        raise DefinitionError(
            "the server does not load TimescaleDB at its start: ALTER SYSTEM SET shared_preload_libraries ="
            " 'timescaledb' (keep what the list holds already), then restart the server"
        )
    version = server.installed or server.offered
    if _parts(version) < OLDEST:
        raise DefinitionError(
            f"TimescaleDB {version} is too old, {_dotted(OLDEST)} is the oldest that works: update its package,"
            " restart the server, then ALTER EXTENSION timescaledb UPDATE"
        )
    if _parts(version) < RECOMMENDED:
        warn(f"TimescaleDB {version} works, but has known faults: {_dotted(RECOMMENDED)} or newer is advised")


def refuse_old_for_columnstore(server: Server) -> None:
    """Refuse a version whose upserts into the columnstore have faults."""
    version = server.installed or server.offered or "0"
    if _parts(version) < RECOMMENDED:
        raise DefinitionError(
            f"TimescaleDB {version} has faults in upserts into the columnstore, {_dotted(RECOMMENDED)} is the oldest to"
            " use it with: update its package, restart the server, then ALTER EXTENSION timescaledb UPDATE"
        )


def refuse_missing_privileges(server: Server) -> None:
    """Refuse a user who could not make the tables, naming the grants."""
    missing = [] if server.may_create else [f'GRANT CREATE ON DATABASE "{server.database}" TO "{server.user}"']
    if not server.may_create_tables:
        missing.append(f'GRANT CREATE ON SCHEMA public TO "{server.user}"')
    if missing:
        raise DefinitionError(
            f"{server.user} may not make the tables in {server.database}: migrate as sink_migrator after an"
            f" administrator has run deploy/roles.sql, or after: {'; '.join(missing)}"
        )


def refuse_foreign_tables(connection: Connection, metadata: MetaData) -> None:
    """Refuse a database that has tables of our names though no migration of ours ever ran in it."""
    names = [f'"{table.schema or "public"}"."{table.name}"' for table in metadata.sorted_tables]
    found = connection.scalars(
        text("SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE to_regclass(name) IS NOT NULL"),
        {"names": names},
    ).all()
    if found:
        tables = ", ".join(name.replace('"', "").removeprefix("public.") for name in found)
        raise DefinitionError(
            f"the database already has tables of these names that the sink did not make: {tables}."
            " Nothing was changed. Use a database of its own (createdb), or rename those tables"
        )


def refuse_unknown_revisions(heads: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a database whose revision these scripts do not have."""
    unknown = sorted(set(heads) - set(known))
    if unknown:
        raise DefinitionError(
            f"the database is at revision {', '.join(unknown)}, which this version of the sink does not know: a newer"
            " version migrated it (install that one), or its alembic_version belongs to another application (use a"
            " database of its own)"
        )


def _parts(version: str) -> tuple[int, ...]:
    """Give the leading numbers of a version, so that 2.20.0-dev compares as 2.20.0."""
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdecimal())


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(part) for part in version)


# The loader defines this setting at the start of every session, also where the extension was never created.
_SERVER = text(
    """
    SELECT current_database() AS database,
           current_user AS user,
           (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb') AS offered,
           (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS installed,
           current_setting('timescaledb.disable_load', true) IS NOT NULL AS preloaded,
           has_database_privilege(current_database(), 'CREATE') AS may_create,
           COALESCE(has_schema_privilege(to_regnamespace('public'), 'CREATE'), false) AS may_create_tables
    """
)
