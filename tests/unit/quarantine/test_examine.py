"""What is found out about a kept message, whatever is wrong with it, and how it is shown."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro import schemaless_writer

from sink.avro.columns import ColumnarDecoder
from sink.avro.dissect import Damage
from sink.avro.framing import frame_confluent, frame_single_object
from sink.avro.schemas import columns_of, without_logical_types
from sink.avro.writers import SchemaResolver
from sink.cli.quarantine_shown import hex_view
from sink.datasets import DATASETS
from sink.db.quarantined import Entry
from sink.errors import TransientError
from sink.quarantine.cures import CURES, cure_of
from sink.quarantine.examine import Examined, Examiner, Verdict
from sink.quarantine.retry import by_size
from tests.unit.avro.material import SCHEMAS, resolver, version_of
from tests.unit.quarantine.build import NOON, entry, kept

TRADES = SCHEMAS["trades"]
DOCS = Path(__file__).parents[3] / "docs"


def trade(**changes: Any) -> bytes:
    record = {
        "symbol": "BTCUSDT",
        "trade_ts": int(NOON.timestamp()) * 1_000_000,
        "trade_id": 7,
        "price": b"\x01",
        "quantity": b"\x01",
        "is_buyer_maker": True,
        "side": None,
        "observed_at": None,
    }
    out = io.BytesIO()
    schemaless_writer(out, fastavro.parse_schema(without_logical_types(TRADES.json)), record | changes)
    return frame_confluent(1, out.getvalue())


def examined(value: bytes | None, schemas: SchemaResolver | None = None, **changes: Any) -> Examined:
    found = schemas or resolver(TRADES.json, version_of("candles_1m", "current"))
    examiner = Examiner(
        dataset=DATASETS["trades"],
        columns=columns_of(TRADES),
        resolver=found,
        decoder=ColumnarDecoder(schema=TRADES, key=DATASETS["trades"].key, resolver=found),
        clock="record",
        topic="market.trades",
    )
    return examiner.examine(kept(value, **changes), now=NOON, latest=NOON + timedelta(days=1))


def test_a_good_message_passes_today() -> None:
    found = examined(trade())
    assert (found.damage, found.unread, found.verdict) == (None, None, Verdict())
    assert [part.path for part in found.parts] == [column.name for column in columns_of(TRADES)]


def test_a_cut_body_shows_what_was_read_and_where_it_ends() -> None:
    found = examined(trade()[:-5])
    assert [part.path for part in found.parts][:2] == ["symbol", "trade_ts"]
    assert found.damage is not None
    assert found.damage.end == len(trade()) - 5
    assert found.verdict is not None
    assert found.verdict.reason == "decode"


def test_a_value_out_of_range_is_marked_by_its_column() -> None:
    error = "trade_ts lies before 2009 or too far ahead; times are UTC microseconds"
    found = examined(trade(trade_ts=1_780_000_000), reason="ts_range", error=error)
    assert found.damage == Damage(start=13, end=18, error=error)
    assert found.verdict is not None
    assert (found.verdict.reason, found.verdict.error) == ("ts_range", error)


@pytest.mark.parametrize(
    ("value", "reason", "damage"),
    [
        (None, "null_value", None),
        (b'{"symbol": 1}', "magic", (0, 2)),
        (b"\x00\x00", "framing", (0, 2)),
        (frame_confluent(99, b"body"), "unknown_schema", (0, 5)),
        (frame_single_object(b"\x01" * 8, b"body"), "unknown_schema", (0, 10)),
    ],
)
def test_what_cannot_be_looked_into_says_why(value: bytes | None, reason: str, damage: tuple[int, int] | None) -> None:
    found = examined(value, reason=reason)
    assert found.unread
    assert found.verdict is not None
    assert found.verdict.reason == reason
    assert (None if found.damage is None else (found.damage.start, found.damage.end)) == damage


def test_a_record_of_another_topic_shows_its_own_fields() -> None:
    found = examined(frame_confluent(2, b"\x06BTC\x02"), reason="wrong_record")
    assert [part.path for part in found.parts][:2] == ["symbol", "bucket_start"]
    assert found.verdict is not None
    assert found.verdict.reason == "wrong_record"


class Away:
    """A registry that does not answer."""

    def schema_by_id(self, schema_id: int) -> Any:
        raise TransientError(f"no answer about {schema_id}")


def test_without_the_registry_the_bytes_are_left() -> None:
    found = examined(trade(), SchemaResolver(Away(), []))
    assert found.unread == "the writer's schema 1 cannot be looked up now: no answer about 1"
    assert (found.damage, found.verdict) == (None, None)


def test_what_has_ended_the_process_is_not_decoded_natively() -> None:
    assert examined(trade(), reason="crash").verdict is None


def lines(value: bytes, damage: Damage | None) -> list[str]:
    return [line.plain for line in hex_view(value, damage)]


def test_the_hex_view_marks_the_bytes_at_fault() -> None:
    assert lines(bytes(range(20)), Damage(start=7, end=9, error="")) == [
        "00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  ................",
        "                               ^^  ^^",
        "00000010  10 11 12 13                                       ....",
    ]


def test_the_hex_view_marks_the_place_of_bytes_that_are_missing() -> None:
    assert lines(b"a" * 3, Damage(start=3, end=3, error=""))[1] == " " * 19 + "^^"
    assert lines(b"a" * 16, Damage(start=16, end=16, error=""))[-1] == " " * 10 + "^^"


def test_the_hex_view_of_a_long_value_shows_its_beginning_and_the_fault() -> None:
    shown = lines(bytes(100_000), Damage(start=50_000, end=90_000, error=""))
    assert len(shown) < 60
    assert shown.count("...") == 2
    assert shown[-1] == "... 100,000 bytes in all"
    assert any(line.startswith(f"{50_000:08x}") for line in shown)


def test_every_reason_that_is_explained_has_a_cure_and_no_other() -> None:
    section = (DOCS / "messages.md").read_text().split("## What is wrong with a message")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(CURES)
    page = (DOCS / "quarantine.md").read_text()
    assert [reason for reason, cure in CURES.items() if f"| `{reason}` | {cure} |" not in page] == []
    assert "another version" in cure_of("of the future")


def test_groups_hold_at_most_so_many_bytes_or_one_message() -> None:
    def group(sizes: list[int]) -> list[list[int]]:
        entries: list[Entry] = [entry(size=size) for size in sizes]
        return [[one.size for one in part] for part in by_size(entries, 10)]

    assert group([4, 6, 1, 30, 2]) == [[4, 6], [1], [30], [2]]
    assert group([]) == []
