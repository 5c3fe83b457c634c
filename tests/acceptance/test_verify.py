"""``sink verify`` as a command, on the real broker and database."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sink.datasets import DATASETS
from sink.db import session_scope
from sink.db.payloads import CandlePayload, TradePayload
from sink.db.repository import upsert_trades
from sink.producing.simulator import Plan, simulate
from tests.fix_sink import Market, wait_until

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)
TRADES = Plan(
    start=NOON,
    duration=timedelta(minutes=20),
    symbols=tuple(f"S{number}" for number in range(8)),
    trades=3000,
    datasets=frozenset({"trades"}),
)
CANDLES = Plan(
    start=NOON,
    duration=timedelta(days=2),
    symbols=("BTCUSDT",),
    trades=1,
    datasets=frozenset({"candles_1m"}),
)


def verified(market: Market, *arguments: str, code: int = 0, **variables: str) -> Any:
    """Run ``sink verify`` with JSON as the reader role, and check how it ends."""
    done = market.sink("verify", *arguments, "--json", DATABASE_URL=market.url_of("sink_reader"), **variables)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def told(document: Any) -> dict[str, int]:
    """Give the verdicts that were met."""
    return {name: count for name, count in document["deep"]["verdicts"].items() if count}


SHAPE = {"dataset", "sink_id", "topic", "clean", "partitions", "faults", "deep", "ranges", "replay", "notes"}
DEEP_SHAPE = {
    *("partitions", "messages", "bad", "rows", "verdicts", "unquarantined", "columns", "samples", "delete_first"),
    *("seconds", "rate"),
}
PARTITION_SHAPE = {
    *("partition", "position", "log_start", "log_end", "proven_from", "proven_to", "unread", "entries", "rewinds"),
    *("messages", "written", "not_newer", "deduplicated", "ignored", "late", "quarantined"),
}
"""What docs/verify.md says."""


def trade(number: int, at: datetime) -> TradePayload:
    """Make a trade of a symbol of its own."""
    return TradePayload(
        symbol="OTHER", trade_ts=at, trade_id=number, price=Decimal(7), quantity=Decimal(1), is_buyer_maker=True
    )


def test_every_kind_of_difference_is_told_and_what_a_replay_can_mend_is_mended(market: Market) -> None:
    old = trade(1, datetime.now(UTC) - timedelta(days=40))
    market.produce([*simulate(TRADES), old, trade(2, NOON)])
    market.send("trades", [b"rubbish"], partition=1)
    market.caught_up("trades")
    before = market.table("trades")

    clean = verified(market, "trades", "--deep")
    assert (clean["clean"], told(clean), clean["deep"]["bad"]) == (True, {"equal": 3002}, 1)
    assert (set(clean), set(clean["deep"])) == (SHAPE, DEEP_SHAPE)
    assert all(set(one) == PARTITION_SHAPE for one in clean["partitions"])
    assert sum(one["messages"] for one in clean["partitions"]) == 3003
    assert sum(one["quarantined"] for one in clean["partitions"]) == 1
    assert (clean["replay"], clean["ranges"], clean["faults"], clean["notes"]) == ([], [], [], [])

    ids = [row[0] for row in market.rows("SELECT trade_id FROM trades WHERE symbol = 'S3' ORDER BY trade_id LIMIT 7")]
    of = "symbol = 'S3' AND trade_id ="
    others = "trade_ts, trade_id, price, quantity, is_buyer_maker, observed_at, source_partition, source_offset"
    every = f"symbol, {others}"
    further = "observed_at = observed_at {} interval '1 s'"
    for statement in (
        f"DELETE FROM trades WHERE symbol = 'S3' AND trade_id IN ({ids[0]}, {ids[1]})",
        f"UPDATE trades SET price = price + 1 WHERE {of} {ids[2]}",
        f"UPDATE trades SET price = 1, source_offset = source_offset - 1, {further.format('-')} WHERE {of} {ids[3]}",
        f"UPDATE trades SET source_offset = source_offset + 1, {further.format('+')} WHERE {of} {ids[4]}",
        f"INSERT INTO trades ({every}) SELECT 'GHOST', {others} FROM trades WHERE {of} {ids[5]}",
        "DELETE FROM trades WHERE symbol = 'OTHER' AND trade_id = 1",
        "DELETE FROM sink.quarantine",
    ):
        market.execute(statement)
    with session_scope(market.writer_url) as session:
        upsert_trades(session, [replace(trade(2, NOON), price=Decimal(8)), trade(3, NOON)])

    bad = verified(market, "trades", "--deep", code=7)
    assert told(bad) == {
        "equal": 3002 - 7,
        "missing": 2,
        "changed": 1,
        "stale": 1,
        "misnamed": 1,
        "unexpected": 1,
        "expired": 1,
        "overridden": 1,
        "repository": 1,
    }
    assert (bad["deep"]["unquarantined"], bad["deep"]["columns"]) == (1, {"price": 1})
    assert [fault["kind"] for fault in bad["faults"]] == ["quarantine"]
    shown = market.sink("verify", "trades", "--deep", "--svg", str(market.directory / "verify.svg"))
    picture = (market.directory / "verify.svg").read_text()
    assert (shown.returncode, picture[:4], "@font-face" in picture) == (7, "<svg", False)
    for said in ("missing", bad["deep"]["delete_first"], *bad["replay"]):
        assert said in " ".join(shown.stdout.split())

    market.execute(bad["deep"]["delete_first"])
    for command in bad["replay"]:
        done = market.sink(*command.split()[1:])
        assert done.returncode == 0, done.stderr
    mended = verified(market, "trades", "--deep")
    assert (told(mended)["overridden"], told(mended)["repository"]) == (1, 1)
    assert set(told(mended)) <= {"equal", "overridden", "repository", "expired"}
    ours = [row for row in before if row[0] != "OTHER"]
    assert [row for row in market.table("trades") if row[0] != "OTHER"] == ours
    part = verified(market, "trades", "--deep", "--from", "1:10", "--to", "1:20")
    assert (part["deep"]["messages"], told(part)["equal"], part["partitions"][0]["proven_from"]) == (10, 10, 10)
    empty = verified(market, "trades", "--from", "1:7", "--to", "1:7")
    assert empty["notes"] == ["partition 1: no offsets in [7, 7)"]


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def test_a_lost_day_of_candles_is_found_foretold_restored_and_proven_while_replicas_are_under_load(
    market: Market, processes: ExitStack
) -> None:
    market.produce(simulate(CANDLES))
    market.caught_up("candles_1m")
    for _ in range(2):
        processes.enter_context(market.start("run", "candles_1m"))
    stop = threading.Event()
    load = threading.Thread(target=keep_producing, args=(market, stop))
    load.start()
    processes.callback(load.join)
    processes.callback(stop.set)
    wait_until(lambda: market.rows("SELECT 1 FROM candles_1m WHERE symbol = 'LOAD' LIMIT 1") != [], "load arrives")
    day = f"symbol = 'BTCUSDT' AND bucket_start >= '{NOON}' AND bucket_start < '{NOON + timedelta(days=1)}'"
    before = market.rows(f"SELECT * FROM candles_1m WHERE {day} ORDER BY bucket_start")
    assert len(before) == 1440
    market.execute(f"DELETE FROM candles_1m WHERE {day}")

    found = verified(market, "candles_1m", "--deep", "--samples", "1", code=7)
    assert (told(found)["missing"], found["faults"]) == (1440, [])
    assert set(told(found)) <= {"equal", "missing", "later"}
    (command,) = found["replay"]
    dry = market.sink(*command.split()[1:], "--dry-run", "--json")
    assert json.loads(dry.stdout)["would_insert"] == 1440
    real = market.sink(*command.split()[1:], "--json")
    assert json.loads(real.stdout)["written"] == 1440

    last = verified(market, "candles_1m", "--deep")
    assert set(told(last)) <= {"equal", "later"}
    after = market.rows(f"SELECT * FROM candles_1m WHERE {day} ORDER BY bucket_start")
    contract = slice(0, len(DATASETS["candles_1m"].columns))
    assert [row[contract] for row in after] == [row[contract] for row in before]
    stop.set()
    load.join()
    wait_until(lambda: not any(one["unread"] for one in verified(market, "candles_1m")["partitions"]), "no lag is left")


def keep_producing(market: Market, stop: threading.Event) -> None:
    """Produce unfinished candles of one minute over and over, each a newer version of the last."""
    with market.producer() as producer:
        count = 0
        while not stop.wait(0.02):
            count += 1
            producer.produce(candle(count))


def candle(count: int) -> CandlePayload:
    price = Decimal(count)
    return CandlePayload(
        symbol="LOAD", bucket_start=NOON, open=price, high=price, low=price, close=price, volume=Decimal(1)
    )


def test_what_makes_no_sense_or_is_away_is_one_sentence_and_an_exit_code(market: Market) -> None:
    nowhere = {"SINK_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    asked: list[tuple[str, int, str, dict[str, str]]] = [
        ("trades", 4, "has no positions in this database", {}),
        ("trades --partitions 9", 2, "there is no partition 9", {}),
        ("trades --from 0:5", 2, "offset 5 of partition 0 lies beyond the log", {}),
        ("trades --from whenever", 2, "'whenever' is neither an offset", {}),
        ("nothing", 2, "no dataset is called nothing", {}),
        ("trades", 3, "broker", nowhere),
        ("trades", 3, "database", {"DATABASE_URL": "postgresql+psycopg://sink_reader@127.0.0.1:1/none"}),
    ]
    for arguments, code, sentence, variables in asked:
        done = market.sink("verify", *arguments.split(), **variables)
        assert (done.returncode, sentence in done.stderr, "Traceback" in done.stderr) == (code, True, False), done


def test_a_signal_ends_it_and_leaves_nothing_behind(market: Market) -> None:
    market.produce(simulate(replace(TRADES, trades=300)))
    market.caught_up("trades")
    held = market.directory / "held"
    held.mkdir()

    with market.start("verify", "trades", "--deep", "--max-rate", "5/s", TMPDIR=str(held)) as process:
        process.until(lambda: list(held.glob("sink-verify-*")) != [], "it has begun to read")
        assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0), "the sink goes first"
        process.signal(signal.SIGTERM)
        assert process.end() == 6

    assert "stopped before the end; nothing was written" in process.output
    assert list(held.iterdir()) == []
