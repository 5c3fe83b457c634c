"""Every database error becomes one of the sink's, with the next step and without secrets."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError, StatementError

from sink.db.errors import parse_url, shown, sqlstate_of, translate
from sink.errors import ConfigError, DefinitionError, SinkError, TransientError


@pytest.mark.parametrize(
    ("state", "kind", "step"),
    [
        ("42501", DefinitionError, "deploy/roles.sql"),
        ("42P01", DefinitionError, "sink migrate"),
        ("42703", DefinitionError, "sink migrate"),
        ("3F000", DefinitionError, "sink migrate"),
        ("58P01", DefinitionError, "ALTER EXTENSION timescaledb UPDATE"),
        ("28P01", ConfigError, "DATABASE_URL"),
        ("3D000", ConfigError, "createdb"),
        ("0A000", DefinitionError, "does not support"),
        ("42601", DefinitionError, "--check"),
        ("55P03", TransientError, "lock"),
        ("57014", TransientError, "longer than allowed"),
        ("57P01", TransientError, "stopping or starting"),
        ("53300", TransientError, "short of resources"),
        ("40P01", TransientError, "another transaction"),
        ("08006", TransientError, "connection"),
        ("25006", TransientError, "no writes"),
        ("25P03", TransientError, "idle"),
    ],
)
def test_by_sqlstate(state: str, kind: type[SinkError], step: str) -> None:
    raised = errors.lookup(state)("said by the server")
    wrapped = DBAPIError("SELECT 1", {}, raised)
    assert sqlstate_of(wrapped) == sqlstate_of(raised) == state
    for error in (raised, wrapped):
        translated = translate(error)
        assert type(translated) is kind
        assert step in str(translated)
        assert translated.sqlstate == state


def test_a_lost_connection_has_no_sqlstate_and_may_come_back() -> None:
    lost = OperationalError("SELECT 1", {}, psycopg.OperationalError("gone"))
    assert sqlstate_of(lost) is None
    assert type(translate(lost)) is TransientError


def test_what_nobody_foresaw_is_still_ours() -> None:
    assert type(translate(errors.lookup("XX000")("internal"))) is SinkError
    assert type(translate(StatementError("bad", "SELECT 1", {}, ValueError("bad")))) is SinkError


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql", "postgres"])
def test_urls_that_mean_psycopg(scheme: str) -> None:
    url = parse_url(f"{scheme}://u:p%40ss@host:1/db")
    assert (url.drivername, url.password, url.database) == ("postgresql+psycopg", "p@ss", "db")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "mysql://u:canary@h/d", "postgresql://u:canary@h", "://canary", "a:b:c"]
)
def test_urls_that_cannot_work_are_not_shown(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(text)
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_databases_are_named_without_secrets() -> None:
    url = URL.create("postgresql+psycopg", "u", "canary", "h", 1, "d")
    assert shown(url) == "d on h:1"
