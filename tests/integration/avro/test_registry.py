"""The registry's client, ``sink schemas`` and the decoders with a real registry."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from sink.avro.columns import ColumnarDecoder
from sink.avro.decode import ReferenceDecoder
from sink.avro.encode import Encoder
from sink.avro.framing import frame_confluent
from sink.avro.registry import Registry, RegistryAccess
from sink.avro.schemas import shipped_schema
from sink.avro.writers import SchemaResolver
from sink.batch import Messages
from sink.cli import app
from sink.datasets import DATASETS
from sink.errors import BadMessage, DefinitionError

TRADES = shipped_schema("trades")


@pytest.fixture
def registry(registry_url: str) -> Iterator[Registry]:
    client = Registry(RegistryAccess(urls=(registry_url,)))
    yield client
    client.close()


@pytest.fixture
def prefix() -> str:
    return f"test{uuid.uuid4().hex[:12]}"


def run(registry_url: str, prefix: str, *words: str) -> Any:
    environment = {"SINK_TOPIC_PREFIX": f"{prefix}.", "SINK_REGISTRY__URL": registry_url}
    return CliRunner(env=environment).invoke(app, ["schemas", *words, "--json"])


def states(result: Any) -> dict[str, str]:
    return {row["dataset"]: row["state"] for row in json.loads(result.stdout)}


@pytest.mark.parametrize("name", DATASETS)
def test_a_registered_schema_comes_back_by_id_with_everything_in_it(registry: Registry, prefix: str, name: str) -> None:
    schema = shipped_schema(name)
    schema_id = registry.register(f"{prefix}-value", schema.text)
    assert registry.register(f"{prefix}-value", schema.text) == schema_id
    assert registry.schema_by_id(schema_id) == schema.json


def test_an_id_that_nobody_registered_is_an_unknown_schema(registry: Registry) -> None:
    with pytest.raises(BadMessage) as caught:
        registry.schema_by_id(2**31 - 1)
    assert caught.value.reason == "unknown_schema"


def test_a_subject_that_nobody_registered_has_nothing(registry: Registry, prefix: str) -> None:
    assert registry.latest(prefix) is None
    assert registry.lookup(prefix, TRADES.text) is None
    assert registry.compatible(prefix, TRADES.text)


def test_a_compatibility_rule_is_set_and_kept(registry: Registry, prefix: str) -> None:
    registry.register(prefix, TRADES.text)
    registry.set_compatibility("BACKWARD", prefix)
    assert registry.compatibility(prefix) == "BACKWARD"
    assert registry.compatible(prefix, TRADES.text)
    assert not registry.compatible(
        prefix, '{"type": "record", "name": "Other", "fields": [{"name": "a", "type": "int"}]}'
    )


def test_text_that_is_no_schema_is_refused_with_the_registrys_words(registry: Registry, prefix: str) -> None:
    with pytest.raises(DefinitionError, match="refuses"):
        registry.register(prefix, '{"type": "nonsense"}')


def test_schemas_are_missing_then_registered_then_superseded(
    registry: Registry, registry_url: str, prefix: str
) -> None:
    before = run(registry_url, prefix, "check")
    assert isinstance(before.exception, DefinitionError)
    assert "sink schemas register" in str(before.exception)
    assert set(states(before).values()) == {"missing"}

    assert set(states(run(registry_url, prefix, "register")).values()) == {"latest"}
    after = run(registry_url, prefix, "check")
    assert (after.exit_code, set(states(after).values())) == (0, {"latest"})

    later = TRADES.json | {
        "fields": [*TRADES.json["fields"], {"name": "venue", "type": ["null", "string"], "default": None}]
    }
    registry.register(f"{prefix}.trades-value", json.dumps(later))
    assert states(run(registry_url, prefix, "check", "trades", "funding")) == {
        "trades": "superseded",
        "funding": "latest",
    }


def test_an_incompatible_subject_keeps_everything_from_being_registered(
    registry: Registry, registry_url: str, prefix: str
) -> None:
    subject = f"{prefix}.trades-value"
    registry.register(subject, '{"type": "record", "name": "Other", "fields": [{"name": "a", "type": "int"}]}')
    registry.set_compatibility("BACKWARD", subject)
    result = run(registry_url, prefix, "register")
    assert isinstance(result.exception, DefinitionError)
    assert subject in str(result.exception)
    assert registry.latest(f"{prefix}.funding-value") is None
    assert states(run(registry_url, prefix, "check"))["trades"] == "incompatible"


@pytest.mark.parametrize("kind", [ReferenceDecoder, ColumnarDecoder])
def test_messages_of_two_versions_decode_by_the_registrys_ids(
    registry: Registry, prefix: str, kind: type[ReferenceDecoder | ColumnarDecoder]
) -> None:
    old = TRADES.json | {"fields": TRADES.json["fields"][:6]}
    ids = [registry.register(prefix, text) for text in (json.dumps(old), TRADES.text)]
    trade = {
        "symbol": "BTCUSDT",
        "trade_ts": datetime(2024, 5, 1, tzinfo=UTC),
        "price": Decimal("64000.12"),
        "quantity": Decimal("0.5"),
        "is_buyer_maker": False,
    }
    body = Encoder(TRADES).encode
    values = []
    for number in range(100):
        whole = body(trade | {"trade_id": number})
        # The old version ends before the two optional fields, which are one null branch each.
        values.append(frame_confluent(ids[number % 2], whole if number % 2 else whole[:-2]))
    values[50] = frame_confluent(2**31 - 1, b"body")
    decoder = kind(schema=TRADES, key=["symbol", "trade_ts", "trade_id"], resolver=SchemaResolver(registry, []))
    decoded = decoder.decode(messages(values))
    assert decoded.frame["trade_id"].to_list() == [number for number in range(100) if number != 50]
    assert [(row.index, row.reason) for row in decoded.bad] == [(50, "unknown_schema")]
    assert decoded.schema_ids == {str(schema_id) for schema_id in ids}


def messages(values: list[bytes]) -> Messages:
    count = len(values)
    return Messages(
        topic="market.trades",
        partitions=[0] * count,
        offsets=range(count),
        timestamps=[-1] * count,
        keys=[None] * count,
        values=values,
        headers=[None] * count,
    )
