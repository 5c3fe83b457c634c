"""Ctrl-C and SIGTERM end the sink in good order, and its log is one for machines that tells no secrets."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Consumer, TopicPartition

from sink.kafka.commits import MARK
from sink.producing.simulator import Plan, simulate
from tests.fix_sink import PARTITIONS, Market
from tests.patience import ANSWER

PLAN = Plan(
    start=datetime(2026, 6, 2, 12, tzinfo=UTC),
    duration=timedelta(minutes=5),
    symbols=("SYMBOLA", "SYMBOLB", "SYMBOLC"),
    trades=2_500,
    datasets=frozenset({"trades"}),
)
JSON = {"SINK_LOG__FORMAT": "json", "SINK_LOG__LEVEL": "debug"}
# a batch is flushed only once it is full, or at the end
PATIENT = {"SINK_BATCH__MAX_ROWS": "1000", "SINK_BATCH__MAX_AGE": "1000"}


def commits(market: Market) -> dict[int, tuple[int, str | None]]:
    """Give the group's commits with their metadata."""
    consumer = Consumer({"bootstrap.servers": market.servers.bootstrap_servers, "group.id": f"{market.group}.trades"})
    topic = market.topic("trades")
    try:
        found = consumer.committed([TopicPartition(topic, number) for number in range(PARTITIONS)], timeout=ANSWER)
    finally:
        consumer.close()
    return {one.partition: (one.offset, one.metadata) for one in found if one.offset >= 0}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_fault_40_a_signal_flushes_what_was_read_and_exits_with_0(number: signal.Signals, market: Market) -> None:
    total = market.produce(simulate(PLAN))
    with market.start("run", "trades", **JSON, **PATIENT) as process:
        process.until(lambda: market.durable() == 2000, "two batches are full")
        time.sleep(1)  # the rest was fetched with them; let the loop take it in
        assert market.durable() == 2000, "a batch was flushed before its time"
        process.signal(number)
        assert process.end(30) == 0, process.output

        records = process.records()
        events = [record["event"] for record in records]
        assert "Traceback" not in process.output

    assert market.durable() == total
    market.check_ledger(messages=total)
    positions = market.rows("SELECT partition, next_offset FROM sink.positions WHERE next_offset > 0")
    assert commits(market) == {partition: (offset, MARK) for partition, offset in positions}

    assert events.count("flushed") == 3
    assert events.count("progress") == 1
    (progress,) = [record for record in records if record["event"] == "progress"]
    assert (progress["dataset"], progress["messages"], progress["written"]) == ("trades", total, total)
    assert (progress["lag"], progress["partitions"]) == (0, list(range(PARTITIONS)))
    assert {record["level"] for record in records} <= {"debug", "info"}, records
    for secret in ("SYMBOL", str(market.table("trades")[0][3]), "sink_writer:"):
        assert secret not in process.output
