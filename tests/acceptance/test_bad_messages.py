"""Messages that cannot become rows go to quarantine, whole and with their reason; their neighbours are written."""

from __future__ import annotations

import copy
import io
import itertools
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fastavro import parse_schema, schemaless_writer

from sink.avro.framing import frame_confluent, frame_single_object
from sink.avro.registry import Registry, RegistryAccess
from sink.avro.schemas import shipped_schema, without_logical_types
from tests.fix_sink import Market

NOON = 1_780_401_600_000_000
"""Noon of a day in June 2026, in microseconds."""
SHIPPED = shipped_schema("trades")
LONGEST_MESSAGE = 2_000


def unscaled(number: int) -> bytes:
    """Give an Avro decimal's bytes."""
    return number.to_bytes(20, "big", signed=True)


def body(schema: Any = SHIPPED.json, **changes: object) -> bytes:
    """Encode a trade as it lies in bytes, so that anything can be wrong with it."""
    trade = {
        "symbol": "BTCUSDT",
        "trade_ts": NOON,
        "trade_id": 0,
        "price": unscaled(64_000 * 10**18),
        "quantity": unscaled(10**18),
        "is_buyer_maker": True,
        "side": "sell",
        "observed_at": None,
    }
    file = io.BytesIO()
    schemaless_writer(file, parse_schema(without_logical_types(schema)), trade | changes)
    return file.getvalue()


def framed(**changes: object) -> bytes:
    return frame_single_object(SHIPPED.fingerprint, body(**changes))


def with_type(field: str, kind: object) -> dict[str, Any]:
    """Give another writer's schema, in which one field has another type."""
    schema: dict[str, Any] = copy.deepcopy(SHIPPED.json)
    next(one for one in schema["fields"] if one["name"] == field)["type"] = kind
    return schema


def bad_messages(registry: Registry, subject: str) -> list[tuple[str, bytes | None]]:
    """Give bad values with the reasons that quarantine must name; other writers' schemas go into the registry."""
    subjects = itertools.count()

    def other(schema: dict[str, Any], **changes: object) -> bytes:
        number = registry.register(f"{subject}-{next(subjects)}", json.dumps(schema))
        return frame_confluent(number, body(schema, **changes))

    precise = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 20}
    good = framed()
    return [
        ("magic", b"not Avro at all"),
        ("framing", good[:10]),
        ("decode", good[:-3]),
        ("decode", framed(symbol="BTC").replace(b"BTC", b"B\xffC")),
        ("trailing_bytes", good + b"\x00"),
        ("null_value", None),
        ("too_large", good + b"x" * LONGEST_MESSAGE),
        ("unknown_schema", frame_single_object(b"\x01" * 8, body())),
        ("unknown_schema", frame_confluent(2**31 - 1, body())),
        ("wrong_record", other({**SHIPPED.json, "name": "Candle1m"})),
        ("null_key", other(with_type("symbol", ["null", "string"]), symbol=None)),
        ("decimal_range", other(with_type("price", precise), price=unscaled(1))),
        ("decimal_range", framed(price=unscaled(10**38))),
        ("text", framed(symbol="BTC\x00USDT")),
        ("text", framed(side="sell\x00")),
        ("text", framed(symbol="S" * 65)),
        ("text", framed(symbol="")),
        ("ts_range", framed(trade_ts=NOON // 1_000)),
        ("ts_range", framed(trade_ts=NOON // 1_000_000)),
        ("ts_range", framed(trade_ts=NOON * 1_000)),
        ("ts_range", framed(trade_ts=4_102_444_800_000_000)),
        ("ts_range", framed(trade_ts=-(2**63))),
        ("rejected", framed(side="hold")),
    ]


def test_bad_messages_are_kept_whole_and_good_ones_written(market: Market, registry_url: str) -> None:
    registry = Registry(RegistryAccess(urls=(registry_url,)))
    bad = bad_messages(registry, market.topic("trades"))
    registry.close()
    values: list[bytes | None] = []
    expected = []
    for number, (reason, value) in enumerate(bad):
        # one neighbour on each side, and enough of them that whole batches are read as columns
        values += [framed(trade_id=2 * number), value, framed(trade_id=2 * number + 1)]
        expected.append((3 * number + 1, reason, value, b"key"))
    market.send("trades", values)

    variables = {"SINK_REGISTRY__URL": registry_url, "SINK_MAX_MESSAGE_BYTES": str(LONGEST_MESSAGE)}
    told = market.caught_up("trades", **variables)

    kept = market.rows('SELECT "offset", reason, value, key FROM sink.quarantine ORDER BY "offset"')
    assert [(offset, reason, whole(value), whole(key)) for offset, reason, value, key in kept] == expected
    assert market.rows("SELECT * FROM sink.quarantine WHERE error = ''") == []
    noon = datetime(2026, 6, 2, 12, tzinfo=UTC)
    price = Decimal(64_000)
    assert market.contract("trades") == [
        ("BTCUSDT", noon, number, price, Decimal(1), True, "sell") for number in range(2 * len(bad))
    ]
    market.check_ledger(messages=len(values))
    assert "Traceback" not in told.stderr
    assert f"closed: {len(bad)} of the last {len(values)} messages bad" in told.stderr, "the log's line of progress"
    assert "unknown_fields" in told.stderr
    assert market.rows("SELECT sqlstate FROM sink.quarantine WHERE reason = 'rejected'") == [("23514",)]


def whole(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def test_the_breaker_halts_before_a_broken_producer_fills_the_quarantine(market: Market) -> None:
    market.send("trades", [framed(trade_id=1), *[framed()[:-3]] * 150])
    done = market.sink("run", "trades", "--until-caught-up")
    assert done.returncode == 4, done.stderr
    assert "mend the producer" in done.stderr
    assert market.rows("SELECT count(*) FROM sink.quarantine") == [(0,)]
