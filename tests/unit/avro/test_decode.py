"""The verdicts on messages, the same from both decoders: each fault has its reason, and its neighbours survive."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import random
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import polars as pl
import pytest
import structlog
from fastavro import schemaless_writer

from sink.avro.columns import ColumnarDecoder, decoder_of
from sink.avro.decode import MAX_VALUE_BYTES, Decoder, OneByOne, ReferenceDecoder
from sink.avro.framing import frame_confluent, frame_single_object
from sink.avro.schemas import Schema, columns_of, parse
from sink.avro.writers import SchemaResolver, Writer
from sink.batch import BadRow, Decoded
from sink.breaker import Breaker, BreakerLimits
from sink.datasets import DATASETS
from sink.errors import TransientError
from tests.unit.avro.material import SCHEMAS, VERSIONS, Shelf, body, decimals, messages, millis, resolver, version_of

TRADES = SCHEMAS["trades"]
KEY = ["symbol", "trade_ts", "trade_id"]
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
TRADE: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "trade_ts": NOON,
    "trade_id": 7,
    "price": Decimal("64000.12"),
    "quantity": Decimal("0.5"),
    "is_buyer_maker": True,
    "side": "buy",
    "observed_at": None,
}
BOTH = pytest.mark.parametrize("kind", [ReferenceDecoder, ColumnarDecoder])
Kind = type[ReferenceDecoder | ColumnarDecoder]


def decoder(kind: Kind, *versions: Any, schema: Schema = TRADES, **more: Any) -> Decoder:
    if kind is ColumnarDecoder:
        more["few"] = 1
    return kind(schema=schema, key=KEY, resolver=resolver(*(versions or [schema.json]), known=[schema]), **more)


def written(schema: Any, record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


def good(number: int = 7) -> bytes:
    return frame_confluent(1, written(TRADES.json, TRADE | {"trade_id": number}))


def reasons(decoded: Decoded) -> list[tuple[int, str]]:
    return [(row.index, row.reason) for row in decoded.bad]


def among_good(kind: Kind, value: bytes | None, *versions: Any, **more: Any) -> Decoded:
    """Decode a value between good ones; those must come through whatever it is."""
    values: Sequence[bytes | None] = [*map(good, range(20)), value, *map(good, range(20, 40))]
    decoded = decoder(kind, *versions, **more).decode(messages(values))
    assert [number for number in decoded.frame["message"] if number != 20] == [*range(20), *range(21, 41)]
    return decoded


@BOTH
def test_a_good_message_becomes_a_row_with_the_agreed_types(kind: Kind) -> None:
    decoded = decoder(kind).decode(messages([good()]))
    assert decoded.frame.to_dicts() == [{"message": 0, **TRADE}]
    assert dict(decoded.frame.schema) == {
        "message": pl.UInt32(),
        "symbol": pl.String(),
        "trade_ts": pl.Datetime("us", "UTC"),
        "trade_id": pl.Int64(),
        "price": pl.Decimal(38, 18),
        "quantity": pl.Decimal(38, 18),
        "is_buyer_maker": pl.Boolean(),
        "side": pl.String(),
        "observed_at": pl.Datetime("us", "UTC"),
    }
    assert decoded.bad == []
    assert decoded.schema_ids == {"1"}
    assert decoded.unknown_fields == 0


@BOTH
def test_no_messages_and_only_bad_messages_give_an_empty_frame_of_the_same_types(kind: Kind) -> None:
    usual = decoder(kind).decode(messages([good()])).frame.schema
    for values in ([], [None], [good()[:-1]]):
        frame = decoder(kind).decode(messages(values)).frame
        assert (frame.height, frame.schema) == (0, usual)


HEAD = frame_confluent(1, b"")
TEXT_AND_TIME = b"\x06BTC" + b"\x02" + b"\x02"
AMOUNT = b"\x02\x01"


# by the rows of the table of faults: 1 to 3, 7, 8, 10, 11, 13, 15, 16
FRAMING = [b"", b"\x00\x00\x00\x00\x01", b"\xc3\x01\x02"]
MAGIC = [b'{"a": 1}', b"\x01" + bytes(20), b"\xc3\x02" + bytes(20)]
UNKNOWN = [frame_confluent(99, b"body"), frame_single_object(bytes(8), b"body")]
MALFORMED = [
    good()[:-3],
    HEAD + b"\xff" * 30,
    HEAD + b"\x05BTC" + good()[13:],  # a negative length
    HEAD + TEXT_AND_TIME + AMOUNT + AMOUNT + b"\x02\0\0",  # a boolean of 2
    HEAD + TEXT_AND_TIME + AMOUNT + AMOUNT + b"\x01\x04\x06buy\0",  # a union's branch 2
    HEAD + b"\x04\xff\xfe" + b"\2\2" + AMOUNT + AMOUNT + b"\1\0\0",  # no UTF-8
]
NEGATIVE_BRANCHES = [
    HEAD + TEXT_AND_TIME + AMOUNT + AMOUNT + b"\x01\x01\0",
    HEAD + TEXT_AND_TIME + AMOUNT + AMOUNT + b"\x01\x01\x06buy\0",
]
NO_TEXT = [
    HEAD + b"\x06\xed\xa0\x80" + b"\2\2" + AMOUNT + AMOUNT + b"\1\0\0",  # a lone surrogate
    HEAD + b"\x06a\0b" + b"\2\2" + AMOUNT + AMOUNT + b"\1\0\0",
]
NO_DECIMAL = [
    HEAD + TEXT_AND_TIME + b"\x20" + (10**38).to_bytes(16, "big") + AMOUNT + b"\1\0\0",
    HEAD + TEXT_AND_TIME + b"\x22\x01" + bytes(16) + AMOUNT + b"\1\0\0",
]
NO_TIME = HEAD + b"\x06BTC" + b"\xff" * 9 + b"\x01\2" + AMOUNT + AMOUNT + b"\1\0\0"


@BOTH
@pytest.mark.parametrize("value", FRAMING)
def test_fault_01_too_short_for_a_header_and_a_body_is_framing(kind: Kind, value: bytes) -> None:
    assert reasons(among_good(kind, value)) == [(20, "framing")]


@BOTH
@pytest.mark.parametrize("value", MAGIC)
def test_fault_02_another_first_byte_is_magic(kind: Kind, value: bytes) -> None:
    assert reasons(among_good(kind, value)) == [(20, "magic")]


@BOTH
@pytest.mark.parametrize("value", UNKNOWN)
def test_fault_03_an_id_or_fingerprint_that_nobody_knows_is_an_unknown_schema(kind: Kind, value: bytes) -> None:
    assert reasons(among_good(kind, value)) == [(20, "unknown_schema")]


@BOTH
@pytest.mark.parametrize("value", MALFORMED)
def test_fault_07_a_malformed_body_is_decode(kind: Kind, value: bytes) -> None:
    assert reasons(among_good(kind, value)) == [(20, "decode")]


@BOTH
def test_fault_08_bytes_behind_the_record_are_refused(kind: Kind) -> None:
    assert reasons(among_good(kind, good() + b"\0")) == [(20, "trailing_bytes")]


@BOTH
@pytest.mark.parametrize("value", NEGATIVE_BRANCHES)
def test_fault_08_a_negative_union_branch_is_decode(kind: Kind, value: bytes) -> None:
    assert reasons(among_good(kind, value)) == [(20, "decode")]


@BOTH
@pytest.mark.parametrize("size", [4, 20_000])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("type_", ["array", "map"])
def test_fault_09_a_collection_that_claims_more_items_than_bytes_are_left(
    kind: Kind, type_: str, sign: int, size: int
) -> None:
    """Twenty million items claimed by a few bytes: whoever trusted the number would fill the memory."""
    bomb = {"name": "extra", "type": {"type": type_, "items": "long", "values": "long"}}
    later = TRADES.json | {"fields": [*TRADES.json["fields"], bomb]}
    claimed = io.BytesIO()
    schemaless_writer(claimed, "long", sign * 20_000_000)
    block = claimed.getvalue() + (b"\x02" if sign < 0 else b"") + b"\0" * size
    value = frame_confluent(2, written(TRADES.json, TRADE) + block)
    assert reasons(among_good(kind, value, TRADES.json, later, max_value_bytes=2 * 10**6)) == [(20, "decode")]


@BOTH
def test_fault_10_a_message_beyond_the_limit_is_not_decoded(kind: Kind) -> None:
    """It would decode: only its size is wrong."""
    large = written(TRADES.json, TRADE | {"symbol": "x" * 5000})
    assert reasons(among_good(kind, frame_confluent(1, large), max_value_bytes=5000)) == [(20, "too_large")]
    assert reasons(among_good(kind, frame_confluent(1, large))) == []
    assert reasons(among_good(kind, HEAD + bytes(MAX_VALUE_BYTES))) == [(20, "too_large")]


@BOTH
def test_fault_11_a_tombstone_has_no_value(kind: Kind) -> None:
    assert reasons(among_good(kind, None)) == [(20, "null_value")]


@BOTH
@pytest.mark.parametrize("value", NO_DECIMAL)
def test_fault_13_a_decimal_beyond_its_column_is_not_rounded(kind: Kind, value: bytes) -> None:
    assert reasons(among_good(kind, value)) == [(20, "decimal_range")]


@BOTH
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1.5])
def test_fault_14_a_price_that_could_be_nan_is_no_price(kind: Kind, number: float) -> None:
    """Avro decimals hold no NaN; a writer with doubles could, so none of its messages is taken."""
    doubles = copy.deepcopy(TRADES.json)
    next(one for one in doubles["fields"] if one["name"] == "price")["type"] = "double"
    value = frame_confluent(2, written(doubles, TRADE | {"price": number}))
    assert reasons(among_good(kind, value, TRADES.json, doubles)) == [(20, "wrong_record")]


@BOTH
@pytest.mark.parametrize("value", NO_TEXT)
def test_fault_15_nul_and_lone_surrogates_are_no_text(kind: Kind, value: bytes) -> None:
    assert reasons(among_good(kind, value)) == [(20, "text")]


@BOTH
def test_fault_16_a_time_outside_of_the_calendar_is_ts_range(kind: Kind) -> None:
    assert reasons(among_good(kind, NO_TIME)) == [(20, "ts_range")]


@BOTH
def test_fault_07_every_truncation_of_a_message_is_bad(kind: Kind) -> None:
    subject = decoder(kind)
    for size in range(len(good())):
        assert [index for index, _ in reasons(subject.decode(messages([good()[:size]])))] == [0], size


@BOTH
@pytest.mark.parametrize("index", [-1, 3])
def test_an_enum_without_such_a_symbol_is_decode(kind: Kind, index: int) -> None:
    enums = version_of("trades", "narrow")
    usual = written(enums, TRADE)
    value = frame_confluent(2, usual[:-2] + bytes([2 * index if index >= 0 else -2 * index - 1]) + usual[-1:])
    assert usual[-2] == 0  # 'buy' is the first symbol; behind it only the null observed_at
    assert reasons(among_good(kind, value, TRADES.json, enums)) == [(20, "decode")]


@BOTH
def test_a_decimal_of_more_bytes_than_needed_is_the_same_number(kind: Kind) -> None:
    value = HEAD + TEXT_AND_TIME + b"\x28" + bytes(19) + b"\x05" + b"\x00" + b"\1\0\0"
    row = among_good(kind, value).frame.row(20, named=True)
    assert (row["price"], row["quantity"]) == (Decimal("0.000000000000000005"), 0)


@BOTH
def test_a_body_that_swallows_its_neighbours_is_not_taken_for_it(kind: Kind) -> None:
    """A string that claims the bytes of the next message shifts it by exactly one message."""
    swallowing = HEAD + struct.pack("B", 2 * (3 + len(good(1)) + 8)) + b"BTC"
    assert reasons(among_good(kind, swallowing)) == [(20, "decode")]


@BOTH
@pytest.mark.parametrize(
    ("field", "type_"),
    [
        ("price", "string"),
        ("price", "double"),
        ("price", "bytes"),
        ("trade_ts", "long"),
        ("trade_ts", {"type": "long", "logicalType": "timestamp-nanos"}),
        ("trade_ts", {"type": "long", "logicalType": "local-timestamp-micros"}),
        ("trade_id", "double"),
        ("trade_id", {"type": "long", "logicalType": "timestamp-micros"}),
        ("symbol", "null"),
        ("side", ["null", "string", "long"]),
        ("price", {"type": "bytes", "logicalType": "decimal", "precision": 10**9, "scale": 10**9}),
    ],
)
def test_fault_24_a_writer_whose_field_cannot_become_the_column_is_a_wrong_record(
    kind: Kind, field: str, type_: Any
) -> None:
    odd = copy.deepcopy(TRADES.json)
    next(one for one in odd["fields"] if one["name"] == field)["type"] = type_
    decoded = among_good(kind, frame_confluent(2, b"whatever"), TRADES.json, odd)
    assert reasons(decoded) == [(20, "wrong_record")]
    assert field in decoded.bad[0].error


@BOTH
@pytest.mark.parametrize(
    "odd",
    [
        {"type": "record", "name": "Funding", "namespace": "market", "fields": TRADES.json["fields"]},
        {"type": "record", "name": "Trade", "fields": TRADES.json["fields"]},
        TRADES.json | {"fields": TRADES.json["fields"][:3] + TRADES.json["fields"][4:]},
        "string",
        {"type": "array", "items": "long"},
    ],
)
def test_fault_06_another_record_or_one_without_a_required_field_is_a_wrong_record(kind: Kind, odd: Any) -> None:
    assert reasons(among_good(kind, frame_confluent(2, b"whatever"), TRADES.json, odd)) == [(20, "wrong_record")]


@BOTH
@pytest.mark.parametrize(("field", "reason"), [("trade_id", "null_key"), ("symbol", "null_key"), ("price", "decode")])
def test_fault_12_null_in_a_required_column(kind: Kind, field: str, reason: str) -> None:
    odd = copy.deepcopy(TRADES.json)
    changed = next(one for one in odd["fields"] if one["name"] == field)
    changed["type"] = ["null", changed["type"]]
    value = frame_confluent(2, written(odd, TRADE | {field: None}))
    assert reasons(among_good(kind, value, TRADES.json, odd)) == [(20, reason)]


@BOTH
def test_milliseconds_and_other_scales_become_the_same_values(kind: Kind) -> None:
    versions = [millis(TRADES.json), decimals(20, 8)(TRADES.json), decimals(38, 20)(TRADES.json)]
    values = [frame_confluent(number, written(version, TRADE)) for number, version in enumerate(versions, start=1)]
    decoded = decoder(kind, *versions).decode(messages(values * 30))
    assert decoded.bad == []
    assert decoded.frame["message"].to_list() == list(range(90))
    assert decoded.frame.drop("message").unique().to_dicts() == [TRADE]


@BOTH
def test_fault_13_digits_beyond_the_eighteenth_are_not_rounded_away(kind: Kind) -> None:
    finer = decimals(38, 20)(TRADES.json)
    value = frame_confluent(2, written(finer, TRADE | {"price": Decimal("1.0000000000000000001")}))
    assert reasons(among_good(kind, value, TRADES.json, finer)) == [(20, "decimal_range")]


@BOTH
def test_fault_24_the_columns_aliases_find_a_writers_older_names(kind: Kind) -> None:
    renamed = copy.deepcopy(TRADES.json)
    price = next(field for field in renamed["fields"] if field["name"] == "price")
    price |= {"name": "px", "aliases": ["price"]}
    value = frame_confluent(1, written(TRADES.json, TRADE))
    reader = parse(json.dumps(renamed))
    decoded = decoder(kind, TRADES.json, schema=reader).decode(messages([value] * 30))
    assert decoded.frame["px"].unique().to_list() == [TRADE["price"]]


@BOTH
def test_fault_23_unknown_fields_are_counted_per_message(kind: Kind) -> None:
    later = TRADES.json | {"fields": [*TRADES.json["fields"], {"name": "venue", "type": "string"}]}
    value = frame_confluent(2, written(later, TRADE | {"venue": "here"}))
    subject = decoder(kind, TRADES.json, later)
    with structlog.testing.capture_logs() as said:
        for _ in range(3):
            decoded = subject.decode(messages([value, good(), value, value[:-1]]))
            assert decoded.unknown_fields == 2
            assert decoded.schema_ids == {"1", "2"}
            assert decoded.frame.height == 3
    assert [(line["schema"], line["fields"]) for line in said] == [("2", ("venue",))], "it is logged once a schema"


@BOTH
def test_fault_24_messages_of_a_schema_that_does_not_fit_halt_instead_of_draining(kind: Kind) -> None:
    """Every one of them is bad, whatever stands in it: a hundred in a row open the breaker, which names the schema."""
    removed = TRADES.json | {"fields": [one for one in TRADES.json["fields"] if one["name"] != "price"]}
    value = frame_confluent(2, b"whatever")
    decoded = decoder(kind, TRADES.json, removed).decode(messages([good(), *[value] * 100]))
    sentence = Breaker(BreakerLimits()).observe(101, decoded.bad, frozenset({"1"}))
    assert sentence is not None
    assert "100 messages in a row of writer schema 2 cannot become rows (wrong_record 100)" in sentence
    assert "has no field price" in decoded.bad[0].error


@BOTH
def test_fault_04_a_registry_that_is_away_is_the_callers_matter(kind: Kind) -> None:
    class Away(Shelf):
        def schema_by_id(self, schema_id: int) -> Any:
            raise TransientError(f"no answer for {schema_id}")

    with pytest.raises(TransientError):
        kind(schema=TRADES, key=KEY, resolver=SchemaResolver(Away({}), [])).decode(messages([good()]))


@BOTH
def test_a_writers_schema_is_asked_for_once(kind: Kind) -> None:
    shelf = Shelf({1: TRADES.json, 2: "string"})
    subject = kind(schema=TRADES, key=KEY, resolver=SchemaResolver(shelf, []))
    for _ in range(3):
        subject.decode(messages([good(), frame_confluent(2, b"\x02a")]))
    assert shelf.asked == [1, 2]


class Recording(OneByOne):
    """The reference decoder, noting which messages it is given."""

    def __init__(self) -> None:
        super().__init__(columns=columns_of(TRADES), key=frozenset(KEY))
        self.given: list[int] = []

    def decode(
        self, writer: Writer, values: Sequence[bytes | None], indices: Sequence[int]
    ) -> tuple[pl.DataFrame, list[BadRow]]:
        self.given.extend(indices)
        return super().decode(writer, values, indices)


def test_only_bad_messages_leave_the_columnar_path() -> None:
    subject = ColumnarDecoder(schema=TRADES, key=KEY, resolver=resolver(TRADES.json))
    subject._one_by_one = recording = Recording()
    values = [good(number) for number in range(200)]
    values[50] = values[50][:-4]
    values[60] = HEAD + b"\x06a\0b" + good(60)[13:]
    decoded = subject.decode(messages(values))
    assert recording.given == [50, 60]
    assert reasons(decoded) == [(50, "decode"), (60, "text")]
    assert decoded.frame.height == 198


@pytest.mark.parametrize("version", [name for name in VERSIONS if name not in {"with_collections", "scale_20"}])
def test_every_flat_version_is_read_as_columns(version: str) -> None:
    """Had a layout been refused, agreement of the two decoders would prove nothing."""
    subject = ColumnarDecoder(schema=TRADES, key=KEY, resolver=resolver(version_of("trades", version)), few=1)
    subject._one_by_one = recording = Recording()
    values = [frame_confluent(1, body("trades", version, random.Random(seed))) for seed in range(120)]
    decoded = subject.decode(messages(values))
    assert set(decoded.frame["message"]) - set(recording.given)


def test_messages_of_many_shapes_are_sorted_without_walking_each() -> None:
    walked: list[bytes] = []
    subject = ColumnarDecoder(schema=TRADES, key=KEY, resolver=resolver(TRADES.json), few=2)
    subject._one_by_one = recording = Recording()
    writer = subject._intake.sort(messages([good()]))[0][0][0]

    def walk(value: bytes, start: int) -> tuple[int, ...]:
        walked.append(value)
        return writer.walk(value, start)

    subject._intake._writers[writer.header] = dataclasses.replace(writer, walk=walk)
    records = [TRADE | {"side": "buy" if at % 2 else None, "observed_at": NOON if at % 3 else None} for at in range(60)]
    decoded = subject.decode(messages([frame_confluent(1, written(TRADES.json, record)) for record in records]))
    assert len(walked) == 1
    assert recording.given == []
    assert decoded.frame.drop("message").to_dicts() == records


@pytest.mark.parametrize("name", DATASETS)
def test_a_datasets_decoder_reads_single_objects_without_a_registry(name: str) -> None:
    schema = SCHEMAS[name]
    values = [frame_single_object(schema.fingerprint, body(name, "current", random.Random(at))) for at in range(60)]
    decoded = decoder_of(DATASETS[name], registry=None).decode(messages(values))
    assert decoded.schema_ids == {schema.fingerprint.hex()}
    assert decoded.frame.columns == ["message", *(column.name for column in columns_of(schema))]
    assert decoded.frame.height + len(decoded.bad) == 60
    assert decoded.frame.height > 0


def test_null_in_a_column_of_a_datasets_key_is_named_so() -> None:
    odd = copy.deepcopy(TRADES.json)
    odd["fields"][0]["type"] = ["null", "string"]
    subject = decoder_of(DATASETS["trades"], registry=Shelf({1: odd}))
    value = frame_confluent(1, written(odd, TRADE | {"symbol": None}))
    assert reasons(subject.decode(messages([value]))) == [(0, "null_key")]
