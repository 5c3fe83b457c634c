"""What is fuzzed: functions of arbitrary bytes that may refuse, but not break, disagree or hang.

Each gives its outcomes, short texts: an input with one never seen before is worth mutating further.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from sink.avro.columns import ColumnarDecoder
from sink.avro.decode import ReferenceDecoder
from sink.avro.framing import frame_confluent, frame_single_object, header_of, label_of, schema_id_of
from sink.avro.writers import SchemaResolver
from sink.batch import BadRow, Decoded
from sink.datasets import DATASETS
from sink.errors import BadFile, BadMessage
from sink.producing.dumps import LineNote, identify, read
from tests.unit.avro.material import SCHEMAS, VERSIONS, Shelf, body, key_of, messages, version_of

SEPARATOR = b"\xfe\xed"
"""Stands between the values of one input."""
LARGEST = 4096
"""Bytes beyond which a message of these tests is too large."""
DUMPS = tuple(
    f"BTCUSDT-{kind}-2024-01.{ending}"
    for kind, ending in (
        ("1m", "csv"),
        ("trades", "csv"),
        ("aggTrades", "csv"),
        ("fundingRate", "csv"),
        ("metrics", "csv"),
        ("trades", "zip"),
    )
)


def framing(data: bytes) -> set[str]:
    """Take a header off."""
    try:
        header = header_of(data)
    except BadMessage as error:
        return {error.reason}
    assert data.startswith(header)
    assert len(data) > len(header)
    number, rest = schema_id_of(header), data[len(header) :]
    again = frame_single_object(header[2:], rest) if number is None else frame_confluent(number, rest)
    assert again == data
    assert label_of(header)
    return {"fingerprint" if number is None else "id"}


def decoders(data: bytes) -> set[str]:
    """Decode a batch of messages of all known versions by both decoders."""
    name = list(DATASETS)[(data[0] if data else 0) % len(DATASETS)]
    reference, columnar = _pair(name)
    values: list[bytes | None] = [piece or None for piece in data[1:].split(SEPARATOR)]
    good = _good(name)
    around = messages([*good, *values, *good])
    decoded = _same(reference.decode(around), columnar.decode(around))
    bad = {row.index for row in decoded.bad}
    assert bad.issubset(range(len(good), len(good) + len(values))), "a neighbour was taken for bad"
    assert decoded.frame.height + len(bad) == len(around)
    return _outcomes(decoded.bad, decoded.frame.height - 2 * len(good))


def schemas(data: bytes) -> set[str]:
    """Take JSON before the first NUL for a writer's schema, and the rest for bodies written by it."""
    text, _, rest = data.partition(b"\0")
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        return {"no JSON"}
    resolver = SchemaResolver(Shelf({1: schema}), [])
    key = key_of(DATASETS["trades"])
    options = {"schema": SCHEMAS["trades"], "key": key, "resolver": resolver, "max_value_bytes": LARGEST}
    values = [frame_confluent(1, piece) for piece in rest.split(SEPARATOR)]
    given = messages(values)
    one = ReferenceDecoder(**options).decode(given)  # type: ignore[arg-type] # a dict of several types
    other = ColumnarDecoder(**options, few=1).decode(given)  # type: ignore[arg-type] # as above
    decoded = _same(one, other)
    return _outcomes(decoded.bad, decoded.frame.height)


def dumps(data: bytes) -> set[str]:
    """Read a dump file; the first byte says which kind."""
    path = Path(_kept.name) / DUMPS[(data[0] if data else 0) % len(DUMPS)]
    path.write_bytes(data[1:])
    notes: list[LineNote] = []
    rounded: list[LineNote] = []
    try:
        found = sum(1 for _ in read(identify(path), on_bad_line=notes.append, on_rounded=rounded.append))
    except BadFile as error:
        return {_plain(str(error))}
    return {f"{path.name} {_plain(note.reason)}" for note in [*notes, *rounded]} | {f"{path.name} {min(found, 3)}"}


TARGETS: dict[str, Callable[[bytes], set[str]]] = {
    "framing": framing,
    "decoders": decoders,
    "schemas": schemas,
    "dumps": dumps,
}


@cache
def _pair(name: str) -> tuple[ReferenceDecoder, ColumnarDecoder]:
    schema, key = SCHEMAS[name], key_of(DATASETS[name])
    versions = {number: version_of(name, version) for number, version in enumerate(VERSIONS, start=1)}
    resolver = SchemaResolver(Shelf(versions), [schema])
    return (
        ReferenceDecoder(schema=schema, key=key, resolver=resolver, max_value_bytes=LARGEST),
        ColumnarDecoder(schema=schema, key=key, resolver=resolver, max_value_bytes=LARGEST, few=1),
    )


@cache
def _good(name: str) -> list[bytes]:
    """Give messages whose neighbourhood must not harm them."""
    made = (frame_confluent(1, body(name, "current", random.Random(seed))) for seed in range(50))
    return [value for value in made if not _pair(name)[0].decode(messages([value])).bad][:3]


def _same(one: Decoded, other: Decoded) -> Decoded:
    assert one.bad == other.bad, "the decoders disagree on what is bad"
    assert one.frame.schema == other.frame.schema
    assert one.frame.equals(other.frame), "the decoders disagree on rows"
    assert (one.unknown_fields, one.schema_ids) == (other.unknown_fields, other.schema_ids)
    return one


def _outcomes(bad: Sequence[BadRow], good: int) -> set[str]:
    return {f"{row.reason} {_plain(row.error)}" for row in bad} | {f"{min(good, 3)} good"}


def _plain(text: str) -> str:
    """Leave out of a message what differs from input to input."""
    return re.sub(r"'.*'|\".*\"|[^A-Za-z ]+", "", text)[:80]


_kept = tempfile.TemporaryDirectory(prefix="sink-fuzz-")
