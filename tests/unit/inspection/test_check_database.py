"""What a check makes of what a database tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from sink.db.facts import DatabaseFacts, TableFacts, full_name
from sink.db.hypertables import Hypertable, hypertable_of
from sink.db.models import Trade, table_of
from sink.db.preflight import Server
from sink.db.target import Revisions
from sink.inspection.check_database import SKEW, judge
from sink.inspection.findings import Finding, State
from sink.transport import Exposed

TABLE = table_of(Trade)
DESIGNED = hypertable_of(TABLE)
assert DESIGNED is not None
ROWSTORE = replace(DESIGNED, columnstore=None)
"""As it is unless somebody switches the columnstore on."""
SERVER = Server(
    database="ingestion",
    user="sink_writer",
    offered="2.26.0",
    installed="2.26.0",
    preloaded=True,
    may_create=False,
    may_create_tables=False,
)
AS_DESIGNED = TableFacts(
    columns={column.name: not column.nullable for column in TABLE.columns},
    key=tuple(column.name for column in TABLE.primary_key),
    collations=("C", "C.UTF-8"),
)
GOOD = DatabaseFacts(
    server=SERVER,
    version="17.2",
    in_recovery=False,
    tls="TLSv1.3",
    skew=0.1,
    skew_error=0.01,
    settings={"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"},
    superuser=False,
    community=False,
    heads=("0003",),
    oldest_code="oldest code: 0001",
    tables={full_name(TABLE): AS_DESIGNED},
    hypertables={"trades": ROWSTORE},
    missing_grants=(),
)
REVISIONS = Revisions(heads=frozenset({"0003"}), known=frozenset({"0001", "0002", "0003"}))


def bad(facts: DatabaseFacts, exposed: Exposed | None = None) -> list[Finding]:
    found = judge(facts, revisions=REVISIONS, tables=[TABLE], exposed=exposed)
    return [finding for finding in found if finding.state is not State.OK]


def test_nothing_is_wrong_with_what_is_as_it_must_be() -> None:
    assert bad(GOOD) == []


def table(**changes: object) -> Mapping[str, TableFacts]:
    return {full_name(TABLE): replace(AS_DESIGNED, **changes)}  # type: ignore[arg-type] # its fields


def without(column: str) -> Mapping[str, bool]:
    return {name: not_null for name, not_null in AS_DESIGNED.columns.items() if name != column}


FAILURES: dict[str, tuple[DatabaseFacts, str, str]] = {
    "standby": (replace(GOOD, in_recovery=True), "standby", "primary"),
    "fsync": (replace(GOOD, settings={"fsync": "off"}), "fsync=off", "ALTER SYSTEM SET fsync = on"),
    "full_page_writes": (replace(GOOD, settings={"full_page_writes": "off"}), "full_page_writes=off", "ALTER SYSTEM"),
    "never migrated": (replace(GOOD, heads=None), "needs 0003", "sink migrate"),
    "behind": (replace(GOOD, heads=("0001",)), "at 0001, this version needs 0003", "sink migrate"),
    "too far ahead": (
        replace(GOOD, heads=("0009",), oldest_code="oldest code: 0004"),
        "at 0009, which this version does not know",
        "or a newer one",
    ),
    "ahead without a word": (replace(GOOD, heads=("0009",), oldest_code=None), "cannot run on", "or a newer one"),
    "no table": (replace(GOOD, tables={}), "it does not exist", "sink migrate"),
    "no unique key": (replace(GOOD, tables=table(key=())), "the primary key is (missing)", "sink migrate --check"),
    "no lineage": (
        replace(GOOD, tables=table(columns=without("source_offset"))),
        "column source_offset is missing",
        "sink migrate --check",
    ),
    "NULL lineage": (
        replace(GOOD, tables=table(columns={**AS_DESIGNED.columns, "source_offset": False})),
        "column source_offset may be NULL",
        "sink migrate --check",
    ),
    "no hypertable": (replace(GOOD, hypertables={}), "it is no hypertable", "sink migrate --check"),
    "grants": (replace(GOOD, missing_grants=("UPDATE on table public.trades",)), "UPDATE", "deploy/roles.sql"),
    "no extension": (replace(GOOD, server=replace(SERVER, installed=None)), "not in this database", "sink migrate"),
}


@pytest.mark.parametrize("fault", FAILURES)
def test_what_breaks_a_promise_is_a_failure(fault: str) -> None:
    facts, found, cure = FAILURES[fault]
    (finding,) = [one for one in bad(facts) if one.state is State.FAILURE]
    assert found in finding.found
    assert cure in finding.cure


def test_an_old_version_with_the_columnstore_on_is_a_failure() -> None:
    """Without the columnstore the same version is a warning."""
    facts = replace(GOOD, server=replace(SERVER, installed="2.19.3"))
    assert [finding.state for finding in bad(facts)] == [State.WARNING]
    on = replace(ROWSTORE, columnstore=timedelta(days=7))
    (finding,) = [one for one in bad(replace(facts, hypertables={"trades": on})) if one.state is State.FAILURE]
    assert "2.25.2 is the oldest" in finding.found
    assert "columnstore" in finding.subject


def test_a_server_without_timescaledb_is_a_failure() -> None:
    (finding,) = bad(replace(GOOD, server=replace(SERVER, offered=None, installed=None)))
    assert "install its package" in finding.found


def test_a_connection_that_is_not_verified_is_a_failure() -> None:
    (finding,) = bad(GOOD, Exposed(found="open", cure="close it"))
    assert (finding.state, finding.found, finding.cure) == (State.FAILURE, "open", "close it")


@pytest.mark.parametrize(
    "facts",
    [
        replace(GOOD, superuser=True),
        replace(GOOD, heads=("0009",)),  # ahead, and it names us among those that still run
        replace(GOOD, skew=-(SKEW + 1)),
        replace(GOOD, tables=table(collations=("C", "en_US.UTF-8"))),
        replace(GOOD, server=replace(SERVER, installed="2.19.3")),
        replace(
            GOOD, hypertables={"trades": Hypertable(time="trade_ts", chunk=DESIGNED.chunk, retain=timedelta(days=3))}
        ),
    ],
)
def test_what_should_not_stay_so_is_a_warning(facts: DatabaseFacts) -> None:
    (finding,) = bad(facts)
    assert finding.state is State.WARNING
    assert finding.cure


def test_a_skew_within_what_the_question_took_is_none() -> None:
    assert bad(replace(GOOD, skew=SKEW + 5, skew_error=6.0)) == []


def test_who_drops_old_rows_is_said_for_both_editions() -> None:
    for community, who in ((True, "TimescaleDB's policy"), (False, "the sink drops")):
        found = judge(replace(GOOD, community=community), revisions=REVISIONS, tables=[TABLE], exposed=None)
        assert any(who in one.found and "30 days" in one.found for one in found)
