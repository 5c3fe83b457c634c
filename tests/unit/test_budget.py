"""Work of Python for each message, counted rather than timed, so that a busy machine does not matter.

Calls are those that Python's own code makes; what ``map`` calls for it within C is far cheaper, and not seen.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from confluent_kafka import Message

from sink.avro.columns import decoder_of
from sink.avro.decode import Decoder
from sink.avro.encode import Encoder
from sink.avro.framing import frame_single_object
from sink.avro.schemas import shipped_schema
from sink.batch import Batch
from sink.datasets import DATASETS
from sink.db.models import table_of
from sink.db.upsert import flushed_columns
from sink.flush import Flushed
from sink.kafka.consumer import TopicConsumer
from sink.ledger import Claim, Entry
from sink.observed import Observed
from sink.observer import Size
from sink.prepared import prepare
from tests.budget import exceeded
from tests.build import NOON, TOPIC

FEW, MANY = 2_000, 4_000
TRADES = DATASETS["trades"]
SCHEMA = shipped_schema("trades")
COLUMNS = flushed_columns(table_of(TRADES.model))


class Unconnected(TopicConsumer):
    """A consumer that has no broker, for what it makes of messages that it was given."""

    def __init__(self) -> None:
        self.topic = TOPIC


def received(count: int) -> list[Message]:
    """Give messages as Kafka's client does."""
    encode = Encoder(SCHEMA).encode
    stamp = (1, int(NOON.timestamp() * 1000))
    return [
        Message(
            topic=TOPIC,
            partition=0,
            offset=number,
            key=b"BTCUSDT",
            value=frame_single_object(SCHEMA.fingerprint, encode(trade(number))),
            timestamp=stamp,
        )
        for number in range(count)
    ]


def trade(number: int) -> dict[str, Any]:
    return {
        "symbol": f"COIN{number % 50}USDT",
        "trade_ts": NOON + timedelta(milliseconds=number),
        "trade_id": number,
        "price": Decimal("64000.5") + number,
        "quantity": Decimal("0.25"),
        "is_buyer_maker": number % 2 == 0,
        "side": "sell" if number % 2 == 0 else None,
    }


def worked_off(decoder: Decoder, given: list[Message]) -> tuple[Any, ...]:
    """Do with a poll what the thread that reads does: columns, decode, collect, prepare; give all that is then held."""
    messages = Unconnected()._sorted_out(given).messages
    batch = Batch(TOPIC, clock="record")
    batch.add(messages, decoder.decode(messages), {0: 0}, {})
    latest = NOON + timedelta(days=1)
    prepared = prepare(batch, TRADES, COLUMNS, {0: 0}, now=NOON, latest=latest)
    assert prepared.newest is not None
    assert prepared.newest.winners.height == len(given), "nothing was left out"
    return batch, prepared


def per_message(measure: Callable[[list[Message]], float]) -> float:
    """Take what is there once, however many messages, out of a measurement."""
    few, many = received(FEW), received(MANY)
    for given in (many, many):
        measure(given)  # layouts, tags, lazy imports and what classes remember of each other are there from now on
    return (measure(many) - measure(few)) / (MANY - FEW)


@dataclass(slots=True)
class Calls:
    """Calls counted so far."""

    count: int = 0


@contextmanager
def called() -> Iterator[Calls]:
    """Count the calls that Python's own code makes within the block."""
    counted = Calls()

    def heard(frame: Any, event: str, argument: Any) -> None:
        del frame, argument
        counted.count += event in {"call", "c_call"}

    before = sys.getprofile()
    gc.disable()  # a collection would call what others want to hear of it
    sys.setprofile(heard)
    try:
        yield counted
    finally:
        sys.setprofile(before)
        gc.enable()


def test_python_does_no_more_for_a_message_than_its_budget_says() -> None:
    decoder = decoder_of(TRADES, registry=None)

    def calls(given: list[Message]) -> float:
        with called() as counted:
            worked_off(decoder, given)
        return counted.count

    def blocks(given: list[Message]) -> float:
        gc.collect()
        before = sys.getallocatedblocks()
        held = worked_off(decoder, given)
        gc.collect()
        after = sys.getallocatedblocks()
        del held
        return after - before

    def peak(given: list[Message]) -> float:
        gc.collect()
        tracemalloc.start()
        try:
            worked_off(decoder, given)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    measured = {
        "calls_per_message": round(per_message(calls), 2),
        "blocks_held_per_message": round(per_message(blocks), 2),
        "peak_bytes_per_message": round(per_message(peak)),
    }
    found = exceeded("python", measured)
    assert not found, "\n".join(found)


def test_who_watches_costs_nothing_for_a_message_and_a_bounded_number_of_calls_for_a_flush() -> None:
    """Counted for a poll, its decoding and its flush of four partitions, beside what the work itself takes."""
    observed = Observed("trades")

    def observe(messages: int) -> None:
        claim = Claim(partition=0, token=uuid.UUID(int=0), seq=1, start=0)
        entries = [
            Entry(
                partition=number, from_offset=0, to_offset=messages, claim=claim, messages=messages, last_event_at=NOON
            )
            for number in range(4)
        ]
        observed.polled(0.01)
        observed.decoded(0.01)
        observed.flushed(Flushed(entries=entries, durable_at=NOON), Size(messages=messages, size=1, prepare=0, wait=0))

    def calls(messages: int) -> int:
        with called() as counted:
            observe(messages)
        return counted.count

    calls(1)  # lazily made series are there from now on
    assert calls(10) == calls(100_000)
    found = exceeded("observing", {"calls_per_flush": calls(10)})
    assert not found, "\n".join(found)
