"""What the demo prints for people and for machines, from a result made by hand."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from rich.console import Console

from sink.cli.demonstrated import Demonstrated, Flow, as_json, show
from sink.db.contents import SymbolRows
from sink.db.models import Candle1m, Funding, OpenInterestSnapshot
from sink.inspection.overview import Overview

AT = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)


def candle(minute: int, opens: str, close: str) -> Candle1m:
    low, high = sorted((Decimal(opens), Decimal(close)))
    return Candle1m(
        symbol="[BTC]",
        bucket_start=AT + timedelta(minutes=minute),
        open=Decimal(opens),
        high=high,
        low=low,
        close=Decimal(close),
        volume=Decimal(1),
    )


@pytest.fixture
def result() -> Demonstrated:
    return Demonstrated(
        anchor=AT,
        seconds=12.34,
        produced=Flow(messages=3_000, seconds=2.0),
        written=Flow(messages=3_000, seconds=1.5, quarantined=2),
        lag={"trades": 0, "funding": 7},
        overview=Overview(
            rows={"trades": [SymbolRows(symbol="[BTC]", rows=1_234, first=AT, last=AT + timedelta(hours=1))]},
            fundings=[Funding(symbol="[BTC]", funding_ts=AT, funding_rate=Decimal("0.0001"))],
            interests=[
                OpenInterestSnapshot(symbol="[BTC]", snapshot_ts=AT, open_interest=Decimal("10.500000000000000000"))
            ],
            candles=[candle(0, "1.5", "2"), candle(1, "2", "1")],
        ),
    )


def test_people_read_rows_speed_lag_and_latest_values(result: Demonstrated) -> None:
    console = Console(file=io.StringIO(), width=100)
    show(result, console=console)
    text = console.file.getvalue()  # type: ignore[attr-defined] # the file given above
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "trades [BTC] 1,234 2024-05-06 07:08:00 2024-05-06 08:08:00" in lines
    assert "funding rate [BTC] +0.010000% 2024-05-06 07:08:00" in lines
    assert "open interest [BTC] 10.5 2024-05-06 07:08:00" in lines
    assert "sink 3,000 messages in 1.5 s (2,000 a second), from its start to its end" in lines
    assert "lag 7 messages; 2 in quarantine" in lines
    assert "[BTC], 1-minute candles" in lines
    assert "┃ ┃" in lines
    assert all(character.isprintable() or character == "\n" for character in text)


def test_colours_are_for_terminals_that_show_them(result: Demonstrated) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    show(result, console=console)
    assert "\x1b[32m" in console.file.getvalue()  # type: ignore[attr-defined] # the file given above


def test_machines_read_the_same(result: Demonstrated) -> None:
    told = json.loads(as_json(result))
    assert told["sink"] == {"messages": 3000, "seconds": 1.5, "per_second": 2000, "quarantined": 2}
    assert told["lag"] == {"trades": 0, "funding": 7}
    assert told["tables"] == [
        {
            "table": "trades",
            "symbol": "[BTC]",
            "rows": 1234,
            "first": "2024-05-06T07:08:00+00:00",
            "last": "2024-05-06T08:08:00+00:00",
        }
    ]
    assert told["latest_funding"]["[BTC]"]["funding_rate"] == "0.0001"
    assert told["latest_open_interest"]["[BTC]"]["at"] == AT.isoformat()
