"""PostgreSQL over TLS: verify-full works, and every reason why it does not is named with its cure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from sink.datasets import DATASETS
from sink.db.connect import open_connection
from sink.db.tls import hopeless
from sink.errors import DefinitionError, TransientError
from sink.flush import Flusher
from sink.ledger import Source
from tests.fix_sink import Market
from tests.integration.security.certificates import Authority
from tests.integration.security.secured import DATABASE_PASSWORD, SecuredDatabase

USER = "tls_user"


@pytest.fixture
def database(tls_database: SecuredDatabase) -> Iterator[SecuredDatabase]:
    with psycopg.connect(tls_database.administrator_url(), autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {USER}")
        connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{DATABASE_PASSWORD}'")
    yield tls_database
    tls_database.serve(tls_database.good)


def test_verify_full_is_accepted_and_the_connection_is_encrypted(database: SecuredDatabase) -> None:
    url = database.verified(USER)
    with open_connection(url, application_name="test") as connection:
        row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    assert row == (True,)
    assert hopeless(url, os.environ) is None


def test_several_hosts_are_tried_in_turn(database: SecuredDatabase) -> None:
    url = make_url(database.verified(USER))
    several = url.set(host=None, port=None, query={**url.query, "host": ("localhost:1", f"localhost:{url.port}")})
    open_connection(several.render_as_string(hide_password=False), application_name="test").close()


REFUSALS: dict[str, tuple[str, Callable[[SecuredDatabase, Authority], str]]] = {
    "unknown authority": (
        "signed by an authority that is not trusted here",
        lambda database, stranger: database.verified(USER, authority=stranger),
    ),
    "expired": ("has expired: renew it", lambda database, _: serving(database, "expired")),
    "other host": ("is for another host name: connect by a name", lambda database, _: serving(database, "elsewhere")),
    "no file": (
        "the file of authorities /no/such.pem does not exist",
        lambda database, _: database.login(USER, sslmode="verify-full", sslrootcert="/no/such.pem"),
    ),
}


def serving(database: SecuredDatabase, certificate: str) -> str:
    database.serve(getattr(database, certificate))
    return database.verified(USER)


@pytest.mark.parametrize("fault", REFUSALS)
def test_fault_39_a_certificate_that_is_refused_is_named_with_its_cure(
    database: SecuredDatabase, stranger: Authority, fault: str
) -> None:
    words, url_of = REFUSALS[fault]
    url = url_of(database, stranger)
    with pytest.raises(TransientError, match="comes about"):
        open_connection(url, application_name="test")
    refused = hopeless(url, os.environ)
    assert isinstance(refused, DefinitionError)
    assert words in str(refused)
    assert "sslrootcert" in str(refused)
    assert DATABASE_PASSWORD not in str(refused)


def test_fault_39_a_server_without_tls_is_named(server_database_url: str, authority: Authority) -> None:
    url = make_url(server_database_url).update_query_dict(
        {"sslmode": "verify-full", "sslrootcert": str(authority.certificate)}
    )
    refused = hopeless(url.render_as_string(hide_password=False), os.environ)
    assert "offers no TLS: set ssl = on" in str(refused)


def test_fault_39_a_certificate_that_expires_while_the_sink_runs_is_waited_for(database: SecuredDatabase) -> None:
    """What a flush or claim raises keeps the batch and is tried again; the warning has libpq's words."""
    url = serving(database, "expired")
    flusher = Flusher(
        dataset=DATASETS["trades"],
        source=Source(sink_id="sink.trades", topic="market.trades"),
        owner="test",
        connect=lambda: open_connection(url, application_name="test"),
    )
    with pytest.raises(TransientError, match="certificate verify failed"):
        flusher.positions()


def test_fault_39_run_ends_at_its_start_with_the_cause(database: SecuredDatabase, market: Market) -> None:
    done = market.sink("run", "trades", SINK_LOG__FORMAT="json", DATABASE_URL=serving(database, "expired"))
    assert done.returncode == DefinitionError.exit_code, done.stderr
    assert "has expired" in done.stderr.splitlines()[-1]
