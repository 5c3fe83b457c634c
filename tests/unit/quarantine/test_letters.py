"""A kept message on its way out."""

from __future__ import annotations

import json

from sink.ledger import Source
from sink.quarantine.letters import letter_of, plain
from tests.unit.quarantine.build import NOON, kept

SOURCE = Source(sink_id="sink.trades", topic="market.trades")


def test_a_dead_letter_is_the_message_itself_with_headers_as_kafka_connect_writes_them() -> None:
    letter = letter_of(kept(), SOURCE, "trades")
    assert (letter.key, letter.value) == (b"BTC", b"value")
    assert letter.timestamp == NOON.timestamp() * 1000
    assert letter.headers[:2] == [("trace", b"\x00\x01"), ("empty", None)]
    assert dict(letter.headers[2:]) == {
        "__connect.errors.topic": b"market.trades",
        "__connect.errors.partition": b"3",
        "__connect.errors.offset": b"120",
        "__connect.errors.connector.name": b"sink.trades",
        "__connect.errors.task.id": b"0",
        "__connect.errors.stage": b"VALUE_CONVERTER",
        "__connect.errors.class.name": b"sink.avro.columns.ColumnarDecoder",
        "__connect.errors.exception.class.name": b"sink.errors.BadMessage",
        "__connect.errors.exception.message": b"decode: the body of 9 bytes ends in the middle of a field",
        "__connect.errors.exception.stacktrace": None,
        "__sink.errors.dataset": b"trades",
        "__sink.errors.reason": b"decode",
        "__sink.errors.schema.id": b"7",
        "__sink.errors.quarantined.at": b"2026-06-02T12:00:00+00:00",
    }


def test_what_the_database_refused_names_its_sqlstate_and_the_stage_of_writing() -> None:
    headers = dict(letter_of(kept(reason="rejected", sqlstate="23514", schema_id=None), SOURCE, "trades").headers)
    assert headers["__sink.errors.sqlstate"] == b"23514"
    assert headers["__connect.errors.stage"] == b"TASK_PUT"
    assert "__sink.errors.schema.id" not in headers


def test_a_message_without_record_time_or_value_leaves_without() -> None:
    letter = letter_of(kept(None, kafka_at=None), SOURCE, "trades")
    assert (letter.value, letter.timestamp) == (None, 0)


def test_a_line_of_json_holds_everything() -> None:
    line = json.loads(json.dumps(plain(kept(), "trades")))
    assert (line["partition"], line["offset"], line["state"], line["dataset"]) == (3, 120, "open", "trades")
    assert (line["key"], line["value"], line["kafka_at"]) == ("QlRD", "dmFsdWU=", "2026-06-02T12:00:00+00:00")
    assert line["headers"] == [{"name": "trace", "value": "AAE="}, {"name": "empty", "value": None}]
