"""MarketProducer against librdkafka's mock broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME

from sink.avro.decode import ReferenceDecoder
from sink.avro.schemas import known_schemas, shipped_schema
from sink.avro.writers import SchemaResolver
from sink.batch import Messages
from sink.datasets import DATASETS
from sink.db.payloads import TradePayload
from sink.errors import BadMessage, ConfigError, DefinitionError, TransientError
from sink.producing import MarketProducer
from sink.producing.payload import DATASET_OF, Payload
from sink.producing.simulator import Plan, simulate
from tests.fix_mock_broker import MockBroker

START = datetime(2024, 1, 1, tzinfo=UTC)
PLAN = Plan(
    start=START, duration=timedelta(minutes=2), trades=60, open_updates=1, funding_interval=timedelta(minutes=1)
)
TRADE = TradePayload(
    symbol="BTCUSDT", trade_ts=START, trade_id=1, price=Decimal("1.5"), quantity=Decimal(2), is_buyer_maker=True
)


@pytest.fixture(name="kafka")
def topics_and_address(mock_broker: MockBroker) -> dict[str, str]:
    """Make all market topics."""
    mock_broker.make(*(f"market.{dataset}" for dataset in DATASETS))
    return mock_broker.kafka


def rows(dataset: str, values: list[bytes]) -> Iterator[dict[str, Any]]:
    """Decode as the sink does, without a registry."""
    nothing: list[None] = [None] * len(values)
    messages = Messages(
        topic=f"market.{dataset}",
        partitions=[0] * len(values),
        offsets=list(range(len(values))),
        timestamps=[-1] * len(values),
        keys=nothing,
        values=values,
        headers=nothing,
    )
    decoder = ReferenceDecoder(
        schema=shipped_schema(dataset), key=["symbol"], resolver=SchemaResolver(None, known_schemas())
    )
    decoded = decoder.decode(messages)
    assert not decoded.bad
    return decoded.frame.iter_rows(named=True)


def test_every_payload_arrives_in_order_as_it_was_given(mock_broker: MockBroker, kafka: dict[str, str]) -> None:
    payloads = list(simulate(PLAN))
    with MarketProducer(kafka) as producer:
        assert producer.produce_many(payloads) == len(payloads)
    for dataset in DATASETS:
        given: list[Payload] = [payload for payload in payloads if DATASET_OF[type(payload)] == dataset]
        messages = mock_broker.read(f"market.{dataset}", len(given))
        assert sum(producer.delivered[f"market.{dataset}"].values()) == len(given)
        decoded = list(rows(dataset, [message.value() or b"" for message in messages]))
        for symbol in PLAN.symbols:
            expected = [payload for payload in given if payload.symbol == symbol]
            got = [row for row in decoded if row["symbol"] == symbol]
            names = [field.name for field in fields(expected[0])]
            assert [[row[name] for name in names] for row in got] == [
                [getattr(payload, name) for name in names] for payload in expected
            ]
        keyed = {(message.key(), message.partition()) for message in messages}
        assert len(keyed) == len(PLAN.symbols), "a symbol has one partition"
        assert {key for key, _ in keyed} == {symbol.encode() for symbol in PLAN.symbols}


def test_record_timestamp_is_now_unless_given(mock_broker: MockBroker, kafka: dict[str, str]) -> None:
    """Kafka's time says what was produced later, so that it must not be the time of the data."""
    before = int(time.time() * 1000)
    with MarketProducer(kafka) as producer:
        producer.produce(TRADE)
        producer.produce(TRADE, timestamp=START)
        producer.produce(TRADE, timestamp=START.replace(tzinfo=None))
    now, *given = [message.timestamp() for message in mock_broker.read("market.trades", 3)]
    assert before <= now[1] <= int(time.time() * 1000)
    assert given == [(TIMESTAMP_CREATE_TIME, 1_704_067_200_000)] * 2


def test_naive_times_mean_utc_and_other_zones_are_converted(mock_broker: MockBroker, kafka: dict[str, str]) -> None:
    east = timezone(timedelta(hours=8))
    with MarketProducer(kafka) as producer:
        producer.produce(replace(TRADE, trade_ts=START.replace(tzinfo=None)))
        producer.produce(replace(TRADE, trade_ts=START.astimezone(east)))
    values = [message.value() for message in mock_broker.read("market.trades", 2)]
    assert values[0] == values[1]


def test_missing_topic_is_said_with_its_cure(mock_broker: MockBroker) -> None:
    mock_broker.make("market.funding")
    with (
        pytest.raises(DefinitionError, match=r"topic market\.trades does not exist .* sink topics apply"),
        MarketProducer(mock_broker.kafka) as producer,
    ):
        producer.produce(TRADE)


def test_full_queue_waits_and_drops_nothing(kafka: dict[str, str]) -> None:
    small = {**kafka, "queue.buffering.max.messages": "10", "batch.num.messages": "5", "linger.ms": "0"}
    with MarketProducer(small) as producer:
        producer.produce_many(replace(TRADE, trade_id=number) for number in range(500))
    assert sum(producer.delivered["market.trades"].values()) == 500


def test_payload_that_the_schema_cannot_hold_is_named(kafka: dict[str, str]) -> None:
    with MarketProducer(kafka) as producer:
        with pytest.raises(BadMessage, match=r"symbol='BTCUSDT'.* cannot be produced: price = 1E\+30 does not fit"):
            producer.produce(replace(TRADE, price=Decimal("1e30")))
        with pytest.raises(BadMessage, match="1 to 64 characters"):
            producer.produce(replace(TRADE, symbol=""))
        producer.produce(TRADE)
    assert sum(producer.delivered["market.trades"].values()) == 1


def test_other_objects_are_refused(kafka: dict[str, str]) -> None:
    with (
        MarketProducer(kafka) as producer,
        pytest.raises(TypeError, match="str is none of the payloads: CandlePayload"),
    ):
        producer.produce("a trade")  # type: ignore[arg-type] # what is tried


def test_wrong_options_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r'librdkafka refuses its options: .*"no\.such\.option"'):
        MarketProducer({"bootstrap.servers": "x", "no.such.option": "1"})


def test_broker_away_is_told_as_something_to_wait_for() -> None:
    producer = MarketProducer({"bootstrap.servers": "127.0.0.1:1"}, timeout=0.2)
    with pytest.raises(TransientError, match=r"asking 127\.0\.0\.1:1 for its topics failed"):
        producer.produce(TRADE)


def test_failed_delivery_raises_at_flush_and_at_the_next_call(mock_broker: MockBroker, kafka: dict[str, str]) -> None:
    producer = MarketProducer({**kafka, "delivery.timeout.ms": "1500", "linger.ms": "0"}, timeout=1)
    producer.produce(TRADE)
    producer.flush()
    mock_broker.stop()
    producer.produce(TRADE)
    with pytest.raises(TransientError, match=r"producing to market\.trades failed"):
        producer.flush()
    with pytest.raises(TransientError, match=r"producing to market\.trades failed"):
        producer.produce(TRADE)
    assert sum(producer.delivered["market.trades"].values()) == 1


def test_error_in_the_block_goes_up_and_what_was_queued_is_still_delivered(kafka: dict[str, str]) -> None:
    producer = MarketProducer(kafka)
    with pytest.raises(ZeroDivisionError), producer:
        producer.produce_many(replace(TRADE, trade_id=1 // number) for number in (1, 0))
    assert sum(producer.delivered["market.trades"].values()) == 1
