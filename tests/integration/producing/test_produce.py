"""``sink produce`` on a real broker and a real registry: what is in the topics afterwards."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from typer.testing import CliRunner

from sink.avro.decode import ReferenceDecoder
from sink.avro.registry import Registry, RegistryAccess
from sink.avro.schemas import known_schemas, shipped_schema
from sink.avro.writers import SchemaResolver
from sink.batch import Messages
from sink.cli import app
from sink.db.payloads import CandlePayload, FundingPayload, TradePayload
from sink.producing.dumps import identify, read
from sink.producing.payload import DATASET_OF, Payload
from sink.producing.samples import sample_files
from tests.patience import ANSWER

SAMPLES = [str(path) for path in sample_files()]
PARTITIONS = 2

Run = Callable[..., dict[str, Any]]


@pytest.fixture(name="prefix")
def unique_prefix() -> str:
    """Name topics of this test alone."""
    return f"test-{uuid.uuid4().hex}."


@pytest.fixture(name="produce")
def command(bootstrap_servers: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Make the topics, then run ``sink produce`` and give its summary."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINK_TOPIC_PREFIX", prefix)
    monkeypatch.setenv("SINK_KAFKA__BOOTSTRAP_SERVERS", bootstrap_servers)
    assert CliRunner().invoke(app, ["topics", "apply", "--partitions", str(PARTITIONS)]).exit_code == 0

    def produce(*arguments: str) -> dict[str, Any]:
        ended = CliRunner().invoke(app, ["produce", "--json", *arguments])
        assert ended.exception is None
        summary: dict[str, Any] = json.loads(ended.stdout)
        return summary

    return produce


def messages(bootstrap_servers: str, topic: str, count: int) -> Messages:
    """Read a topic whole, in the order of partitions and offsets."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "test", "auto.offset.reset": "earliest"})
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        found: list[Message] = []
        while len(found) < count:
            batch = consumer.consume(count - len(found), timeout=ANSWER)
            assert batch, f"only {len(found)} of {count} messages came"
            found.extend(batch)
        assert not consumer.consume(1, timeout=0.5), "more messages than were produced"
    finally:
        consumer.close()
    found.sort(key=lambda message: (message.partition() or 0, message.offset() or 0))
    return Messages(
        topic=topic,
        partitions=[message.partition() or 0 for message in found],
        offsets=[message.offset() or 0 for message in found],
        timestamps=[message.timestamp()[1] * 1000 for message in found],
        keys=[message.key() for message in found],
        values=[message.value() for message in found],
        headers=[None] * len(found),
    )


def check(dataset: str, given: Sequence[Payload], got: Messages, registry: Registry | None) -> None:
    """Compare decoded messages with payloads, row by row."""
    schema = shipped_schema(dataset)
    decoder = ReferenceDecoder(schema=schema, key=["symbol"], resolver=SchemaResolver(registry, known_schemas()))
    decoded = decoder.decode(got)
    assert not decoded.bad
    names = [name for name in decoded.frame.columns if name != "message"]
    expected = [tuple(getattr(payload, name) for name in names) for payload in given]
    assert decoded.frame.select(names).rows() == expected
    assert set(got.keys) == {payload.symbol.encode() for payload in given}


@pytest.mark.parametrize("framing", ["registry", "single object"])
def test_files_arrive_row_by_row(
    framing: str, bootstrap_servers: str, registry_url: str, prefix: str, produce: Run
) -> None:
    with_registry = framing == "registry"
    summary = produce(*SAMPLES, *(("--registry", registry_url) if with_registry else ()))
    registry = Registry(RegistryAccess(urls=(registry_url,))) if with_registry else None
    for path in sample_files():
        given = list(read(identify(path)))
        dataset = DATASET_OF[type(given[0])]
        assert sum(summary["datasets"][dataset]["partitions"].values()) == len(given)
        got = messages(bootstrap_servers, prefix + dataset, len(given))
        check(dataset, given, got, registry)
        magic = {(value or b"")[:1] for value in got.values}
        assert magic == ({b"\x00"} if with_registry else {b"\xc3"})
    if registry is not None:
        assert (latest := registry.latest(f"{prefix}trades-value")) is not None
        assert latest.version == 1
        registry.close()


def test_producing_twice_gives_the_same_values_under_the_same_schema(
    bootstrap_servers: str, registry_url: str, prefix: str, produce: Run
) -> None:
    arguments = ("--simulate", "--start", "2024-01-01T07:55Z", "--open-updates", "2", "--registry", registry_url)
    first, second = produce(*arguments), produce(*arguments)
    assert first["datasets"] == second["datasets"]
    assert set(first["datasets"]) == {"candles_1m", "trades", "oi_snapshots", "funding"}
    for dataset, entry in first["datasets"].items():
        got = messages(bootstrap_servers, prefix + dataset, 2 * entry["rows"])
        for partition in range(PARTITIONS):
            values = [value for value, at in zip(got.values, got.partitions, strict=True) if at == partition]
            half = len(values) // 2
            assert values[:half] == values[half:]
            assert all(values), dataset


def test_observed_at_is_set_from_the_data(bootstrap_servers: str, prefix: str, produce: Run) -> None:
    produce(*SAMPLES)
    kinds = {CandlePayload: "candles_1m", TradePayload: "trades", FundingPayload: "funding"}
    for kind, dataset in kinds.items():
        given = [payload for path in sample_files() for payload in read(identify(path)) if isinstance(payload, kind)]
        got = messages(bootstrap_servers, prefix + dataset, len(given))
        check(dataset, given, got, None)
        assert all(payload.observed_at is not None for payload in given)
