"""docs/scaling.md: what a message weighs, measured, and what that comes to at other rates, extrapolated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.ratios import OURS
from benchmarks.results import Result
from benchmarks.sizing import Sizing, Weight
from sink.datasets import DATASETS

RATES = (1_000, 10_000, 100_000, 1_000_000)
"""Messages a second for which the page says what they need."""
DAY = 86_400
HEADROOM = 0.5
"""The share of what a process can do that it is planned for; the rest is for catching up and for rebalances."""
_TEXT = Path(__file__).with_name("scaling_text.md")
_LARGEST = "trades"
_INDEXES = 8e9
"""A quarter of the memory of a database server of 32 GB, for the indexes of the chunk that is written."""


def page(sizing: Sizing, result: Result, *, source: str) -> str:
    """Write the page from what messages weigh and from a run of the benchmarks; ``source`` names the run's JSON."""
    return "\n".join(_page(sizing, result, source)).rstrip() + "\n"


def _page(sizing: Sizing, result: Result, source: str) -> Iterator[str]:
    yield "# Scaling\n"
    yield f"<!-- Written by `python -m benchmarks scaling` from sizes.json and {source}; do not edit. -->\n"
    machine = sizing.machine
    yield (
        f"**Measured** is on {machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, shared by"
        f" broker, database and sink, revision {machine['revision']} (sizes, {sizing.begun_at}) and"
        f" {result.machine['revision']} (rates, {result.begun_at}). **Extrapolated** is multiplied from that, straight:"
        " a plan to start from, to be checked with `make bench` on your own machines.\n"
    )
    yield from _weights(sizing)
    yield from _plan(sizing, result)
    yield from _spread(result)
    yield _TEXT.read_text(encoding="utf-8")


def _weights(sizing: Sizing) -> Iterator[str]:
    yield "## What a message weighs (measured)\n"
    yield (
        "| dataset | messages | bytes in Kafka, lz4 | bytes a row, table | of indexes | bytes of WAL a message |"
        " CPU s of the sink a million | of the database |"
    )
    yield f"|{'---|' * 8}"
    for one in sizing.weights:
        title = one.dataset + (f", each key {one.versions} times" if one.versions > 1 else "")
        cells = (
            f"{one.messages:,}",
            "-" if one.log_bytes is None else f"{one.log_bytes / one.messages:,.0f}",
            f"{one.table_bytes / one.rows:,.0f}",
            f"{one.index_bytes / one.rows:,.0f}",
            f"{one.wal_bytes / one.messages:,.0f}",
            f"{per_million(one.cpu_sink, one):.1f}",
            "-" if one.cpu_database is None else f"{per_million(one.cpu_database, one):.1f}",
        )
        yield f"| {title} | {' | '.join(cells)} |"
    yield (
        "\nRows of a first load, uncompressed; keys that are updated leave dead rows behind until autovacuum reuses"
        " their room. The start of a process is not in the CPU seconds.\n"
    )


def per_million(seconds: float, weight: Weight) -> float:
    """Give CPU seconds for a million messages."""
    return seconds / weight.messages * 1e6


def _plan(sizing: Sizing, result: Result) -> Iterator[str]:
    weight = next(one for one in sizing.weights if (one.dataset, one.versions) == (_LARGEST, 1))
    rate = median(result.figures(OURS, "load", "load", "rows_per_second"))
    memory = max(result.figures(OURS, "load", "load", "peak_memory")) / 2**20
    days = _days_kept()
    row = (weight.table_bytes + weight.index_bytes) / weight.rows
    yield f"## Trades at other rates (extrapolated, but for {rate:,.0f} messages/s of one process)\n"
    lead = "| | " + " | ".join(f"{one:,} /s" for one in RATES) + " |"
    yield f"{lead}\n|{'---|' * (len(RATES) + 1)}"
    processes = [math.ceil(one / (rate * HEADROOM)) for one in RATES]
    lines = {
        "rows a day, millions": [f"{one * DAY / 1e6:,.0f}" for one in RATES],
        "table and indexes a day, GB": [f"{one * DAY * row / 1e9:,.1f}" for one in RATES],
        f"the same for {days} days of retention, TB": [f"{one * DAY * row * days / 1e12:,.2f}" for one in RATES],
        f"hours in a chunk whose indexes take {_INDEXES / 1e9:,.0f} GB": [
            f"{_INDEXES / (one * 3600 * weight.index_bytes / weight.rows):.2g}" for one in RATES
        ],
        "WAL, MB/s": [f"{one * weight.wal_bytes / weight.messages / 1e6:,.1f}" for one in RATES],
        "Kafka a day and copy, GB": [
            "-" if weight.log_bytes is None else f"{one * DAY * weight.log_bytes / weight.messages / 1e9:,.1f}"
            for one in RATES
        ],
        "cores of the sink": [f"{one * per_million(weight.cpu_sink, weight) / 1e6:,.2f}" for one in RATES],
        "cores of the database": [
            "-" if weight.cpu_database is None else f"{one * per_million(weight.cpu_database, weight) / 1e6:,.2f}"
            for one in RATES
        ],
        f"processes, each at {HEADROOM:.0%} of what it can": [f"{one:,}" for one in processes],
        f"memory of the processes at {memory:,.0f} MiB, GiB": [f"{one * memory / 1024:,.1f}" for one in processes],
        "partitions, at least": [f"{partitions(one):,}" for one in processes],
    }
    yield from (f"| {name} | {' | '.join(cells)} |" for name, cells in lines.items())
    yield ""


def _days_kept() -> int:
    retain = DATASETS[_LARGEST].retain
    if retain is None:
        raise ValueError(f"{_LARGEST} is kept for ever: the page needs another column")
    return retain.days


def partitions(processes: int) -> int:
    """Give partitions for so many processes: twice as many, as a power of two, at least four."""
    return max(4, 1 << math.ceil(math.log2(2 * processes)))


_SPREAD = ("load", "partitions-1", "partitions-16", "partitions-64", "replicas-2", "rows-x10")


def _spread(result: Result) -> Iterator[str]:
    found = {
        name: values
        for name in _SPREAD
        if name in result.workloads and (values := result.figures(OURS, name, "load", "rows_per_second"))
    }
    if len(found) < 2:  # noqa: PLR2004 - one line compares nothing
        return
    yield "## Partitions, replicas and rows (measured)\n\n| first load of trades | messages/s |\n|---|---|"
    for name, values in found.items():
        workload = result.workloads[name]
        title = f"{workload['title']} ({workload['rows']:,} rows, partitions: {workload['partitions']})"
        yield f"| {title} | {median(values):,.0f} |"
    yield ""
