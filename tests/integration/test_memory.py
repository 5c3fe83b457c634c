"""A database that stalls: partitions pause at the bound, the member stays in its group, nothing is lost."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

from fastavro import parse_schema, schemaless_writer
from sqlalchemy import text

from sink.assignment import State
from sink.avro.framing import frame_single_object
from sink.avro.schemas import shipped_schema, without_logical_types
from sink.cli.run import member_of
from sink.datasets import DATASETS
from sink.settings import load
from sink.supervisor import Member
from tests.fix_database import plain_engine
from tests.fix_sink import LIMIT, Market

MAX_BYTES = 100_000
COUNT = 12_000
STALL = 4.0
"""Seconds: longer than a group waits for a member that does not poll."""
SETTINGS = {
    "SINK_BATCH__MAX_BYTES": str(MAX_BYTES),
    "SINK_BATCH__MAX_AGE": "0.05",
    "SINK_LOCK_TIMEOUT": "1",
    "SINK_CLAIM_PATIENCE": "0.5",
    "SINK_KAFKA__QUEUED_MAX_MESSAGES_KBYTES": "256",
    "SINK_KAFKA__FETCH_MESSAGE_MAX_BYTES": "65536",
    "SINK_KAFKA__SESSION_TIMEOUT_MS": "3000",
    "SINK_KAFKA__MAX_POLL_INTERVAL_MS": "3000",
    "SINK_KAFKA__HEARTBEAT_INTERVAL_MS": "500",
}
SHIPPED = shipped_schema("trades")
PARSED = parse_schema(without_logical_types(SHIPPED.json))
ONE = (10**18).to_bytes(8, "big")


def trade(number: int) -> bytes:
    record = {
        "symbol": f"S{number % 7}".ljust(60, "x"),
        "trade_ts": 1_780_401_600_000_000,
        "trade_id": number,
        "price": ONE,
        "quantity": ONE,
        "is_buyer_maker": True,
        "side": None,
        "observed_at": None,
    }
    file = io.BytesIO()
    schemaless_writer(file, PARSED, record)
    return frame_single_object(SHIPPED.fingerprint, file.getvalue())


def resident() -> int:
    """Give the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def step_until(member: Member, condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert member.pipeline.failure is None
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        member.pipeline.step()


def paused(member: Member) -> bool:
    return member.pipeline.paused


def test_fault_52_a_database_that_stalls_pauses_the_partitions_and_bounds_what_is_held(
    market: Market, tmp_path: Path
) -> None:
    market.send("trades", [trade(number) for number in range(10)])
    settings = load(market.environment(SETTINGS), directory=tmp_path, datasets=DATASETS)
    member = member_of(DATASETS["trades"], settings, None)
    pipeline = member.pipeline
    member.consumer.subscribe(pipeline)
    step_until(member, lambda: pipeline.positions.get(0) == 10, "the first messages are durable")
    claim = pipeline.assignment[0].claim
    before = resident()
    held = [0]

    with plain_engine(market.administrator_url).begin() as connection:
        connection.execute(text("SELECT 1 FROM sink.positions FOR UPDATE"))
        market.send("trades", [trade(number) for number in range(10, COUNT)])
        step_until(member, lambda: pipeline.held > MAX_BYTES and pipeline.paused, "the partitions are paused")
        end = time.monotonic() + STALL
        while time.monotonic() < end:
            pipeline.step()
            held.append(pipeline.held)
        assert paused(member)
        assert pipeline.positions[0] == 10

    # one batch that waits for the lock, one full behind it, and for each of them what a poll gave beyond its bound
    assert MAX_BYTES <= max(held) <= 3 * MAX_BYTES
    assert COUNT * len(trade(0)) > 10 * MAX_BYTES, "there was far more to hold"
    assert resident() - before < 300 * 1024**2

    step_until(member, lambda: pipeline.positions.get(0) == COUNT, "everything is durable")
    assert not paused(member)
    assert pipeline.assignment[0].claim is claim, "the member never left its group"
    assert pipeline.assignment.in_state(State.READING) == list(pipeline.assignment)
    assert member.consumer.close(10)
    pipeline.close()
    assert sorted(row[2] for row in market.contract("trades")) == list(range(COUNT))
    market.check_ledger(messages=COUNT)
