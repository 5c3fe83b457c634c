"""What is produced, from real exchange dumps or simulated, stands in the tables row by row, however often it comes."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from sink.producing.samples import sample_files
from tests.fix_sink import Market, Row

DATASETS = ("candles_1m", "trades", "oi_snapshots", "funding")
SIMULATION = ("--simulate", "--start", "2026-06-02T07:50Z", "--duration", "12m", "--open-updates", "2")
SMALLEST = Decimal("0.000000000000000001")
YEAR_IN_HOURS = 365 * 24


def lines_of(archive: Path) -> list[list[str]]:
    """Read a dump without any help of the code under test."""
    with zipfile.ZipFile(archive) as opened:
        (name,) = opened.namelist()
        lines = list(csv.reader(io.StringIO(opened.read(name).decode())))
    return lines if lines[0][0].isdigit() else lines[1:]


def moment(milliseconds: str) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))


def candle(line: list[str]) -> Row:
    optional = [Decimal(cell) if cell else None for cell in (line[7], line[9], line[10])]
    count = int(line[8]) if line[8] else None
    return ("XRPETH", moment(line[0]), *map(Decimal, line[1:6]), optional[0], count, *optional[1:])


def trade(line: list[str]) -> Row:
    maker = {"True": True, "False": False}[line[5]]
    side = "sell" if maker else "buy"
    return ("XRPETH", moment(line[4]), int(line[0]), Decimal(line[1]), Decimal(line[2]), maker, side)


def funding(line: list[str]) -> Row:
    # one file holds a binary float of 19 decimals; docs/producing.md: rounded half away from zero
    rate = Decimal(line[2]).quantize(SMALLEST, ROUND_HALF_UP)
    return ("XRPUSDT", moment(line[0]), rate, rate * YEAR_IN_HOURS / int(line[1]), None)


def sample(ending: str) -> list[list[str]]:
    (archive,) = [path for path in sample_files() if f"-{ending}-" in path.name]
    return lines_of(archive)


def test_real_dumps_arrive_row_by_row_and_twice_is_as_once(market: Market) -> None:
    samples = [str(path) for path in sample_files()]
    with market.start("produce", *SIMULATION) as simulated:
        produced = market.sink("produce", *samples)
        assert (produced.returncode, simulated.end()) == (0, 0), produced.stderr + simulated.output
    market.caught_up()

    real = {dataset: [row for row in market.contract(dataset) if row[0].startswith("XRP")] for dataset in DATASETS}
    assert real == {
        "candles_1m": sorted(map(candle, sample("1m"))),
        "trades": sorted(map(trade, sample("trades"))),
        "oi_snapshots": [],
        "funding": sorted(map(funding, sample("fundingRate"))),
    }
    assert any(len(line[2].partition(".")[2]) > 18 for line in sample("fundingRate")), "no value tries the rounding"
    once = {dataset: market.contract(dataset) for dataset in DATASETS}
    assert {dataset: len(rows) - len(real[dataset]) for dataset, rows in once.items()} == {
        "candles_1m": 24,
        "trades": 1440,
        "oi_snapshots": 6,
        "funding": 2,
    }

    with market.start("produce", *SIMULATION) as simulated:
        assert (market.sink("produce", *samples).returncode, simulated.end()) == (0, 0)
    versions = {dataset: market.table(dataset) for dataset in DATASETS}
    market.caught_up()

    assert {dataset: market.contract(dataset) for dataset in DATASETS} == once
    for dataset in DATASETS:
        assert all(new[-1] > old[-1] for new, old in zip(market.table(dataset), versions[dataset], strict=True))
    unfinished = 24 * 2
    market.check_ledger(messages=2 * (sum(map(len, once.values())) + unfinished))
    assert market.rows("SELECT * FROM sink.quarantine") == []
