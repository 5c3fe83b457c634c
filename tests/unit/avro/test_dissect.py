"""A body read field by field: what was read before it broke, and the very bytes at which it broke."""

from __future__ import annotations

import random

import pytest

from sink.avro.dissect import MOST_PARTS, Damage, Dissection, dissect
from sink.avro.nodes import Node, tree_of
from sink.avro.wire import walker
from sink.errors import BadMessage
from tests.unit.avro.material import VERSIONS, body, version_of

TRADES = tree_of(version_of("trades", "current"))
AMOUNT = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 2}
TIME = {"type": "long", "logicalType": "timestamp-millis"}


def record(*kinds: object) -> Node:
    """Give a record whose fields are called a, b, c ..."""
    fields = [{"name": name, "type": kind} for name, kind in zip("abcdef", kinds, strict=False)]
    return tree_of({"type": "record", "name": "R", "fields": fields})


def seen(found: Dissection) -> list[tuple[str, object]]:
    return [(part.path, part.value) for part in found.parts]


def test_values_are_told_as_people_write_them_with_their_bytes() -> None:
    node = record("string", TIME, AMOUNT, ["null", "boolean"], {"type": "enum", "name": "E", "symbols": ["x", "y"]})
    found = dissect(b"\x00head" + b"\x06BTC" + b"\xd0\x0f" + b"\x04\xfe\x0c" + b"\x02\x01" + b"\x02", node, 5)
    assert found.damage is None
    assert seen(found) == [("a", "BTC"), ("b", "1970-01-01T00:00:01+00:00"), ("c", "-5.00"), ("d", True), ("e", "y")]
    assert [(part.start, part.end) for part in found.parts] == [(5, 9), (9, 11), (11, 14), (14, 16), (16, 17)]
    assert found.parts[2].kind == "decimal (bytes)"


def test_collections_and_records_within_have_paths() -> None:
    level = {"type": "record", "name": "Level", "fields": [{"name": "px", "type": "int"}]}
    node = record({"type": "array", "items": level}, {"type": "map", "values": "string"})
    found = dissect(b"\x04\x02\x04\x00" + b"\x01\x08\x02k\x02v\x00", node, 0)
    assert seen(found) == [("a[0].px", 1), ("a[1].px", 2), ("b['k']", "v")]
    assert found.span_of("a") == (1, 3)


@pytest.mark.parametrize(
    ("kinds", "value", "damage", "before"),
    [
        (("string", "string"), b"\x02x\x08ab", (2, 5, "b: 4 bytes are announced, 2 are there"), ["a"]),
        (("string", "long"), b"\x02x", (2, 2, "b: the value ends here"), ["a"]),
        (("string",), b"\x06a\xffc", (2, 3, "a: not UTF-8"), []),
        (("int", "boolean"), b"\x02\x07", (1, 2, "b: a boolean is 7"), ["a"]),
        (("int", ["null", "int"]), b"\x02\x08\x02", (1, 2, "b: a union has no branch 4"), ["a"]),
        (("bytes",), b"\x01", (0, 1, "a: a length is negative"), []),
        (("long",), b"\xff" * 11, (0, 10, "a: a number is longer than ten bytes"), []),
        (("int",), b"\x02xyz", (1, 4, "3 bytes follow the record"), ["a"]),
        (({"type": "array", "items": "int"},), b"\xfe\xff\xff\x0f\x02", (5, 5, "a[1]: the value ends here"), ["a[0]"]),
    ],
)
def test_the_bytes_at_fault_are_named(
    kinds: tuple[object, ...], value: bytes, damage: tuple[int, int, str], before: list[str]
) -> None:
    found = dissect(value, record(*kinds), 0)
    assert found.damage == Damage(start=damage[0], end=damage[1], error=damage[2])
    assert [part.path for part in found.parts] == before


def test_values_that_no_library_would_print_are_told_all_the_same() -> None:
    late = dissect(b"\xfe" + b"\xff" * 8 + b"\x01", record(TIME), 0)
    assert late.parts[0].value == f"{2**63 - 1} (beyond the years 1 to 9999)"
    huge = dissect(b"\xd0\x0f" + b"\x7f" * 1000, record(AMOUNT), 0)
    assert str(huge.parts[0].value).endswith("... (1,000 bytes)")
    many = dissect(b"\xd0\x0f" + b"\x02" * 1000 + b"\x00", record({"type": "array", "items": "int"}), 0)
    assert (len(many.parts), many.damage) == (MOST_PARTS, None)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_finds_damage_exactly_where_the_walk_does(version: str) -> None:
    """Cut and changed bodies of every version: both agree on whether they are well formed, strings apart."""
    rng = random.Random(version)
    node = tree_of(version_of("trades", version))
    walk = walker(node)
    for _ in range(60):
        value = bytearray(body("trades", version, rng))
        for _ in range(rng.randrange(3)):
            value[rng.randrange(len(value))] = rng.randrange(256)
        cut = bytes(value[: rng.randrange(len(value) + 1)] if rng.random() < 0.4 else value)
        found = dissect(cut, node, 0)
        try:
            walk(cut, 0)
        except BadMessage:
            assert found.damage is not None
        else:
            assert found.damage is None or found.damage.error.endswith("not UTF-8")
