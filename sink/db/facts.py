"""Asks a database what a check wants to know of server, tables and grants; changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from sink.db.errors import explain_connect, parse_url, translate
from sink.db.hypertables import Hypertable, is_community, read_hypertables
from sink.db.models import SINK_SCHEMA, Base
from sink.db.preflight import Server, read_server
from sink.db.target import COMMENT

DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")
_ROWS = ("SELECT", "INSERT", "UPDATE")
_READ_ONLY = frozenset({f"{SINK_SCHEMA}.retention"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """One table as the database has it; its columns say whether they are NOT NULL."""

    columns: Mapping[str, bool] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    """Columns of the primary key, in order."""
    collations: tuple[str, ...] = ()
    """By whose rules the key's texts are compared, as the database names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """What the database told."""

    server: Server
    version: str
    in_recovery: bool
    tls: str | None
    """TLS version of our own connection, None without."""
    skew: float
    """Seconds by which the database's clock is ahead of this host's."""
    skew_error: float
    """Half the time that the question took: the skew is not known better."""
    settings: Mapping[str, str]
    superuser: bool
    community: bool
    heads: tuple[str, ...] | None
    """Migration revisions, None where nobody has migrated or we may not read them."""
    oldest_code: str | None
    """The comment that names the oldest revision whose code runs on this schema."""
    tables: Mapping[str, TableFacts]
    """By full name; those that do not exist are left out."""
    hypertables: Mapping[str, Hypertable]
    missing_grants: Sequence[str]
    """As the administrator would write them."""


def gather(url: str, *, timeout: float, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> DatabaseFacts:
    """Connect as the sink would and ask; raises the SinkError that says why there is no connection."""
    address = parse_url(url)
    limits = {"application_name": "sink check", "connect_timeout": max(2, int(timeout)), "prepare_threshold": None}
    engine = create_engine(
        address, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=limits | {"tcp_user_timeout": 15_000}
    )
    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise explain_connect(address, error) from error
    with connection:
        try:
            connection.execute(text("SELECT set_config('statement_timeout', :limit, false)"), {"limit": f"{timeout}s"})
            return _ask(connection, clock)
        except SQLAlchemyError as error:
            raise translate(error) from error


def _ask(connection: Connection, clock: Callable[[], datetime]) -> DatabaseFacts:
    server = read_server(connection)
    before = clock()
    there = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    after = clock()
    about = connection.execute(_ABOUT).mappings().one()
    settings = {str(row.name): str(row.setting) for row in connection.execute(_SETTINGS, {"names": list(DURABILITY)})}
    heads = _heads(connection)
    return DatabaseFacts(
        server=server,
        version=about["version"],
        in_recovery=about["in_recovery"],
        tls=about["tls"],
        skew=(there - (before + (after - before) / 2)).total_seconds(),
        skew_error=(after - before).total_seconds() / 2,
        settings=settings,
        superuser=about["superuser"],
        community=is_community(connection),
        heads=heads,
        oldest_code=None if heads is None else connection.scalar(text(COMMENT)),
        tables=_tables(connection),
        hypertables=_hypertables(connection) if server.installed else {},
        missing_grants=_missing_grants(connection, server),
    )


def _heads(connection: Connection) -> tuple[str, ...] | None:
    try:
        return tuple(connection.scalars(text("SELECT version_num FROM public.alembic_version ORDER BY 1")))
    except ProgrammingError:  # no such table, or not for us
        return None


def _hypertables(connection: Connection) -> Mapping[str, Hypertable]:
    try:
        return read_hypertables(connection)
    except ProgrammingError:  # schema sink is not for us: the missing grant is told
        return {}


def _tables(connection: Connection) -> Mapping[str, TableFacts]:
    columns: dict[str, dict[str, bool]] = {}
    for row in connection.execute(_COLUMNS, {"names": list(_names())}):
        columns.setdefault(row.name, {})[row.column] = row.not_null
    keys = {row.name: row for row in connection.execute(_KEYS, {"names": list(_names())})}
    tables: dict[str, TableFacts] = {}
    for name, found in columns.items():
        key = keys.get(name)
        parts = {} if key is None else {"key": tuple(key.columns), "collations": tuple(key.collations)}
        tables[name] = TableFacts(columns=found, **parts)
    return tables


def _missing_grants(connection: Connection, server: Server) -> list[str]:
    wanted = [(name, privilege) for name in _names() for privilege in (("SELECT",) if name in _READ_ONLY else _ROWS)]
    wanted += [(name, "DELETE") for name in _names() if name.startswith(f"{SINK_SCHEMA}.") and name not in _READ_ONLY]
    names, privileges = zip(*wanted, strict=True)
    rows = connection.execute(_TABLE_GRANTS, {"names": list(names), "privileges": list(privileges)})
    lacking: dict[str, list[str]] = {}
    for row in rows:
        lacking.setdefault(row.name, []).append(row.privilege)
    found = [f"{', '.join(sorted(missing))} on table {name}" for name, missing in lacking.items()]
    found += [str(name) for name in connection.scalars(_OTHER_GRANTS, {"schema": SINK_SCHEMA})]
    return [f"{privilege} to {server.user}" for privilege in found]


def _names() -> Sequence[str]:
    return [full_name(table) for table in Base.metadata.sorted_tables]


def full_name(table: Table) -> str:
    """Give a table's name with its schema."""
    return f"{table.schema or 'public'}.{table.name}"


_ABOUT = text(
    """
    SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS in_recovery,
           (SELECT s.version FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid() AND s.ssl) AS tls,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser
    """
)
_SETTINGS = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")
# From the catalogue rather than by regclass, which fails in a schema that is not for us.
_COLUMNS = text(
    """
    SELECT n.nspname || '.' || c.relname AS name, a.attname AS column, a.attnotnull AS not_null
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = ANY(:names) AND a.attnum > 0 AND NOT a.attisdropped
    """
)
# The name of the database's locale that is not libc's has another column in every other version of PostgreSQL.
_KEYS = text(
    """
    WITH database AS (
        SELECT coalesce(to_jsonb(b) ->> 'datlocale', to_jsonb(b) ->> 'daticulocale', b.datcollate) AS collation
        FROM pg_database b WHERE b.datname = current_database()
    )
    SELECT n.nspname || '.' || c.relname AS name, array_agg(CAST(a.attname AS text) ORDER BY k.place) AS columns,
        array_remove(array_agg(DISTINCT CASE WHEN l.collname = 'default' THEN d.collation ELSE l.collname END), NULL)
            AS collations
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY AS k (number, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    CROSS JOIN database d
    WHERE i.indisprimary AND i.indisvalid AND n.nspname || '.' || c.relname = ANY(:names)
    GROUP BY 1
    """
)
_TABLE_GRANTS = text(
    """
    SELECT w.name, w.privilege
    FROM unnest(CAST(:names AS text[]), CAST(:privileges AS text[])) AS w (name, privilege)
    JOIN pg_class c ON true JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname || '.' || c.relname = w.name
    WHERE NOT has_table_privilege(c.oid, w.privilege)
    """
)
_OTHER_GRANTS = text(
    """
    SELECT 'USAGE on schema ' || nspname FROM pg_namespace
    WHERE nspname = :schema AND NOT has_schema_privilege(oid, 'USAGE')
    UNION ALL
    SELECT 'TEMPORARY on database ' || datname FROM pg_database
    WHERE datname = current_database() AND NOT has_database_privilege(oid, 'TEMPORARY')
    UNION ALL
    SELECT 'EXECUTE on function ' || CAST(CAST(p.oid AS regprocedure) AS text)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE nspname = :schema AND proname = 'drop_expired_chunks' AND NOT has_function_privilege(p.oid, 'EXECUTE')
    """
)
