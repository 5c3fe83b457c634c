"""Housekeeping on a real database, as the writer's role: chunks, ledger, and what it does to flushes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, text

from sink.db import accounts
from sink.db.connect import conninfo
from sink.db.upkeep import Dropped, Upkeep
from sink.errors import DefinitionError, TransientError
from sink.inspection.chain import Judged, Standing, judge
from tests.fix_database import plain_engine
from tests.fix_sink import Market, wait_until

TRADE = "INSERT INTO trades (symbol, trade_ts, trade_id, price, quantity, is_buyer_maker) VALUES"
OLD = f"{TRADE} ('OLD', now() - INTERVAL '60 days', 1, 1, 1, true)"
OLD_CANDLE = (
    "INSERT INTO candles_1m (symbol, bucket_start, open, high, low, close, volume)"
    " VALUES ('OLD', now() - INTERVAL '400 days', 1, 1, 1, 1, 1)"
)
WAITING = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
SINK, TOPIC = "sink.trades", "market.trades"
KEEP = timedelta(days=30)


@pytest.fixture
def upkeep(writer_url: str) -> Upkeep:
    return Upkeep(writer_url, application_name="test housekeeping")


@pytest.fixture
def beside(database_url: str) -> Iterator[psycopg.Connection]:
    """Give somebody else's connection."""
    with psycopg.connect(**conninfo(database_url)) as connection:  # type: ignore[arg-type]  # conninfo values
        yield connection


def change(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def waiting_for_locks(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.scalars(WAITING))


def symbols(engine: Engine, table: str = "trades") -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text(f"SELECT symbol FROM {table} ORDER BY symbol")))


@pytest.mark.needs_apache
def test_expired_chunks_of_one_table_are_dropped(engine: Engine, upkeep: Upkeep) -> None:
    change(engine, OLD, OLD_CANDLE, f"{TRADE} ('NEW', now(), 1, 1, 1, true)")
    dropped = upkeep.drop_expired("trades")
    assert dropped.outcome == "done"
    assert len(dropped.chunks) == 1
    assert symbols(engine) == ["NEW"]
    assert symbols(engine, "candles_1m") == ["OLD"]
    assert upkeep.drop_expired("trades") == Dropped(outcome="done", chunks=[])


@pytest.mark.needs_apache
def test_a_table_that_is_kept_for_ever_or_unknown_loses_nothing(engine: Engine, upkeep: Upkeep) -> None:
    change(engine, OLD, "SELECT sink.set_retention('trades', NULL)")
    assert upkeep.drop_expired("trades") == Dropped(outcome="done", chunks=[])
    assert symbols(engine) == ["OLD"]
    with pytest.raises(DefinitionError, match="sink migrate"):
        upkeep.drop_expired("liquidations")


@pytest.mark.needs_apache
def test_while_another_replica_drops_we_do_not(engine: Engine, upkeep: Upkeep, beside: psycopg.Connection) -> None:
    """Of the same table: that of another one is no business of that replica's."""
    change(engine, OLD, OLD_CANDLE)
    assert beside.execute("SELECT cardinality(sink.drop_expired_chunks('trades'))").fetchone() == (1,)
    assert upkeep.drop_expired("trades").outcome == "locked_elsewhere"
    assert upkeep.drop_expired("candles_1m").outcome == "done"
    beside.rollback()
    assert len(upkeep.drop_expired("trades").chunks) == 1


@pytest.mark.needs_apache
def test_a_reader_of_an_old_chunk_puts_it_off(engine: Engine, upkeep: Upkeep, beside: psycopg.Connection) -> None:
    """A long query is neither cancelled nor waited for beyond seconds, and other tables are not kept waiting."""
    change(engine, OLD, OLD_CANDLE)
    assert beside.execute("SELECT count(*) FROM trades").fetchone() == (1,)
    with pytest.raises(TransientError, match="lock"):
        upkeep.drop_expired("trades")
    assert len(upkeep.drop_expired("candles_1m").chunks) == 1
    beside.rollback()
    assert len(upkeep.drop_expired("trades").chunks) == 1


@pytest.mark.needs_apache
def test_a_query_that_has_only_begun_with_an_old_chunk_is_no_victim(
    engine: Engine, upkeep: Upkeep, beside: psycopg.Connection
) -> None:
    """It has the chunk and wants its index: whoever drops must not hold the index while waiting for the chunk."""
    change(engine, OLD)
    [(chunk,)] = beside.execute("SELECT show_chunks('trades')::text").fetchall()
    beside.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.SQL(chunk)))
    with ThreadPoolExecutor(1) as pool:
        dropping = pool.submit(upkeep.drop_expired, "trades")
        wait_until(lambda: len(waiting_for_locks(engine)) == 1, "the drop waits for the chunk")
        assert beside.execute("SELECT symbol FROM trades").fetchall() == [("OLD",)]
        beside.rollback()
        assert len(dropping.result().chunks) == 1


@pytest.mark.needs_apache
def test_chunks_from_the_first_one_in_use_on_are_left_to_the_next_turn(
    engine: Engine, upkeep: Upkeep, beside: psycopg.Connection
) -> None:
    """While older ones are locked no other is waited for: its reader may want those."""
    change(engine, OLD, OLD.replace("60 days", "50 days"), OLD.replace("60 days", "40 days"))
    beside.execute(
        "SELECT symbol FROM trades WHERE trade_ts BETWEEN now() - INTERVAL '51 d' AND now() - INTERVAL '49 d'"
    )
    assert len(upkeep.drop_expired("trades").chunks) == 1
    assert symbols(engine) == ["OLD", "OLD"]
    beside.rollback()
    assert len(upkeep.drop_expired("trades").chunks) == 2


@pytest.mark.needs_apache
def test_a_drop_under_way_holds_up_no_flush(engine: Engine, beside: psycopg.Connection) -> None:
    """It locks the dropped chunk alone: rows go into the present one, a future one, and an old one that is new."""
    change(engine, OLD, f"{TRADE} ('NOW', now(), 1, 1, 1, true)")
    beside.execute("SELECT sink.drop_expired_chunks('trades')")
    for when in ("now()", "now() + INTERVAL '20 hours'", "now() + INTERVAL '4 days'", "now() - INTERVAL '90 days'"):
        change(engine, "SET LOCAL lock_timeout = '100ms'", f"{TRADE} ('MORE', {when}, 2, 1, 1, true)")
    beside.commit()
    assert symbols(engine) == ["MORE"] * 4 + ["NOW"]


@pytest.mark.needs_apache
def test_the_writer_may_drop_nothing_but_what_has_expired(engine: Engine, writer_url: str) -> None:
    change(engine, OLD, "CREATE TABLE notes (a int)", "GRANT ALL ON notes TO sink_writer")
    with plain_engine(writer_url).begin() as connection:
        assert connection.scalar(text("SELECT sink.drop_expired_chunks('notes')")) == []
        assert len(connection.scalar(text("SELECT sink.drop_expired_chunks('trades')"))) == 1


def test_tables_and_quarantine_are_measured(engine: Engine, upkeep: Upkeep) -> None:
    change(
        engine,
        OLD,
        'INSERT INTO sink.quarantine (sink_id, topic, partition, "offset", reason, error)'
        f" VALUES ('{SINK}', '{TOPIC}', 0, 1, 'framing', 'e'), ('other', '{TOPIC}', 0, 2, 'framing', 'e')",
    )
    measured = upkeep.measured("trades")
    assert measured is not None
    assert measured.chunks == 1
    assert measured.size > 0
    assert measured.oldest is not None
    assert measured.oldest < datetime.now(UTC) - timedelta(days=59)
    assert upkeep.quarantined(sink_id=SINK, topic=TOPIC).waiting == 1
    assert upkeep.measured("liquidations") is None


def ledger(engine: Engine, *entries: tuple[str, int, int, str, int], partition: int = 0, sink_id: str = SINK) -> None:
    """Write entries (kind, from, to, replay id, days ago) and the position where they end."""
    with engine.begin() as connection:
        for kind, start, end, replay, days in entries:
            connection.execute(
                text(
                    "INSERT INTO sink.flushes (sink_id, topic, partition, from_offset, to_offset, claim_seq, owner,"
                    " kind, replay_id, messages, rows_written, opened_at, committed_at) VALUES (:sink_id, :topic,"
                    " :partition, :start, :end, 1, 'o', :kind, :replay, :count, :count,"
                    " now() - make_interval(days => :days), now() - make_interval(days => :days))"
                ),
                {
                    "sink_id": f"{sink_id}/replay/{replay}" if replay else sink_id,
                    "topic": TOPIC,
                    "partition": partition,
                    "start": start,
                    "end": end,
                    "kind": kind,
                    "replay": replay or None,
                    "count": end - start if kind in ("flush", "replay") else 0,
                    "days": days,
                },
            )
        last = [end for _, _, end, replay, _ in entries if not replay][-1]
        connection.execute(
            text(
                "INSERT INTO sink.positions (sink_id, topic, partition, next_offset, claim_token, claim_seq, owner)"
                " VALUES (:sink_id, :topic, :partition, :last, gen_random_uuid(), 1, 'o')"
            ),
            {"sink_id": sink_id, "topic": TOPIC, "partition": partition, "last": last},
        )


def left(engine: Engine, partition: int = 0) -> list[tuple[str, int, int]]:
    query = text("SELECT kind, from_offset, to_offset FROM sink.flushes WHERE partition = :number ORDER BY id")
    with engine.connect() as connection:
        return [(row[0], row[1], row[2]) for row in connection.execute(query, {"number": partition})]


def judged(database_url: str, engine: Engine, partition: int = 0) -> Judged:
    """Judge a partition's chain as `sink verify` does."""
    with engine.connect() as connection:
        position = connection.scalar(text(f"SELECT next_offset FROM sink.positions WHERE partition = {partition}"))
    assert position is not None
    with accounts.snapshot(database_url) as session:
        return judge(
            Standing(partition=partition, position=position, log=(0, position)),
            accounts.entries(session, SINK, TOPIC, partition),
            accounts.replayed(session, SINK, TOPIC, partition),
            (0, position),
        )


def test_the_oldest_entries_go_and_the_chain_stays_whole(engine: Engine, database_url: str, upkeep: Upkeep) -> None:
    ledger(
        engine,
        ("flush", 0, 100, "", 90),
        ("rewind", 100, 50, "", 80),
        ("flush", 50, 200, "", 70),
        ("flush", 200, 300, "", 20),
        ("flush", 300, 400, "", 0),
    )
    assert upkeep.prune_flushes(sink_id=SINK, topic=TOPIC, keep=KEEP) == 3
    assert left(engine) == [("flush", 200, 300), ("flush", 300, 400)]
    found = judged(database_url, engine)
    assert found.faults == []
    assert found.proven == (200, 400)
    assert "the ledger proves it from offset 200 on" in found.notes[0]
    assert upkeep.prune_flushes(sink_id=SINK, topic=TOPIC, keep=KEEP) == 0


def test_an_old_entry_behind_a_young_one_stays(engine: Engine, database_url: str, upkeep: Upkeep) -> None:
    """The server's clock may have gone back: removing it would tear a hole."""
    ledger(engine, ("flush", 0, 100, "", 90), ("flush", 100, 200, "", 10), ("flush", 200, 300, "", 60))
    assert upkeep.prune_flushes(sink_id=SINK, topic=TOPIC, keep=KEEP) == 1
    assert left(engine) == [("flush", 100, 200), ("flush", 200, 300)]
    assert judged(database_url, engine).faults == []


def test_a_partition_at_rest_keeps_all(engine: Engine, database_url: str, upkeep: Upkeep) -> None:
    """Its last entry left something out that an older replay had read: without that it would look lost."""
    ledger(
        engine,
        ("flush", 0, 100, "", 95),
        ("skip", 100, 200, "", 90),
        ("replay", 100, 200, "r1", 80),
    )
    change(
        engine,
        f"INSERT INTO sink.replays (id, sink_id, topic, ranges, owner) VALUES ('r1', '{SINK}', '{TOPIC}', '[]', 'o')",
    )
    assert upkeep.prune_flushes(sink_id=SINK, topic=TOPIC, keep=KEEP) == 0
    assert judged(database_url, engine).left_out == []


def test_old_replays_go_with_the_entries_of_their_time(engine: Engine, upkeep: Upkeep) -> None:
    """A replay of young messages stays, and so does all of a sink whose name begins like ours."""
    ledger(engine, ("flush", 0, 10, "", 90), sink_id=f"{SINK}x")
    ledger(
        engine,
        ("flush", 0, 100, "", 90),
        ("replay", 0, 50, "r1", 80),
        ("flush", 100, 200, "", 10),
        ("replay", 120, 130, "r2", 5),
    )
    assert upkeep.prune_flushes(sink_id=SINK, topic=TOPIC, keep=KEEP) == 2
    assert left(engine) == [("flush", 0, 10), ("flush", 100, 200), ("replay", 120, 130)]


def test_a_long_ledger_is_pruned_in_parts(engine: Engine, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sink.db.upkeep.PRUNED_AT_ONCE", 3)
    for partition in (0, 1):
        ledger(
            engine,
            *(("flush", step, step + 1, "", 90 - step) for step in range(8)),
            ("flush", 8, 9, "", 0),
            partition=partition,
        )
    assert upkeep.prune_flushes(sink_id=SINK, topic=TOPIC, keep=KEEP) == 16
    assert left(engine) == left(engine, 1) == [("flush", 8, 9)]


def test_entries_that_another_session_holds_are_left_to_it(
    engine: Engine, upkeep: Upkeep, beside: psycopg.Connection
) -> None:
    ledger(engine, ("flush", 0, 1, "", 90), ("flush", 1, 2, "", 80), ("flush", 2, 3, "", 0))
    beside.execute("DELETE FROM sink.flushes WHERE from_offset = 0")
    assert upkeep.prune_flushes(sink_id=SINK, topic=TOPIC, keep=KEEP) == 1
    beside.commit()
    assert left(engine) == [("flush", 2, 3)]


@pytest.mark.needs_apache
def test_a_late_row_that_waits_for_the_drop_is_written_anew(
    engine: Engine, database_url: str, beside: psycopg.Connection
) -> None:
    """The fast path's COPY comes for a chunk that is being dropped: it waits, and makes the chunk again."""
    change(engine, OLD)
    beside.execute("SELECT sink.drop_expired_chunks('trades')")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(copy_late, database_url)
        wait_until(lambda: waits_for_lock(engine), "the COPY waits")
        beside.commit()
        waiting.result(30)
    assert symbols(engine) == ["LATE"]


def copy_late(database_url: str) -> None:
    row = ("LATE", datetime.now(UTC) - timedelta(days=60), 1, 1, 1, True)
    with psycopg.connect(**conninfo(database_url), application_name="late") as connection:  # type: ignore[arg-type]
        columns = "symbol, trade_ts, trade_id, price, quantity, is_buyer_maker"
        with connection.cursor() as cursor, cursor.copy(f"COPY trades ({columns}) FROM STDIN") as copy:
            copy.write_row(row)


def waits_for_lock(engine: Engine) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'late' AND wait_event_type = 'Lock'"
    with engine.connect() as connection:
        return bool(connection.execute(text(query)).scalar_one())


@pytest.mark.needs_apache
def test_run_drops_and_prunes_beside_its_loops(market: Market) -> None:
    """`sink run` does, as the writer's role."""
    market.execute(OLD)
    market.execute(
        "INSERT INTO sink.flushes (sink_id, topic, partition, from_offset, to_offset, claim_seq, owner, kind,"
        f" opened_at, committed_at) SELECT '{market.group}.trades', '{market.topic('trades')}', 0, 0, 0, 0, 'o',"
        " 'skip', at, at FROM unnest(ARRAY[now() - INTERVAL '3 days', now()]) AS at"
    )
    variables = {"SINK_HOUSEKEEPING__EVERY": "0.05", "SINK_HOUSEKEEPING__LEDGER_DAYS": "2"}
    with market.start("run", "trades", **variables) as running:
        running.until(lambda: market.rows("SELECT symbol FROM trades") == [], "the expired chunk is dropped")
        running.until(lambda: market.rows("SELECT count(*) FROM sink.flushes") == [(1,)], "the old entry is gone")
        running.signal(signal.SIGTERM)
        assert running.end() == 0, running.output
    told = {record["event"] for record in running.records()}
    assert {"dropped what is older than its retention", "removed old entries of the ledger"} <= told


@pytest.mark.needs_apache
def test_a_backfill_drops_nothing(market: Market) -> None:
    """`--until-caught-up` may be filling a table with what is old; here it stands still in its claim for a second."""
    market.execute(OLD)
    market.send("trades", [None])
    caught_up = ("run", "trades", "--until-caught-up")
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name ~ '^sink trades' AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(**conninfo(market.administrator_url)) as beside:  # type: ignore[arg-type]  # conninfo values
        beside.execute("LOCK TABLE sink.positions")
        with market.start(*caught_up, SINK_HOUSEKEEPING__EVERY="0.05") as running:
            running.until(lambda: market.rows(waiting) == [(1,)], "its claim waits")
            for _ in range(20):
                assert market.rows("SELECT symbol FROM trades") == [("OLD",)]
                time.sleep(0.05)
            beside.rollback()
            assert running.end() == 0, running.output
