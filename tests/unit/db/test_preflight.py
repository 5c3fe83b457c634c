"""Judging a server from what it told, without one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sink.db.preflight import (
    Server,
    judge_server,
    refuse_missing_privileges,
    refuse_old_for_columnstore,
    refuse_unknown_revisions,
)
from sink.errors import DefinitionError

GOOD = Server(
    database="ingestion",
    user="sink_migrator",
    offered="2.26.0",
    installed=None,
    preloaded=True,
    may_create=True,
    may_create_tables=True,
)


def unexpected(warning: str) -> None:
    raise AssertionError(warning)


def test_a_good_server_passes_without_a_word() -> None:
    judge_server(GOOD, unexpected)
    refuse_missing_privileges(GOOD)


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (replace(GOOD, offered=None), "has no TimescaleDB"),
        (replace(GOOD, preloaded=False), "shared_preload_libraries"),
        (replace(GOOD, offered="2.12.2"), "2.12.2 is too old"),
        (replace(GOOD, installed="2.9.1"), "2.9.1 is too old"),
    ],
)
def test_servers_that_cannot_work(server: Server, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        judge_server(server, unexpected)


@pytest.mark.parametrize("version", ["2.13.0", "2.19.3", "2.25.1"])
def test_old_but_working_versions_are_warned_of(version: str) -> None:
    warnings: list[str] = []
    judge_server(replace(GOOD, installed=version), warnings.append)
    assert [warning.split(",")[0] for warning in warnings] == [f"TimescaleDB {version} works"]


@pytest.mark.parametrize("version", ["2.25.2", "2.26.0-dev", "3.0"])
def test_recommended_versions_pass(version: str) -> None:
    judge_server(replace(GOOD, installed=version), unexpected)


def test_missing_privileges_are_named_with_their_grants() -> None:
    with pytest.raises(DefinitionError) as caught:
        refuse_missing_privileges(replace(GOOD, may_create=False, may_create_tables=False))
    assert 'GRANT CREATE ON DATABASE "ingestion" TO "sink_migrator"' in str(caught.value)
    assert 'GRANT CREATE ON SCHEMA public TO "sink_migrator"' in str(caught.value)


def test_revisions_that_these_scripts_do_not_have() -> None:
    refuse_unknown_revisions(["0001"], ["0002", "0001"])
    with pytest.raises(DefinitionError, match="revision 0003"):
        refuse_unknown_revisions(["0003"], ["0002", "0001"])


@pytest.mark.parametrize("installed", ["2.19.3", "2.25.1"])
def test_versions_with_faulty_upserts_are_refused_for_the_columnstore(installed: str) -> None:
    with pytest.raises(DefinitionError, match=r"2\.25\.2 is the oldest"):
        refuse_old_for_columnstore(replace(GOOD, installed=installed))


def test_the_first_version_without_those_faults_may_have_the_columnstore() -> None:
    refuse_old_for_columnstore(replace(GOOD, offered="2.28.0", installed="2.25.2"))
