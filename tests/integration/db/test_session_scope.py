"""session_scope: commits, rolls back, and goes to the database that is named at the time of the call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text

from sink.db import engine_for, session_scope
from sink.db.repository import FundingPayload, latest_funding, upsert_funding

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)
PAYLOAD = FundingPayload(symbol="BTCUSDT", funding_ts=NOON, funding_rate=Decimal("0.0001"))


@pytest.fixture
def url(writer_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DATABASE_URL", writer_url)
    yield writer_url
    engine_for(writer_url).dispose()


@contextmanager
def disposed(url: str) -> Iterator[str]:
    try:
        yield url
    finally:
        engine_for(url).dispose()


def write_then_fail() -> None:
    with session_scope() as session:
        upsert_funding(session, [PAYLOAD])
        raise ZeroDivisionError


@pytest.mark.usefixtures("url")
def test_a_block_that_succeeds_is_committed() -> None:
    with session_scope() as session:
        upsert_funding(session, [PAYLOAD])

    with session_scope() as session:
        assert latest_funding(session, "BTCUSDT") is not None


@pytest.mark.usefixtures("url")
def test_a_block_that_raises_is_rolled_back_and_its_error_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        write_then_fail()

    with session_scope() as session:
        assert latest_funding(session, "BTCUSDT") is None


@pytest.mark.usefixtures("url")
def test_times_come_back_in_utc_after_earlier_blocks_too() -> None:
    with pytest.raises(ZeroDivisionError):
        write_then_fail()

    with session_scope() as session:
        assert session.scalar(text("SHOW TimeZone")) == "UTC"


def test_one_engine_serves_all_calls_for_one_database(url: str) -> None:
    with session_scope() as session:
        assert session.get_bind() is engine_for(url)
    with session_scope(url) as session:
        assert session.get_bind() is engine_for(url)


def test_a_changed_database_url_is_followed(url: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    current = text("SELECT current_database()")
    with session_scope() as session:
        first = session.scalar(current)

    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    with disposed(empty_database_url), session_scope() as session:
        second = session.scalar(current)

    assert url.endswith(f"/{first}")
    assert empty_database_url.endswith(f"/{second}")


def test_a_connection_that_died_in_the_pool_is_replaced(url: str, database_url: str) -> None:
    with session_scope() as session:
        backend = session.scalar(text("SELECT pg_backend_pid()"))
    with disposed(database_url), session_scope(database_url) as administrator:
        administrator.execute(text("SELECT pg_terminate_backend(:backend, 5000)"), {"backend": backend})

    with session_scope(url) as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) != backend
