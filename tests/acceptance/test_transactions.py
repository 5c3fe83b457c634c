"""Transactional producers: aborted messages never become rows, and control records do not keep the lag above zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from confluent_kafka import Producer

from sink.db.payloads import TradePayload
from sink.kafka.logs import remarks
from sink.producing.routes import Route
from sink.producing.simulator import Plan, simulate
from tests.fix_sink import Market
from tests.patience import ANSWER

PLAN = Plan(
    start=datetime(2026, 6, 2, 12, tzinfo=UTC),
    duration=timedelta(minutes=1),
    symbols=("A", "B", "C"),
    trades=120,
    datasets=frozenset({"trades"}),
)


def test_fault_51_aborted_messages_are_no_rows_and_the_end_is_reached(market: Market) -> None:
    payloads = [one for one in simulate(PLAN) if isinstance(one, TradePayload)]
    route = Route("trades", topic=market.topic("trades"), registry=None, schemas=None)
    producer = Producer(
        {"bootstrap.servers": market.servers.bootstrap_servers, "transactional.id": market.group},
        logger=remarks(__name__),
    )
    producer.init_transactions(30)
    committed: list[TradePayload] = []
    # aborted ones first, in the middle, and at the tail, where only control records follow
    for number, keep in enumerate((False, True, False, True, False, False)):
        part = payloads[20 * number : 20 * (number + 1)]
        producer.begin_transaction()
        for payload in part:
            producer.produce(route.topic, route.value(payload), payload.symbol.encode())
        assert producer.flush(ANSWER) == 0
        if keep:
            producer.commit_transaction(30)
            committed += part
        else:
            producer.abort_transaction(30)

    market.caught_up("trades")

    assert [row[:3] for row in market.contract("trades")] == sorted(
        (one.symbol, one.trade_ts, one.trade_id) for one in committed
    )
    market.check_ledger(messages=len(committed))
    assert market.durable() > len(payloads), "control records take offsets too"
    market.caught_up("trades")  # nothing is left over, so that this ends as well
    market.check_ledger(messages=len(committed))
