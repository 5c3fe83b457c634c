"""``sink trace`` as a command, on the real broker and database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sink.db import session_scope
from sink.db.payloads import TradePayload
from sink.db.repository import upsert_trades
from tests.fix_sink import Market

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)
AT = f"{NOON:%Y-%m-%dT%H:%M:%SZ}"
SHAPE = {"dataset", "topic", "symbol", "asked", "time", "rows", "notes"}
ROW_SHAPE = {
    *("key", "values", "created_at", "observed_at", "origin", "partition", "offset", "flushes", "message"),
    *("why_no_message", "agrees", "versions"),
}
FLUSH_SHAPE = {"id", "kind", "replay", "owner", "from", "to", "opened_at", "committed_at", "schema_ids"}
MESSAGE_SHAPE = {"kafka_at", "schema_id", "key", "size", "headers", "refused", "values"}
"""What docs/verify.md says."""


def trade(number: int, price: int, symbol: str = "BTCUSDT") -> TradePayload:
    return TradePayload(
        symbol=symbol,
        trade_ts=NOON,
        trade_id=number,
        price=Decimal(price),
        quantity=Decimal(1),
        is_buyer_maker=True,
    )


def traced(market: Market, *arguments: str, **variables: str) -> Any:
    """Run ``sink trace trades`` with JSON as the reader role."""
    done = market.sink("trace", "trades", *arguments, "--json", DATABASE_URL=market.url_of("sink_reader"), **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_row_leads_to_its_message_its_flush_and_the_versions_before_it(market: Market) -> None:
    market.produce([trade(1, 10), trade(2, 20), trade(1, 11), trade(1, 12, "OTHER")])
    market.caught_up("trades")
    with session_scope(market.writer_url) as session:
        upsert_trades(session, [trade(1, 5, "HAND")])

    found = traced(market, "BTCUSDT", AT, "--key", "trade_id=1")
    (row,) = found["rows"]
    assert (set(found), set(row), found["notes"]) == (SHAPE, ROW_SHAPE, [])
    (flush,), message = row["flushes"], row["message"]
    assert (set(flush), set(message)) == (FLUSH_SHAPE, MESSAGE_SHAPE)
    assert (row["values"]["price"], row["origin"], row["agrees"]) == ("11", "message", True)
    assert message["values"]["price"] == "11"
    assert [message["schema_id"]] == flush["schema_ids"]
    assert (message["key"], flush["kind"], flush["from"] <= row["offset"] < flush["to"]) == ("BTCUSDT", "flush", True)
    ((version),) = row["versions"]
    assert (version["newer"], version["differing"]) == (False, {"price": "10"})

    market.execute("UPDATE trades SET price = 99 WHERE symbol = 'BTCUSDT' AND trade_id = 1")
    near = traced(market, "BTCUSDT", f"{NOON + timedelta(seconds=20):%Y-%m-%dT%H:%M:%S}")
    assert [one["agrees"] for one in near["rows"]] == [False, True]
    assert "no zone given, so UTC" in near["notes"][0]
    assert "the nearest is 20 s away" in near["notes"][1]
    told = market.sink("trace", "trades", "BTCUSDT", AT)
    assert "11 (the row holds 99)" in told.stdout
    (hand,) = traced(market, "HAND", AT)["rows"]
    assert (hand["origin"], hand["message"], hand["flushes"]) == ("repository", None, [])

    away = traced(market, "OTHER", AT, SINK_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    (row,) = away["rows"]
    assert (row["message"], row["flushes"][0]["kind"]) == (None, "flush")
    assert row["why_no_message"]

    for arguments, sentence in (
        (("NOBODY", AT), "has no row of NOBODY; symbols are written as in the table"),
        (("BTCUSDT", "2020-01-01"), "it has rows from"),
        (("BTCUSDT", "noon"), "'noon' is no time"),
        (("BTCUSDT", AT, "--key", "price=1"), "the key of trades has trade_id"),
        (("BTCUSDT", AT, "--key", "trade_id=x"), "'x' is no value of trade_id"),
    ):
        ended = market.sink("trace", "trades", *arguments)
        assert (ended.returncode, "Traceback" in ended.stderr) == (2, False), ended.stderr
        assert sentence in ended.stderr
