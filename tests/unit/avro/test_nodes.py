"""Hostile and broken writer schemas are refused when first seen, before any of their messages is read."""

from __future__ import annotations

from typing import Any

import pytest

from sink.avro.nodes import MAX_DEPTH, tree_of
from sink.errors import BadMessage
from tests.unit.avro.material import SCHEMAS


def record(name: str, *types: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": f"f{at}", "type": type_} for at, type_ in enumerate(types)],
    }


def nested(levels: int) -> Any:
    schema: Any = "long"
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def doubling(levels: int) -> Any:
    """Each record holds the one before twice: small as text, 2 to the levels once expanded."""
    inner: Any = record("r0", "null", "null")
    for level in range(1, levels):
        inner = record(f"r{level}", inner, f"r{level - 1}")
    return inner


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        (record("A", ["null", "A"]), "recursive"),
        (record("A", record("B", {"type": "array", "items": "A"})), "recursive"),
        (record("A", {"type": "map", "values": "A"}), "recursive"),
        (nested(MAX_DEPTH + 2), "deep"),
        (doubling(20), "types"),
        ({"type": "array", "items": "null"}, "no bytes"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "no bytes"),
        ({"type": "array", "items": record("Empty")}, "no bytes"),
        ("market.Nothing", "unknown type"),
        ({"type": "record", "name": "A"}, "valid"),
        ({"name": "A"}, "valid"),
        ({"type": "fixed", "name": "F", "size": "many"}, "whole number"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": -1}}, "whole number"),
        ({"type": "fixed", "name": "F", "size": True}, "whole number"),
        (7, "valid"),
    ],
)
def test_fault_09_a_hostile_schema_is_refused(schema: Any, word: str) -> None:
    with pytest.raises(BadMessage, match=word) as caught:
        tree_of(schema)
    assert caught.value.reason == "wrong_record"


def test_a_type_may_be_named_again_where_it_does_not_contain_itself() -> None:
    side = {"type": "enum", "name": "Side", "symbols": ["a", "b"]}
    tree = tree_of(
        {
            "type": "record",
            "name": "A",
            "namespace": "n",
            "fields": [{"name": "x", "type": side}, {"name": "y", "type": "Side"}],
        }
    )
    assert [child.name for child in tree.children] == ["n.Side", "n.Side"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_our_own_schemas_are_fine(name: str) -> None:
    assert tree_of(SCHEMAS[name].json).name == SCHEMAS[name].name
