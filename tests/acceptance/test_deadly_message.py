"""A message that kills the process halts its own partition after three deaths, instead of a crash loop."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastavro import parse_schema, schemaless_writer

from sink.avro.framing import frame_single_object
from sink.avro.schemas import shipped_schema, without_logical_types
from tests.deadly import DEADLY
from tests.fix_database import REPOSITORY
from tests.fix_sink import Market, Process

NOON = 1_780_401_600_000_000
SHIPPED = shipped_schema("trades")
QUICK = {"SINK_KAFKA__SESSION_TIMEOUT_MS": "1000", "SINK_KAFKA__HEARTBEAT_INTERVAL_MS": "300"}
BEFORE, AFTER, ELSEWHERE = 4, 3, 5


def trade(number: int, symbol: str = "BTCUSDT") -> bytes:
    one = (10**18).to_bytes(8, "big")
    record = {
        "symbol": symbol,
        "trade_ts": NOON,
        "trade_id": number,
        "price": one,
        "quantity": one,
        "is_buyer_maker": True,
        "side": None,
        "observed_at": None,
    }
    file = io.BytesIO()
    schemaless_writer(file, parse_schema(without_logical_types(SHIPPED.json)), record)
    return frame_single_object(SHIPPED.fingerprint, file.getvalue())


@contextmanager
def started(market: Market, number: int, **variables: str) -> Iterator[Process]:
    """Run the sink with the deadly decoder."""
    output: Path = market.directory / f"{number}.log"
    environment = {**QUICK, "PYTHONPATH": str(REPOSITORY), **variables}
    with output.open("wb") as file:
        popen = subprocess.Popen(
            [sys.executable, "-m", "tests.deadly", "trades"],
            cwd=market.directory,
            env=market.environment(environment),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process = Process(popen, output)
    try:
        yield process
    finally:
        process.kill()


def positions(market: Market) -> dict[int, int]:
    return dict(market.rows("SELECT partition, next_offset FROM sink.positions"))


def test_fault_09_a_deadly_message_halts_its_partition_and_can_be_set_aside(market: Market) -> None:
    deadly = trade(99, symbol=DEADLY.decode())
    market.send("trades", [*map(trade, range(BEFORE)), deadly, *map(trade, range(4, 4 + AFTER))], partition=0)
    market.send("trades", [*map(trade, range(100, 100 + ELSEWHERE))], partition=1)

    for number in range(3):
        with started(market, number) as process:
            assert process.end() == -signal.SIGKILL, process.output

    with started(market, 3) as process:
        process.until(lambda: "partition halted" in process.output, "the partition is halted")
        process.until(lambda: positions(market) | {2: 0, 3: 0} == {0: BEFORE, 1: ELSEWHERE, 2: 0, 3: 0}, "others flow")
        process.signal(signal.SIGTERM)
        assert process.end() == 0, process.output
        assert f"decoding offset {BEFORE} of {market.topic('trades')}/0 ended the process 3 times" in process.output
        assert "SINK_ON_CRASH=quarantine" in process.output
    assert market.rows("SELECT * FROM sink.quarantine") == []

    with started(market, 4, SINK_ON_CRASH="quarantine") as process:
        process.until(lambda: positions(market).get(0) == BEFORE + 1 + AFTER, "the partition flows again")

    kept = market.rows('SELECT partition, "offset", reason, value FROM sink.quarantine')
    assert [(*place, bytes(value)) for *place, value in kept] == [(0, BEFORE, "crash", deadly)]
    assert [row[2] for row in market.contract("trades")] == [*range(BEFORE + AFTER), *range(100, 100 + ELSEWHERE)]
    market.check_ledger(messages=BEFORE + 1 + AFTER + ELSEWHERE)
