"""Draws panels of the dashboards from what Prometheus has kept of the scene of the rolling restart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FormatStrFormatter, LogLocator, NullFormatter

from benchmarks.prometheus import JOB, Prometheus, Series
from benchmarks.rolling import SCRAPE, Scene
from deploy.grafana.build import build

mpl.rcParams["svg.hashsalt"] = "kafka-timescale-sink"
mpl.rcParams["svg.fonttype"] = "none"
PICTURES = {
    "overview": ("Messages made durable", "Freshness", "Lag", "Lag in time", "Where the second goes", "Rebalances"),
    "dataset": (
        "Lag by partition",
        "Partitions by state",
        "Flushes",
        "Messages of a batch",
        "Position ahead of Kafka's commit",
        "Memory",
    ),
}
"""The panels that are drawn, by their dashboards."""
_LOGARITHMIC = frozenset({"Freshness", "Flushes", "Messages of a batch"})
"""In the outage they are a thousand times what they usually are."""
_ACROSS = 3
_POINTS = 240
_UNITS = {"s": "s", "bytes": "B", "cps": "/s"}


def draw(prometheus: Prometheus, scene: Scene, directory: Path) -> list[Path]:
    """Draw a picture of each dashboard; give the files."""
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for name, titles in PICTURES.items():
        panels = {panel["title"]: panel for panel in build()[name]["panels"]}
        figure = Figure(figsize=(14, 3.1 * -(-len(titles) // _ACROSS)), layout="constrained")
        cells = figure.subplots(-(-len(titles) // _ACROSS), _ACROSS, squeeze=False).flatten()
        for axes, title in zip(cells, titles, strict=True):
            _panel(axes, panels[title], prometheus, scene)
        file = directory / f"dashboard-{name}.svg"
        figure.savefig(file, format="svg", metadata={"Date": None})
        made.append(file)
    return made


def _panel(axes: Axes, panel: dict[str, Any], prometheus: Prometheus, scene: Scene) -> None:
    step = max(SCRAPE, (scene.ended_at - scene.began_at) / _POINTS)
    lines: list[tuple[str, Series]] = []
    for target in panel["targets"]:
        expr = target["expr"].replace("$job", JOB).replace("$dataset", "trades")
        expr = expr.replace("$__rate_interval", f"{4 * SCRAPE:g}s")
        found = prometheus.over(expr, start=scene.began_at, end=scene.ended_at, step=step)
        lines += [(_legend(target["legendFormat"], one), one) for one in found if one.points]
    stacked = panel["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {}).get("mode") == "normal"
    _lines(axes, sorted(lines, key=lambda line: line[0]), scene.began_at, step, stacked=stacked)
    for begin, end, colour in ((*scene.restarts_at, "#edae49"), (*scene.outage_at, "#d1495b")):
        left, right = (begin - scene.began_at) / 60, (end - scene.began_at) / 60
        axes.axvspan(left, right, color=colour, alpha=0.2, linewidth=0, zorder=0)
    axes.set_title(panel["title"], fontsize=10)
    if panel["title"] in _LOGARITHMIC:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    else:
        axes.set_ylim(bottom=0)
    unit = _UNITS.get(panel["fieldConfig"]["defaults"]["unit"], "")
    axes.yaxis.set_major_formatter(EngFormatter(unit=unit, sep=" "))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g min"))
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, alpha=0.2)


def _lines(axes: Axes, lines: Sequence[tuple[str, Series]], began_at: float, step: float, *, stacked: bool) -> None:
    if not lines:
        axes.text(0.5, 0.5, "nothing", transform=axes.transAxes, ha="center")
        return
    if stacked:
        moments = sorted({at for _, one in lines for at, _ in one.points})
        heights = [[dict(one.points).get(at, 0.0) for at in moments] for _, one in lines]
        axes.stackplot([(at - began_at) / 60 for at in moments], heights, labels=[name for name, _ in lines], alpha=0.7)
    else:
        for name, one in lines:
            points = [*_broken(one.points, step)]
            minutes = [(at - began_at) / 60 for at, _ in points]
            axes.plot(minutes, [value for _, value in points], label=name, linewidth=1)
    axes.legend(fontsize=7, loc="best", framealpha=0.6)


def _broken(points: Sequence[tuple[float, float]], step: float) -> Iterator[tuple[float, float]]:
    """Break a line where nothing was told for a while, instead of drawing across."""
    before = points[0][0]
    for at, value in points:
        if at - before > 2 * step:
            yield before, math.nan
        yield at, value
        before = at


def _legend(form: str, series: Series) -> str:
    for name, value in series.labels.items():
        form = form.replace(f"{{{{{name}}}}}", value)
    return form
