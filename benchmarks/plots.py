"""The plots of docs/performance.md as SVG; each says whether there was anything to draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import statistics
from benchmarks.results import Result

mpl.rcParams["svg.hashsalt"] = "kafka-timescale-sink"  # the same result gives the same file
mpl.rcParams["svg.fonttype"] = "none"
_WIDTH = 8.0
_COLOURS = ("#1f6f8b", "#d1495b", "#edae49", "#7b8f3f", "#5c5c66")
_PARTS = ("system, before its first write", "system, from then on", "database", "broker")
_PERCENTILES = ("p50", "p90", "p99", "p99.9")


def throughput(result: Result, file: Path) -> bool:
    """Draw rows a second of each system on first load and on replay, with 95 % intervals."""
    phases = [
        (phase, [(name, values) for name in result.systems if (values := _rates(result, name, "load", phase))])
        for phase in ("load", "replay")
    ]
    drawn = [(phase, found) for phase, found in phases if found]
    if not drawn:
        return False
    figure = Figure(figsize=(_WIDTH, 1 + 0.5 * sum(len(found) for _, found in drawn)), layout="constrained")
    for axes, (phase, found) in zip(_rows(figure, len(drawn)), drawn, strict=True):
        for place, (name, values) in enumerate(found):
            interval = statistics.of_median(values)
            spread = [[interval.median - interval.low], [interval.high - interval.median]]
            axes.barh(place, interval.median, xerr=spread, color=_colour(result, name), capsize=3)
        axes.set_yticks(range(len(found)), [result.systems[name] for name, _ in found])
        axes.invert_yaxis()
        axes.set_xlabel("rows/s")
        axes.set_title("first load" if phase == "load" else "everything already there")
    return _saved(figure, file)


def time_spent(result: Result, file: Path) -> bool:
    """Draw the CPU seconds that a million rows cost, by who spends them."""
    names = [name for name in result.systems if result.figures(name, "load", "load", "cpu_database")]
    if not names:
        return False
    figure = Figure(figsize=(_WIDTH, 1.2 + 0.5 * len(names)), layout="constrained")
    axes = figure.subplots()
    left = [0.0] * len(names)
    spent = [cpu_per_million(result, name) for name in names]
    for place, (label, colour) in enumerate(zip(_PARTS, _COLOURS, strict=False)):
        width = [parts[place] for parts in spent]
        axes.barh(range(len(names)), width, left=left, label=label, color=colour)
        left = [before + more for before, more in zip(left, width, strict=True)]
    axes.set_yticks(range(len(names)), [result.systems[name] for name in names])
    axes.invert_yaxis()
    axes.set_xlabel("CPU seconds for a million rows, first load")
    axes.legend()
    return _saved(figure, file)


def latency(result: Result, file: Path) -> bool:
    """Draw percentiles of the time from event to durable row."""
    workloads = [name for name in result.workloads if any(_latencies(result, one, name) for one in result.systems)]
    if not workloads:
        return False
    figure = Figure(figsize=(_WIDTH, 3.5), layout="constrained")
    for axes, workload in zip(_columns(figure, len(workloads)), workloads, strict=True):
        for name in result.systems:
            found = _latencies(result, name, workload)
            if found:
                values = [median(one[cut] for one in found) for cut in _PERCENTILES]
                axes.plot(_PERCENTILES, values, marker="o", label=name, color=_colour(result, name))
        axes.set_yscale("log")
        axes.set_title(result.workloads[workload]["title"])
        axes.set_ylabel("ms")
        axes.grid(visible=True, which="major", axis="y", alpha=0.3)
    figure.axes[0].legend()
    return _saved(figure, file)


def growth(result: Result, file: Path) -> bool:
    """Draw rows a second against the number of rows, of partitions, and the size of a batch."""
    kinds = [(label, found) for label, names in _growths(result) if len(found := _ordered(result, names, label)) > 1]
    if not kinds:
        return False
    figure = Figure(figsize=(_WIDTH, 3.5), layout="constrained")
    for axes, (label, found) in zip(_columns(figure, len(kinds)), kinds, strict=True):
        for name in result.systems:
            points = [
                (value, median(rates)) for value, workload in found if (rates := _rates(result, name, workload, "load"))
            ]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label=name, color=_colour(result, name))
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks([value for value, _ in found], [_short(value) for value, _ in found])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(label)
        axes.set_ylabel("rows/s, first load")
    figure.axes[0].legend()
    return _saved(figure, file)


def per_million(result: Result, system: str, name: str) -> float:
    """Give a median of first loads for a million rows; 0 where there is none."""
    values = result.figures(system, "load", "load", name)
    rows = result.figures(system, "load", "load", "rows")
    return median(values) * 1e6 / rows[0] if values and rows else 0.0


def cpu_per_million(result: Result, system: str) -> tuple[float, float, float, float]:
    """Give the CPU seconds for a million rows: the system's before its first write and from then on, the servers'."""
    start = per_million(result, system, "cpu_before_first_write")
    rest = max(0.0, per_million(result, system, "cpu") - start)
    return start, rest, per_million(result, system, "cpu_database"), per_million(result, system, "cpu_broker")


def _growths(result: Result) -> list[tuple[str, list[str]]]:
    def named(lead: str) -> list[str]:
        return [name for name in result.workloads if name.startswith(lead)]

    return [
        ("rows", ["load", *named("rows-")]),
        ("partitions", ["load", *named("partitions-")]),
        ("batch", named("batch-")),
    ]


def _short(count: int) -> str:
    """Write 2000 as 2k and 10000000 as 10M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count / unit:g}{name}"
    return str(count)


def _ordered(result: Result, names: Sequence[str], label: str) -> list[tuple[int, str]]:
    """Give the workloads of which there are figures, by what they vary."""
    measured = {outcome.workload for outcome in result.outcomes if outcome.correct and outcome.rows_per_second}
    found: list[tuple[Any, str]] = [(result.workloads[name][label], name) for name in names if name in measured]
    return sorted(found)


def _rates(result: Result, system: str, workload: str, phase: str) -> list[float]:
    return result.figures(system, workload, phase, "rows_per_second")


def _latencies(result: Result, system: str, workload: str) -> list[dict[str, float]]:
    return [
        dict(outcome.latency)
        for outcome in result.outcomes
        if (outcome.system, outcome.workload) == (system, workload) and outcome.correct and outcome.latency
    ]


def _colour(result: Result, system: str) -> str:
    return _COLOURS[list(result.systems).index(system) % len(_COLOURS)]


def _rows(figure: Figure, count: int) -> list[Axes]:
    return list(figure.subplots(count, 1, squeeze=False)[:, 0])


def _columns(figure: Figure, count: int) -> list[Axes]:
    return list(figure.subplots(1, count, squeeze=False)[0])


def _saved(figure: Figure, file: Path) -> bool:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="svg", metadata={"Date": None})
    return True
