"""An owner that is stopped in the middle of a COPY: another replica takes over, and the woken one writes nothing."""

from __future__ import annotations

import random
import signal
from datetime import UTC, datetime
from itertools import islice

import psycopg
import pytest

from tests.chaos.compare import compare
from tests.chaos.messages import DATASET, Maker
from tests.chaos.producing import producer_of, send
from tests.chaos.truth import Truth
from tests.children import Nursery
from tests.crash.victim import Strike
from tests.fix_sink import PARTITIONS, Market, wait_until
from tests.patience import ANSWER

MESSAGES = 300
PATIENCE = 1.0
VARIABLES = {
    "SINK_LOG__FORMAT": "json",
    "SINK_BATCH__MAX_ROWS": "50",
    "SINK_BATCH__MAX_AGE": "0.1",
    "SINK_CLAIM_PATIENCE": f"{PATIENCE:g}",
    # a claim that waited for the server's time-outs would wait longer than the test
    "SINK_IDLE_TIMEOUT": "600",
    "SINK_STATEMENT_TIMEOUT": "600",
    "SINK_LOCK_TIMEOUT": "600",
    "SINK_KAFKA__SESSION_TIMEOUT_MS": "2000",
    "SINK_KAFKA__HEARTBEAT_INTERVAL_MS": "400",
    "SINK_KAFKA__MAX_POLL_INTERVAL_MS": "1800000",
}


@pytest.mark.parametrize("step", ["flush: half copied", "flush: locked"])
def test_fault_42_an_owner_stopped_inside_its_transaction_is_replaced_and_writes_nothing_more(
    step: str, market: Market, nursery: Nursery
) -> None:
    producer = producer_of(market.servers.bootstrap_servers)
    maker = (made for made in Maker(random.Random(7), partitions=PARTITIONS, now=datetime.now(UTC)))
    send(producer, market.topic(DATASET), islice((made for made in maker if made.reason != "rejected"), MESSAGES))
    assert producer.flush(ANSWER) == 0
    truth = Truth()
    truth.read(market.servers.bootstrap_servers, market.topic(DATASET), PARTITIONS)
    environment = market.environment(VARIABLES)
    stopped = nursery.start(
        "run", DATASET, environment=environment, strike=Strike(step=step, nth=2, signal=signal.SIGSTOP)
    )
    wait_until(lambda: stopped.stopped, "the owner stands still inside its transaction")
    before = market.durable()
    assert before < MESSAGES

    other = nursery.start("run", DATASET, environment=environment)
    wait_until(lambda: market.durable() == MESSAGES, "another replica has taken over")

    assert set(market.owners().values()) == {other.pid}
    assert "ended a stuck owner's connection" in {record["event"] for record in other.records()}
    accounted = "SELECT owner, sum(messages) FROM sink.flushes GROUP BY owner"
    written = {int(owner.rpartition("/")[2]): int(count) for owner, count in market.rows(accounted)}
    stopped.signal(signal.SIGCONT)
    wait_until(
        lambda: any("cannot take the batch" in record.get("error", "") for record in stopped.records()),
        "the woken owner notices that its transaction is gone",
    )
    for child in (stopped, other):
        child.signal(signal.SIGTERM)
    assert [stopped.end(), other.end()] == [0, 0], stopped.output + other.output
    assert written.get(stopped.pid, 0) == before
    assert written == {int(o.rpartition("/")[2]): int(count) for o, count in market.rows(accounted)}
    with psycopg.connect(market.administrator_url.replace("+psycopg", "")) as connection:
        connection.execute("SET timezone = 'UTC'")
        findings = compare(truth, connection, sink_id=f"{market.group}.{DATASET}", topic=market.topic(DATASET))
    assert not findings, str(findings)
