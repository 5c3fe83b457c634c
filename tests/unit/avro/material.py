"""Writer schemas of other versions and raw messages of them, made without any code of ours but the shipped schemas."""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import fastavro
from fastavro import schemaless_writer

from sink.avro.schemas import Schema, shipped_schema
from sink.avro.writers import SchemaResolver
from sink.batch import Messages
from sink.datasets import DATASETS, Dataset
from sink.errors import BadMessage

SCHEMAS: dict[str, Schema] = {name: shipped_schema(name) for name in DATASETS}


class Shelf:
    """A schema source that holds what it was given, as a registry would."""

    def __init__(self, schemas: dict[int, Any]) -> None:
        self.schemas = schemas
        self.asked: list[int] = []

    def schema_by_id(self, schema_id: int) -> Any:
        self.asked.append(schema_id)
        if schema_id not in self.schemas:
            raise BadMessage("unknown_schema", f"no schema {schema_id}")
        return self.schemas[schema_id]


def key_of(dataset: Dataset) -> list[str]:
    """Give the names of a dataset's primary key columns."""
    return [column.name for column in dataset.model.__table__.primary_key]


def resolver(*versions: Any, known: Sequence[Schema] = ()) -> SchemaResolver:
    """Make a resolver in which the given schemas have the ids 1, 2, and so on."""
    return SchemaResolver(Shelf(dict(enumerate(versions, start=1))), known)


def messages(values: Sequence[bytes | None]) -> Messages:
    """Put values into messages of one partition."""
    count = len(values)
    return Messages(
        topic="market.test",
        partitions=[0] * count,
        offsets=range(count),
        timestamps=[-1] * count,
        keys=[None] * count,
        values=values,
        headers=[None] * count,
    )


def _change(schema: Any, change: Callable[[Any], Any]) -> Any:
    """Apply a change to the type of every field, inside of unions too."""
    changed = copy.deepcopy(schema)
    for field in changed["fields"]:
        kind = field["type"]
        field["type"] = [change(branch) for branch in kind] if isinstance(kind, list) else change(kind)
    return changed


def _logical(kind: Any, name: str, replacement: Any) -> Any:
    return replacement if isinstance(kind, dict) and kind.get("logicalType") == name else kind


def older(schema: Any) -> Any:
    """Leave every optional field out."""
    changed = copy.deepcopy(schema)
    changed["fields"] = [field for field in changed["fields"] if not isinstance(field["type"], list)]
    return changed


def reordered(schema: Any) -> Any:
    """Turn the order of the fields, and of the branches of their unions, around."""
    changed = copy.deepcopy(schema)
    changed["fields"].reverse()
    for field in changed["fields"]:
        if isinstance(field["type"], list):
            field["type"].reverse()
            field.pop("default")
    return changed


def newer(schema: Any) -> Any:
    """Put fields that we do not know before, between and behind ours."""
    changed = copy.deepcopy(schema)
    level = {
        "type": "record",
        "name": "Level",
        "fields": [{"name": "px", "type": "double"}, {"name": "ok", "type": "boolean"}],
    }
    side = {"type": "enum", "name": "Side", "symbols": ["a", "b", "c"]}
    changed["fields"].insert(0, {"name": "venue", "type": ["null", "string"]})
    changed["fields"].insert(2, {"name": "level", "type": ["null", level]})
    changed["fields"].insert(4, {"name": "flags", "type": {"type": "fixed", "name": "Flags", "size": 3}})
    changed["fields"].append({"name": "kind", "type": ["string", "long", side, "null"]})
    changed["fields"].append({"name": "best", "type": "Level"})
    changed["fields"].append({"name": "nothing", "type": "null"})
    changed["fields"].append(
        {"name": "raw", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}
    )
    changed["fields"].append({"name": "ratio", "type": "float"})
    return changed


def with_collections(schema: Any) -> Any:
    """Add an array and a map, which the columnar reader does not take."""
    changed = copy.deepcopy(schema)
    changed["fields"].insert(1, {"name": "tags", "type": {"type": "array", "items": "string"}})
    changed["fields"].append({"name": "extra", "type": {"type": "map", "values": "long"}})
    return changed


def decimals(precision: int, scale: int) -> Callable[[Any], Any]:
    """Give the change to decimals of another precision and scale."""
    other = {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
    return lambda schema: _change(schema, lambda kind: _logical(kind, "decimal", other))


def fixed_decimals(schema: Any) -> Any:
    """Store decimals in sixteen bytes."""
    shape = {"type": "fixed", "size": 16, "logicalType": "decimal", "precision": 38, "scale": 18}
    names = iter(range(99))
    return _change(schema, lambda kind: _logical(kind, "decimal", {**shape, "name": f"Amount{next(names)}"}))


def millis(schema: Any) -> Any:
    """Store times in milliseconds."""
    other = {"type": "long", "logicalType": "timestamp-millis"}
    return _change(schema, lambda kind: _logical(kind, "timestamp-micros", other))


def narrow(schema: Any) -> Any:
    """Store plain longs as ints, and text but the symbol as an enum."""
    side = {"type": "enum", "name": "Side", "symbols": ["buy", "sell", "none"]}
    changed = _change(schema, lambda kind: "int" if kind == "long" else kind)
    for field in changed["fields"]:
        if field["type"] == ["null", "string"]:
            field["type"] = ["null", side]
    return changed


def nullable(schema: Any) -> Any:
    """Make every field optional."""
    changed = copy.deepcopy(schema)
    for field in changed["fields"]:
        if not isinstance(field["type"], list):
            field["type"] = ["null", field["type"]]
    return changed


VERSIONS: dict[str, Callable[[Any], Any]] = {
    "current": copy.deepcopy,
    "older": older,
    "reordered": reordered,
    "newer": newer,
    "with_collections": with_collections,
    "scale_8": decimals(20, 8),
    "scale_20": decimals(38, 20),
    "fixed_decimals": fixed_decimals,
    "millis": millis,
    "narrow": narrow,
    "nullable": nullable,
}


_LONGS = [0, 1, -1, 63, 64, -65, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
_TEXTS = ["BTCUSDT", "buy", "sell", "", "a\0b", "ÄÖ\U0001f600", "x" * 70]
_AMOUNTS = [
    0,
    1,
    -1,
    127,
    128,
    -128,
    -129,
    10**18,
    64_000_120_000_000_000_000_000,
    10**38 - 1,
    10**38,
    -(10**38),
    10**28,
]


@cache
def version_of(dataset: str, version: str) -> Any:
    """Give a dataset's schema in another version."""
    return VERSIONS[version](SCHEMAS[dataset].json)


@cache
def _plain(dataset: str, version: str) -> tuple[Any, Any]:
    plain = json.loads(json.dumps(version_of(dataset, version)).replace('"logicalType": "', '"was": "'))
    return plain, fastavro.parse_schema(plain)


def body(dataset: str, version: str, rng: random.Random) -> bytes:
    """Write one record with random values, odd ones among them, as Avro with logical types off."""
    plain, parsed = _plain(dataset, version)
    record = {field["name"]: _value(field["type"], field["name"], rng) for field in plain["fields"]}
    out = io.BytesIO()
    schemaless_writer(out, parsed, record)
    return out.getvalue()


def _value(kind: Any, name: str, rng: random.Random) -> Any:
    if isinstance(kind, list):
        branch = rng.choice([*kind, kind[-1]])
        value = _value(branch, name, rng)
        named = branch.get("name") if isinstance(branch, dict) else branch
        return (
            (f"market.{named}" if named == "Side" else named, value) if name == "kind" and value is not None else value
        )
    if isinstance(kind, str):
        return {"px": 1.5, "ok": True} if kind == "Level" else _primitive(kind, rng)
    makers: dict[str, Callable[[], Any]] = {
        "record": lambda: {field["name"]: _value(field["type"], field["name"], rng) for field in kind["fields"]},
        "enum": lambda: rng.choice(kind["symbols"]),
        "array": lambda: [_value(kind["items"], name, rng) for _ in range(rng.randrange(3))],
        "map": lambda: {str(at): _value(kind["values"], name, rng) for at in range(rng.randrange(3))},
        "fixed": lambda: rng.choice(_AMOUNTS).to_bytes(kind["size"] + 13, "big", signed=True)[-kind["size"] :],
        "bytes": lambda: _amount(rng),
        "long": lambda: _time(kind["was"], rng),
    }
    return makers[kind["type"]]()


def _primitive(kind: str, rng: random.Random) -> Any:
    odd = rng.random() < 0.2
    makers: dict[str, Callable[[], Any]] = {
        "null": lambda: None,
        "boolean": lambda: rng.random() < 0.5,
        "int": lambda: rng.choice([0, -1, 2**31 - 1, -(2**31), 12345]),
        "long": lambda: rng.choice(_LONGS),
        "float": lambda: 0.25,
        "double": lambda: 2.5,
        "bytes": lambda: rng.randbytes(4),
        "string": lambda: rng.choice(_TEXTS) if odd else "BTCUSDT",
    }
    return makers[kind]()


def _amount(rng: random.Random) -> bytes:
    number = rng.choice(_AMOUNTS) if rng.random() < 0.2 else rng.randrange(-(10**24), 10**24)
    size = (number + (number < 0)).bit_length() // 8 + 1 + rng.choice([0, 0, 0, 0, 1, 5])
    return b"" if rng.random() < 0.02 else number.to_bytes(size, "big", signed=True)


def _time(unit: str, rng: random.Random) -> int:
    if rng.random() < 0.1:
        return rng.choice(
            [0, -1, -62_135_596_800_000, 253_402_300_799_999, 253_402_300_800_000_000, 2**63 - 1, -(2**63)]
        )
    micros = 1_700_000_000_000_000 + rng.randrange(10**9)
    return micros // 1000 if unit == "timestamp-millis" else micros
