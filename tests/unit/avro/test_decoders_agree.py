"""The columnar decoder gives exactly what the reference decoder gives, whatever the bytes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sink.avro.columns import ColumnarDecoder
from sink.avro.decode import ReferenceDecoder
from sink.avro.framing import frame_confluent, frame_single_object
from sink.batch import Decoded
from sink.datasets import DATASETS
from tests.unit.avro.material import SCHEMAS, VERSIONS, body, key_of, messages, resolver, version_of

DAMAGES = ["none", "none", "none", "none", "cut", "append", "flip", "noise", "empty", "null"]

MADE = st.tuples(
    st.sampled_from(list(VERSIONS)),
    st.integers(0, 10**6),
    st.sampled_from(["confluent", "single_object"]),
    st.sampled_from(DAMAGES),
)
MIXED = st.lists(MADE, min_size=1, max_size=40)
ALIKE = st.sampled_from(list(VERSIONS)).flatmap(
    lambda version: st.lists(
        st.tuples(
            st.just(version), st.integers(0, 40), st.just("confluent"), st.sampled_from([*["none"] * 30, "flip"])
        ),
        min_size=4,
        max_size=40,
    )
)


def damaged(value: bytes, damage: str, rng: random.Random) -> bytes | None:
    at = rng.randrange(1, len(value))
    flipped = bytes([value[at] ^ (1 << rng.randrange(8))])
    return {
        "none": value,
        "cut": value[:at],
        "append": value + rng.randbytes(rng.randrange(1, 9)),
        "flip": value[:at] + flipped + value[at + 1 :],
        "noise": value[:5] + rng.randbytes(rng.randrange(60)),
        "empty": b"",
        "null": None,
    }[damage]


def value_of(name: str, version: str, seed: int, framing: str, damage: str) -> bytes | None:
    rng = random.Random(seed)
    inner = body(name, version, rng)
    if framing == "single_object" and version == "current":
        return damaged(frame_single_object(SCHEMAS[name].fingerprint, inner), damage, rng)
    return damaged(frame_confluent(list(VERSIONS).index(version) + 1, inner), damage, rng)


def decoders(name: str) -> tuple[ReferenceDecoder, ColumnarDecoder]:
    versions = [version_of(name, version) for version in VERSIONS]
    schema, key = SCHEMAS[name], key_of(DATASETS[name])
    schemas = resolver(*versions, known=[schema])
    return (
        ReferenceDecoder(schema=schema, key=key, resolver=schemas),
        ColumnarDecoder(schema=schema, key=key, resolver=schemas, few=1),
    )


def same(one: Decoded, other: Decoded) -> None:
    assert one.bad == other.bad
    assert one.frame.schema == other.frame.schema
    assert one.frame.equals(other.frame)
    assert one.unknown_fields == other.unknown_fields
    assert one.schema_ids == other.schema_ids


PAIRS = {name: decoders(name) for name in DATASETS}


@pytest.mark.parametrize("name", DATASETS)
@given(batch=MIXED | ALIKE)
@settings(max_examples=40, derandomize=True)
def test_both_decoders_give_the_same(name: str, batch: list[tuple[str, int, str, str]]) -> None:
    reference, columnar = PAIRS[name]
    values = messages([value_of(name, *made) for made in batch])
    expected = reference.decode(values)
    same(columnar.decode(values), expected)
    assert expected.frame.height + len(expected.bad) == len(values)
