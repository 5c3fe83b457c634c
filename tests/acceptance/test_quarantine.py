"""``sink quarantine`` on the real servers: from bad messages in a topic to rows in the table."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner, Result

from sink.avro.framing import frame_single_object
from sink.avro.schemas import shipped_schema
from sink.cli import app
from sink.errors import SinkError
from tests.acceptance.test_bad_messages import body, framed
from tests.fix_sink import Market, make_topics
from tests.patience import ANSWER
from tests.triggers import raising

UNKNOWN = frame_single_object(b"\x01" * 8, body(trade_id=7))
LARGE = framed(trade_id=1, symbol="S" * 60, side="s" * 200)
"""Larger than the limit of the first run; refused by the database's check of ``side`` once it is decoded."""
FITS = framed(trade_id=2, symbol="S" * 64, quantity=(1).to_bytes(120, "big", signed=True))
"""Larger than the limit of the first run, and good."""
LIMIT = {"SINK_MAX_MESSAGE_BYTES": "128"}


@pytest.fixture
def filled(market: Market) -> Market:
    """Give a market with five messages in quarantine and two rows; the places are 1:0 to 1:6."""
    values = [framed(trade_id=0), b"not Avro at all", framed()[:-3], LARGE, FITS, UNKNOWN, framed(trade_id=9)]
    market.send("trades", values, partition=1)
    market.caught_up("trades", **LIMIT)
    assert market.rows("SELECT count(*) FROM sink.quarantine") == [(5,)]
    return market


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run commands in a folder without settings, and leave logging as it was."""
    monkeypatch.chdir(tmp_path)
    configuration = structlog.get_config()
    yield
    structlog.configure(**configuration)


def run(market: Market, *arguments: str, **variables: str) -> Result:
    """Run ``sink quarantine ...`` in this process, which takes a tenth of the time of a process of its own."""
    environment = market.environment(variables)
    return CliRunner().invoke(app, ["quarantine", *arguments], env=environment)


def told(market: Market, *arguments: str, **variables: str) -> Any:
    """Run ``sink quarantine ... --json``, which must succeed."""
    done = run(market, *arguments, "--json", **variables)
    assert done.exit_code == 0, (done.exception, done.stderr)
    return json.loads(done.stdout)


def refused(market: Market, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run ``sink quarantine ...``, which must fail as expected; give exit code and sentence."""
    error = run(market, *arguments, **variables).exception
    assert isinstance(error, SinkError), error
    return error.exit_code, str(error)


def test_from_bad_messages_to_rows(filled: Market) -> None:
    reader = {"DATABASE_URL": filled.url_of("sink_reader")}
    positions = "SELECT partition, next_offset, claim_seq FROM sink.positions ORDER BY 1"
    before = filled.rows(positions)

    page = told(filled, "list", "trades", "--limit", "3", **reader)
    assert [(one["offset"], one["reason"], one["state"]) for one in page["messages"]] == [
        (1, "magic", "open"),
        (2, "decode", "open"),
        (3, "too_large", "open"),
    ]
    rest = told(filled, "list", "trades", "--after", page["next"], **reader)
    assert ([one["offset"] for one in rest["messages"]], rest["next"]) == ([4, 5], None)
    counted = told(filled, "list", **reader)
    assert {(one["dataset"], one["reason"]): one["open"] for one in counted}["trades", "too_large"] == 2

    shown = told(filled, "show", "trades", "1:2", **reader)
    assert [one["path"] for one in shown["fields"]][:3] == ["symbol", "trade_ts", "trade_id"]
    assert shown["damage"]["end"] == len(framed()[:-3])
    assert shown["today"]["reason"] == "decode"
    assert told(filled, "show", "trades", "1:4", **reader)["today"]["passes"], "the default limit is larger"

    foretold = told(filled, "retry", "trades", "--fault", "too_large", "--dry-run")
    assert (foretold["would_insert"], foretold["would_quarantine_by_reason"]) == (1, {"rejected": 1})
    assert filled.rows("SELECT count(*) FROM trades") == [(2,)]
    process = filled.sink("quarantine", "retry", "trades", "--fault", "too_large", "--json")
    assert process.returncode == 0, process.stderr
    done = json.loads(process.stdout)
    assert (done["messages"], done["written"], done["refused_by_reason"]) == (2, 1, {"rejected": 1})

    kept = filled.rows('SELECT "offset", reason, replayed_at IS NOT NULL FROM sink.quarantine ORDER BY 1')
    assert kept == [
        (1, "magic", False),
        (2, "decode", False),
        (3, "rejected", False),
        (4, "too_large", True),
        (5, "unknown_schema", False),
    ]
    row = ("S" * 64, datetime(2026, 6, 2, 12, tzinfo=UTC), 2, Decimal(64_000), Decimal("1E-18"), True, "sell", 1, 4)
    assert [one[:9] for one in filled.table("trades", ("source_partition", "source_offset"))][-1] == row
    recorded = filled.rows(
        "SELECT t.observed_at = q.kafka_at FROM trades t JOIN sink.quarantine q"
        ' ON (t.source_partition, t.source_offset) = (q.partition, q."offset")'
    )
    assert recorded == [(True,)], "the lineage is the message's own"
    assert told(filled, "retry", "trades", "1:3")["refused"] == 1
    assert filled.rows(positions) == before

    code, sentence = refused(filled, "drop", "trades", "1:1", "--reason", "a test")
    assert (code, "give --yes" in sentence) == (2, True)
    dropped = told(filled, "drop", "trades", "--fault", "magic", "--reason", "a test", "--yes")
    assert (dropped["dropped"], dropped["by_reason"]) == (1, {"magic": 1})
    code, sentence = refused(filled, "drop", "trades", "--reason", "no", "--yes", **reader)
    assert (code, "missing privilege" in sentence) == (4, True)
    assert told(filled, "retry", "trades")["messages"] == 3, "neither the dropped nor the replayed one"
    assert told(filled, "list", "trades", "--state", "dropped")["messages"][0]["drop_reason"] == "a test"
    assert filled.rows(positions) == before
    filled.check_ledger(messages=7)

    filled.execute(
        f"CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {raising('57P01')} END $$;"
        " CREATE TRIGGER fault BEFORE UPDATE ON sink.quarantine FOR EACH ROW EXECUTE FUNCTION fault()"
    )
    code, sentence = refused(filled, "retry", "trades")
    assert (code, "run the same command again for the rest" in sentence) == (3, True)


def test_exported_to_a_file_and_to_a_dead_letter_topic(filled: Market) -> None:
    reader = {"DATABASE_URL": filled.url_of("sink_reader")}
    file = filled.directory / "bad.jsonl"
    assert told(filled, "export", "trades", "--output", str(file), **reader)["exported"] == 5
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [base64.b64decode(line["value"]) for line in lines][:2] == [b"not Avro at all", framed()[:-3]]
    code, sentence = refused(filled, "export", "trades", "--output", str(file))
    assert (code, "exists already" in sentence) == (2, True)

    dead = f"{filled.prefix}dead"
    code, sentence = refused(filled, "export", "trades", "--topic", dead)
    assert (code, f"topic {dead} does not exist" in sentence) == (4, True)
    code, sentence = refused(filled, "export", "trades", "--topic", filled.topic("funding"))
    assert (code, "read by the sink itself" in sentence) == (2, True)
    make_topics(filled.servers.bootstrap_servers, [dead], 1)
    assert told(filled, "export", "trades", "1:2", "--topic", dead, **reader)["exported"] == 1

    consumer = Consumer({"bootstrap.servers": filled.servers.bootstrap_servers, "group.id": "test"})
    consumer.assign([TopicPartition(dead, 0, 0)])
    message = consumer.poll(ANSWER)
    consumer.close()
    assert message is not None
    assert (message.key(), message.value()) == (b"key", framed()[:-3])
    ((recorded,),) = filled.rows('SELECT kafka_at FROM sink.quarantine WHERE "offset" = 2')
    assert message.timestamp()[1] == round(recorded.timestamp() * 1000)
    told_headers: Any = message.headers()
    headers = {name: value.decode() for name, value in told_headers if value is not None}
    assert headers["__connect.errors.topic"] == filled.topic("trades")
    assert (headers["__connect.errors.partition"], headers["__connect.errors.offset"]) == ("1", "2")
    assert headers["__connect.errors.exception.message"].startswith("decode: ")
    assert headers["__sink.errors.schema.id"] == shipped_schema("trades").fingerprint.hex()
    assert headers["__sink.errors.dataset"] == "trades"


def test_what_makes_no_sense_is_one_sentence(market: Market) -> None:
    market.execute(
        "INSERT INTO sink.positions (sink_id, topic, partition, next_offset, claim_token, claim_seq, owner)"
        f" VALUES ('{market.group}.trades', '{market.topic('trades')}', 1, 5, gen_random_uuid(), 0, '')"
    )
    for arguments, sentence in (
        (("list", "trades", "--partitions", "9"), "knows no partition 9"),
        (("list", "nothing"), "no dataset is called nothing"),
        (("list", "trades", "--fault", "nonsense"), "nothing is kept for nonsense; the reasons are"),
        (("list", "trades", "--from", "1:5", "--to", "1:5"), "leave nothing between them"),
        (("list", "trades", "--since", "1h", "--until", "2h"), "leave nothing between them"),
        (("list", "trades", "--from", "end"), "leave nothing between them"),
        (("list", "trades", "--state", "lost"), "none of open, replayed, dropped, all"),
        (("list", "--after", "1:2"), "leave it out of a summary"),
        (("show", "trades", "1"), "'1' is no message; write partition and offset"),
        (("show", "trades", "1:77"), "not in quarantine"),
        (("retry", "trades", "1:0"), "not in quarantine"),
        (("drop", "trades", "--reason", " ", "--yes"), "--reason wants some words"),
        (("export", "trades"), "say where to"),
    ):
        code, said = refused(market, *arguments)
        assert (code, sentence in said) == (2, True), said
    ended = market.sink("quarantine", "retry", "trades", "1:0")
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    nowhere = {"DATABASE_URL": "postgresql+psycopg://sink_writer:x@127.0.0.1:9/none"}
    code, sentence = refused(market, "list", **nowhere)
    assert (code, "no database server answers" in sentence) == (3, True)
    assert "no zone given, so UTC" in run(market, "list", "trades", "--since", "2026-06-01T12:00").stderr
    assert told(market, "retry", "trades")["messages"] == 0
    assert told(market, "drop", "trades", "--reason", "none there", "--yes")["dropped"] == 0
