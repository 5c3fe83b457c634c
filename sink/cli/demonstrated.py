"""How ``sink demo`` tells what arrived: tables and a candle chart for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sink.cli.candles import bar_of, chart, digits_of
from sink.db.models import Candle1m
from sink.inspection.overview import Overview

CHART_HEIGHT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Messages that went one stretch of the way, and how long that took."""

    messages: int
    seconds: float
    quarantined: int = 0

    @property
    def per_second(self) -> int:
        """Messages a second."""
        return round(self.messages / self.seconds) if self.seconds else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstrated:
    """One finished demo."""

    anchor: datetime
    seconds: float
    produced: Flow
    written: Flow
    lag: Mapping[str, int]
    """By dataset."""
    overview: Overview


def as_json(result: Demonstrated) -> str:
    """Give the result as one JSON object; decimals are strings, so that they stay exact."""
    return json.dumps(
        {
            "anchor": result.anchor.isoformat(),
            "seconds": round(result.seconds, 3),
            "produced": _flow(result.produced),
            "sink": {**_flow(result.written), "quarantined": result.written.quarantined},
            "lag": dict(result.lag),
            "tables": [
                {
                    "table": name,
                    "symbol": part.symbol,
                    "rows": part.rows,
                    "first": part.first.isoformat(),
                    "last": part.last.isoformat(),
                }
                for name, parts in result.overview.rows.items()
                for part in parts
            ],
            "latest_funding": {
                funding.symbol: {"at": funding.funding_ts.isoformat(), "funding_rate": str(funding.funding_rate)}
                for funding in result.overview.fundings
            },
            "latest_open_interest": {
                interest.symbol: {
                    "at": interest.snapshot_ts.isoformat(),
                    "open_interest": str(interest.open_interest),
                }
                for interest in result.overview.interests
            },
        },
        indent=2,
    )


def show(result: Demonstrated, *, console: Console) -> None:
    """Print the result for a person."""
    console.print()
    console.print(_rows(result.overview))
    console.print()
    console.print(_latest(result.overview))
    console.print()
    _show_candles(result.overview.candles, console)
    console.print("XRPETH and XRPUSDT are real trading, moved to the present; BTCUSDT and ETHUSDT are simulated.")
    lag, quarantined = sum(result.lag.values()), result.written.quarantined
    summary = Table.grid(padding=(0, 2))
    summary.add_row("produced", _said(result.produced))
    summary.add_row("sink", f"{_said(result.written)}, from its start to its end")
    summary.add_row("lag", f"{lag:,} messages" + (f"; {quarantined:,} in quarantine" if quarantined else ""))
    summary.add_row("in all", f"{result.seconds:.1f} s")
    console.print(summary)


def _said(flow: Flow) -> str:
    return f"{flow.messages:,} messages in {flow.seconds:.1f} s ({flow.per_second:,} a second)"


def _flow(flow: Flow) -> dict[str, object]:
    return {"messages": flow.messages, "seconds": round(flow.seconds, 3), "per_second": flow.per_second}


def _table(*headings: str, numbers: set[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left", no_wrap=True)
    return table


def _rows(overview: Overview) -> Table:
    table = _table("table", "symbol", "rows", "first (UTC)", "last (UTC)", numbers={"rows"})
    for name, parts in overview.rows.items():
        for index, part in enumerate(parts):
            heading = "" if index else name
            table.add_row(heading, Text(part.symbol), f"{part.rows:,}", _time(part.first), _time(part.last))
    return table


def _latest(overview: Overview) -> Table:
    table = _table("latest", "symbol", "value", "at (UTC)", "", numbers={"value"})
    for index, funding in enumerate(overview.fundings):
        heading = "" if index else "funding rate"
        table.add_row(heading, Text(funding.symbol), f"{funding.funding_rate:+.6%}", _time(funding.funding_ts))
    for index, interest in enumerate(overview.interests):
        heading = "" if index else "open interest"
        worth = "" if interest.open_interest_usd is None else f"{interest.open_interest_usd:,.0f} USD"
        table.add_row(
            heading, Text(interest.symbol), _plain(interest.open_interest), _time(interest.snapshot_ts), worth
        )
    return table


def _show_candles(candles: list[Candle1m], console: Console) -> None:
    if not candles or console.options.ascii_only:
        return
    bars = [bar_of(candle) for candle in candles]
    digits = digits_of(bars)
    first, last = candles[0].bucket_start, candles[-1].bucket_start
    console.print(Text(f"{candles[0].symbol}, 1-minute candles", style="bold"))
    for number, row in enumerate(chart(bars, height=CHART_HEIGHT)):
        price = "" if number % 2 else f"{row.price:,.{digits}f}"
        line = Text(f"{price:>14} ")
        for bar, cell in zip(bars, row.cells, strict=True):
            line.append(f" {cell}", style="green" if bar.rises else "red")
        line.rstrip()
        console.print(line, no_wrap=True)
    until = f"{last:%H:%M}"
    console.print(f"{'':>16}{first:%H:%M}{until:>{max(6, 2 * len(bars) - 6)}}", no_wrap=True)
    console.print()


def _plain(number: Decimal) -> str:
    return f"{number.normalize():,f}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
