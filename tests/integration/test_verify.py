"""What a verification reads of the real database: ledger, quarantine, rows exactly as messages would say them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import polars as pl
import pytest
from sqlalchemy import Engine, make_url, text

from sink.datasets import DATASETS
from sink.db import accounts, scan
from sink.db.accounts import snapshot
from sink.db.connect import open_connection
from sink.db.models import table_of
from sink.db.rows_at import rows_near
from sink.errors import ConfigError, SinkError, TransientError
from sink.flush import Flusher
from sink.inspection.chain import Judged, Standing, judge
from sink.inspection.compare import Scope, Verdict, compare, versions
from sink.ledger import Source, Start
from tests.build import NOON, TOPIC, Told, batch, decoded, messages
from tests.fix_database import in_database

TRADES = DATASETS["trades"]
SINK = Source(sink_id="sink.trades", topic=TOPIC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def flusher(database_url: str) -> Iterator[Flusher]:
    made = Flusher(
        dataset=TRADES,
        source=SINK,
        owner="me",
        connect=lambda: open_connection(database_url, application_name="test verify"),
    )
    yield made
    made.close()


@pytest.fixture
def reader_url(database_url: str) -> str:
    """URL of this test's database for the role that only reads."""
    name = make_url(database_url).database or ""
    return in_database(database_url, name, user="sink_reader").render_as_string(hide_password=False)


def written(flusher: Flusher, told: list[Told]) -> None:
    """Claim partition 0, where it stands or at its beginning, and flush messages."""
    claim = flusher.claim(Start(partition=0, log_start=0, initial={}), uuid4())
    assert flusher.flush(batch(told, {0: claim.start}), {0: claim}).durable


def judged(url: str, end: int) -> Judged:
    """Judge partition 0 of a log that ends there."""
    with snapshot(url) as session:
        stored = accounts.stored(session, SINK.sink_id, TOPIC)
        return judge(
            Standing(partition=0, position=stored.positions[0], log=(0, end)),
            accounts.entries(session, SINK.sink_id, TOPIC, 0),
            accounts.replayed(session, SINK.sink_id, TOPIC, 0),
            (0, end),
        )


def numbered(offsets: range) -> list[Told]:
    return [Told(partition=0, offset=offset, trade_id=offset) for offset in offsets]


def test_what_flushes_rewinds_and_skips_leave_in_the_ledger_is_whole(
    flusher: Flusher, reader_url: str, engine: Engine
) -> None:
    written(flusher, numbered(range(10)))
    written(flusher, [*numbered(range(10, 14)), Told(partition=0, offset=14, trade_id=None)])
    flusher.move({0: 5})
    written(flusher, numbered(range(5, 10)))
    flusher.move({0: 20}, reason="test data")

    found = judged(reader_url, 20)

    assert (found.faults, found.proven, found.left_out) == ([], (0, 20), [(15, 20)])
    assert (found.counts["rewinds"], found.counts["messages"], found.counts["quarantined"]) == (1, 20, 1)
    with snapshot(reader_url) as session:
        assert accounts.quarantined(session, SINK.sink_id, TOPIC, {0: (0, 20)}) == [(0, 14, False)]
        assert accounts.quarantined(session, SINK.sink_id, TOPIC, {0: (0, 14)}) == []
        kinds = [entry.kind for entry in accounts.covering(session, SINK.sink_id, TOPIC, 0, 6)]
        assert accounts.others(session, SINK.sink_id, "trades") == []
        assert accounts.others(session, "blue.trades", "trades") == [SINK.sink_id]
    assert kinds == ["flush", "flush"]

    with engine.begin() as connection:
        connection.execute(text('UPDATE sink.quarantine SET "offset" = 18'))
        connection.execute(text("UPDATE sink.flushes SET from_offset = 2 WHERE from_offset = 0"))
        connection.execute(text("UPDATE sink.positions SET next_offset = 19"))
    broken = judged(reader_url, 20)
    assert [fault.kind.value for fault in broken.faults] == ["sum", "quarantine", "position"]
    assert broken.proven == (2, 19)


def test_rows_are_read_as_their_messages_say_them(flusher: Flusher, reader_url: str) -> None:
    awkward = [
        Told(partition=0, offset=0, trade_id=1, symbol='A",\n\\N;é', price="0.000000000000000001"),
        Told(partition=0, offset=1, trade_id=-(2**63), price="-12345678901234567890.123456789012345678"),
        Told(partition=0, offset=2, trade_id=3, side="buy", trade_ts=NOON + timedelta(microseconds=1)),
        Told(partition=0, offset=3, trade_id=4, at=NOON + timedelta(milliseconds=7), symbol="NULL"),
    ]
    written(flusher, awkward)

    with snapshot(reader_url) as session:
        rows = pl.concat(scan.scan(session, table_of(TRADES.model), time="trade_ts", window=None))
        few = pl.concat(
            scan.scan(session, table_of(TRADES.model), time="trade_ts", window=(NOON + SECOND / 1e6, NOON + SECOND))
        )

    told = versions(messages(awkward), decoded(awkward), clock="record")
    scope = Scope(ranges={0: (0, 4)}, partitions=[0], horizon=None)
    assert compare(told, rows, TRADES, scope)["verdict"].to_list() == [Verdict.EQUAL.value] * 4
    assert few["trade_id"].to_list() == [3]


def test_what_no_message_can_hold_is_never_equal(flusher: Flusher, reader_url: str, engine: Engine) -> None:
    told = numbered(range(2))
    written(flusher, told)
    with engine.begin() as connection:
        connection.execute(text("UPDATE trades SET price = 'NaN' WHERE trade_id = 0"))
        connection.execute(text("UPDATE trades SET observed_at = 'infinity' WHERE trade_id = 1"))

    with snapshot(reader_url) as session:
        rows = pl.concat(scan.scan(session, table_of(TRADES.model), time="trade_ts", window=None))

    said = versions(messages(told), decoded(told), clock="record")
    scope = Scope(ranges={0: (0, 2)}, partitions=[0], horizon=None)
    assert compare(said, rows, TRADES, scope)["verdict"].to_list() == [Verdict.CHANGED.value] * 2


def test_a_database_that_goes_away_in_the_middle_is_one_sentence(reader_url: str, engine: Engine) -> None:
    def scan_without_a_server() -> None:
        with snapshot(reader_url) as session:
            pid = session.scalar(text("SELECT pg_backend_pid()"))
            with engine.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            list(scan.scan(session, table_of(TRADES.model), time="trade_ts", window=None))

    with pytest.raises(TransientError):
        scan_without_a_server()


def test_messages_that_ended_the_process_are_known_until_they_have_passed(reader_url: str, engine: Engine) -> None:
    kept = (
        'INSERT INTO sink.quarantine (sink_id, topic, partition, "offset", reason, error, replayed_at) VALUES'
        " (:sink_id, :topic, 0, 1, 'crash', '', NULL), (:sink_id, :topic, 0, 2, 'crash', '', now()),"
        " (:sink_id, :topic, 0, 3, 'decode', '', NULL), ('another', :topic, 0, 4, 'crash', '', NULL)"
    )
    with engine.begin() as connection:
        connection.execute(text(kept), {"sink_id": SINK.sink_id, "topic": SINK.topic})
    with snapshot(reader_url) as session:
        assert accounts.deadly(session, SINK.sink_id, SINK.topic) == {(0, 1)}


def test_a_verification_cannot_write(writer_url: str) -> None:
    with pytest.raises(SinkError, match="read-only"), snapshot(writer_url) as session:
        session.execute(text("DELETE FROM sink.quarantine"))


def test_the_nearest_time_wins_and_nothing_is_told_with_what_there_is(flusher: Flusher, reader_url: str) -> None:
    written(
        flusher,
        [
            replace(one, trade_ts=NOON + seconds * SECOND)
            for one, seconds in zip(numbered(range(4)), (0, 0, 10, 13), strict=True)
        ],
    )

    def near(seconds: float, symbol: str = "BTCUSDT", within: int = 5, limit: int = 9) -> tuple[list[int], bool]:
        with snapshot(reader_url) as session:
            found = rows_near(
                session,
                table_of(TRADES.model),
                time="trade_ts",
                wanted={"symbol": symbol},
                at=NOON + seconds * SECOND,
                within=within * SECOND,
                limit=limit,
            )
        return [row["trade_id"] for row in found.rows], found.more

    assert near(0) == ([0, 1], False)
    assert near(0, limit=1) == ([0], True)
    assert near(11) == ([2], False)
    assert near(12) == ([3], False)
    with pytest.raises(ConfigError, match="it has rows from 2026-06-02 12:00:00 to 2026-06-02 12:00:13"):
        near(60)
    with pytest.raises(ConfigError, match="trades has no row of NOBODY"):
        near(0, "NOBODY")
