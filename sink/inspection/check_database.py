"""Judges what the database told: primary, durability, edition, revision, tables, retention, grants, clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from sqlalchemy import Table

from sink.db.facts import DatabaseFacts, TableFacts, full_name
from sink.db.hypertables import hypertable_of
from sink.db.preflight import judge_server, refuse_old_for_columnstore
from sink.db.target import Revisions, Standing, judge_revision
from sink.errors import DefinitionError
from sink.inspection.findings import Finding, Group
from sink.transport import Exposed

SKEW = 2.0
"""Seconds by which the database's clock may differ from this host's before it is told."""
_DATABASE = Group("database")
_MIGRATE = "sink migrate"
_BY_BYTES = frozenset({"C", "C.UTF-8", "C.UTF8", "C.utf8", "POSIX", "ucs_basic", "pg_c_utf8"})
_UPDATE = "update TimescaleDB's package, restart the server, then ALTER EXTENSION timescaledb UPDATE"


def judge(
    facts: DatabaseFacts, *, revisions: Revisions, tables: Sequence[Table], exposed: Exposed | None
) -> Iterator[Finding]:
    """Give the findings; ``tables`` are those the sink needs, ``exposed`` is why the connection is not verified."""
    yield from _server(facts)
    yield from _connection(facts, exposed)
    yield from _durability(facts)
    yield _clock(facts)
    migrated = _revision(facts, revisions)
    yield migrated
    if facts.heads:
        for table in tables:
            yield from _table(facts, table)
        yield _grants(facts)


def _server(facts: DatabaseFacts) -> Iterator[Finding]:
    if facts.in_recovery:
        yield _DATABASE.failure(
            "server",
            f"PostgreSQL {facts.version} is a standby, which takes no writes",
            "point DATABASE_URL at the primary, or name all hosts: the sink picks the one that takes writes",
        )
    else:
        yield _DATABASE.ok("server", f"PostgreSQL {facts.version}, primary")
    warnings: list[str] = []
    try:
        judge_server(facts.server, warnings.append)
    except DefinitionError as error:
        yield _DATABASE.told("timescaledb", str(error))
        return
    edition = "community edition" if facts.community else "Apache-2 edition"
    for warning in warnings:
        yield _DATABASE.warning("timescaledb", f"{edition}; {warning}", _UPDATE)
    if not warnings:
        yield _DATABASE.ok("timescaledb", f"{facts.server.installed or facts.server.offered}, {edition}")
    if facts.server.installed is None:
        yield _DATABASE.failure("extension", "it is not in this database", _MIGRATE)


def _connection(facts: DatabaseFacts, exposed: Exposed | None) -> Iterator[Finding]:
    if exposed is not None:
        yield _DATABASE.failure("TLS", exposed.found, exposed.cure)
    else:
        yield _DATABASE.ok("TLS", facts.tls or "none, on this machine or allowed by name")
    if facts.superuser:
        yield _DATABASE.warning(
            "login", f"{facts.server.user} is a superuser", "connect as sink_writer, made by deploy/roles.sql"
        )


def _durability(facts: DatabaseFacts) -> Iterator[Finding]:
    off = [name for name in ("fsync", "full_page_writes") if facts.settings.get(name) == "off"]
    for name in off:
        yield _DATABASE.failure(
            name,
            f"{name}=off: a crash of the server can lose or garble rows that the sink has reported as durable",
            f"ALTER SYSTEM SET {name} = on, then SELECT pg_reload_conf()",
        )
    if not off:
        commit = facts.settings.get("synchronous_commit", "on")
        raised = " (the sink raises it to on for its own transactions)" if commit in {"off", "local"} else ""
        yield _DATABASE.ok("durability", f"fsync=on, full_page_writes=on, synchronous_commit={commit}{raised}")


def _clock(facts: DatabaseFacts) -> Finding:
    measured = f"{facts.skew:+.3f} s against this host, give or take {facts.skew_error:.3f} s"
    if abs(facts.skew) > SKEW + facts.skew_error:
        return _DATABASE.warning(
            "clock", measured, "synchronise both clocks (NTP): the database's decides which times are plausible"
        )
    return _DATABASE.ok("clock", measured)


def _revision(facts: DatabaseFacts, revisions: Revisions) -> Finding:
    wanted = revisions.head
    if not facts.heads:
        return _DATABASE.failure("migration", f"none that we can see; this version needs {wanted}", _MIGRATE)
    here = ", ".join(facts.heads)
    try:
        standing = judge_revision(facts.heads, facts.oldest_code, revisions)
    except DefinitionError:
        if revisions.known.issuperset(facts.heads):
            return _DATABASE.failure("migration", f"the database is at {here}, this version needs {wanted}", _MIGRATE)
        return _DATABASE.failure(
            "migration",
            f"the database is at {here}, which this version does not know and cannot run on (it needs {wanted})",
            "install the version of the sink that migrated it, or a newer one",
        )
    if standing is Standing.AHEAD:
        return _DATABASE.warning(
            "migration",
            f"the database is at {here}, ahead of this version ({wanted}), which still runs on it",
            "install the version of the sink that migrated it when the others have been replaced",
        )
    return _DATABASE.ok("migration", f"{here}, the newest of this version")


def _table(facts: DatabaseFacts, table: Table) -> Iterator[Finding]:
    name = full_name(table)
    subject = f"table {table.name}"
    found = facts.tables.get(name)
    if found is None:
        yield _DATABASE.failure(subject, "it does not exist", _MIGRATE)
        return
    differences = list(_differences(facts, table))
    if differences:
        yield _DATABASE.failure(
            subject,
            "; ".join(differences),
            "undo what was changed by hand, or make it a migration; all differences: sink migrate --check",
        )
    else:
        yield _DATABASE.ok(subject, "columns, unique key and hypertable as designed")
    yield from _collation(found, table, subject)
    yield from _retention(facts, table, subject)
    yield from _columnstore(facts, table, subject)


def _differences(facts: DatabaseFacts, table: Table) -> Iterator[str]:
    found = facts.tables[full_name(table)]
    for column in table.columns:
        if column.name not in found.columns:
            yield f"column {column.name} is missing"
        elif not column.nullable and not found.columns[column.name]:
            yield f"column {column.name} may be NULL"
    key = tuple(column.name for column in table.primary_key)
    if set(found.key) != set(key):
        yield f"the primary key is ({', '.join(found.key) or 'missing'}), not ({', '.join(key)})"
    wanted, here = hypertable_of(table), facts.hypertables.get(table.name)
    if wanted is not None and here is None:
        yield "it is no hypertable"
    elif wanted is not None and here is not None and here.time != wanted.time:
        yield f"it is partitioned by {here.time}, not by {wanted.time}"


def _collation(found: TableFacts, table: Table, subject: str) -> Iterator[Finding]:
    if linguistic := [name for name in found.collations if name not in _BY_BYTES]:
        yield _DATABASE.warning(
            f"{subject}, collation",
            f"keys are compared by the rules of {', '.join(linguistic)}: slower, and a new C library may change them"
            " under the primary key",
            f"when the table may be locked for a while: ALTER TABLE {table.name} ALTER COLUMN symbol TYPE text"
            ' COLLATE "C" (docs/schema.md)',
        )


def _retention(facts: DatabaseFacts, table: Table, subject: str) -> Iterator[Finding]:
    wanted, here = hypertable_of(table), facts.hypertables.get(table.name)
    if wanted is None or here is None:
        return
    who = "TimescaleDB's policy drops what is older" if facts.community else "the sink drops what is older (Apache-2)"
    if here.retain == wanted.retain:
        yield _DATABASE.ok(f"{subject}, retention", f"{_days(here.retain)}; {who}")
    else:
        yield _DATABASE.warning(
            f"{subject}, retention",
            f"{_days(here.retain)} instead of {_days(wanted.retain)}",
            f"if nobody meant it: SELECT sink.set_retention('{table.name}', INTERVAL '{_days(wanted.retain)}')",
        )


def _columnstore(facts: DatabaseFacts, table: Table, subject: str) -> Iterator[Finding]:
    here = facts.hypertables.get(table.name)
    if here is None or here.columnstore is None:
        return
    try:
        refuse_old_for_columnstore(facts.server)
    except DefinitionError as error:
        yield _DATABASE.told(f"{subject}, columnstore", str(error))
    else:
        yield _DATABASE.ok(f"{subject}, columnstore", f"chunks older than {_days(here.columnstore)}")


def _days(length: timedelta | None) -> str:
    return "for ever" if length is None else f"{length / timedelta(days=1):g} days"


def _grants(facts: DatabaseFacts) -> Finding:
    if facts.missing_grants:
        return _DATABASE.failure(
            "grants",
            f"missing: {'; '.join(facts.missing_grants)}",
            "have an administrator run deploy/roles.sql on this database, and connect as sink_writer",
        )
    return _DATABASE.ok("grants", f"{facts.server.user} may do what the sink does")
