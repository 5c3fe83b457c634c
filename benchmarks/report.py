"""docs/performance.md from the JSON of a run: what was measured, on what, how, and what limits us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from benchmarks import plots, statistics
from benchmarks.ratios import OURS
from benchmarks.results import Result
from benchmarks.statistics import Interval

_PLOTS: tuple[tuple[str, str, Callable[[Result, Path], bool]], ...] = (
    ("throughput", "Rows a second of each system", plots.throughput),
    ("time", "CPU seconds for a million rows", plots.time_spent),
    ("latency", "Percentiles of the time from event to durable", plots.latency),
    ("growth", "Rows a second against rows, partitions and batch", plots.growth),
)
_METHOD = Path(__file__).with_name("method.md")
_SMALL_LOAD = 0.5
_MUCH_STEAL = 2.0
_MANY_ROUNDS = 3
_BUSY = 0.85


def write(result: Result, *, source: str, page: Path) -> None:
    """Write the page, with its plots in a folder of its name beside it; ``source`` is the name of the JSON."""
    folder = page.parent / page.stem
    pictures = {
        name: f"![{text}]({folder.name}/{name}.svg)\n"
        for name, text, draw in _PLOTS
        if draw(result, folder / f"{name}.svg")
    }
    page.write_text("\n".join(_page(result, source, pictures)).rstrip() + "\n")


def _page(result: Result, source: str, pictures: dict[str, str]) -> Iterator[str]:
    yield "# Performance\n"
    yield f"<!-- Written by `python -m benchmarks report` from benchmarks/results/{source}; do not edit. -->\n"
    yield from _conditions(result)
    yield from _throughput(result, "load", "First load")
    yield pictures.get("throughput", "")
    yield from _throughput(result, "replay", "Everything already there")
    yield from _others(result)
    yield pictures.get("growth", "")
    yield from _costs(result)
    yield pictures.get("time", "")
    yield from _waits(result)
    yield from _latency(result)
    yield pictures.get("latency", "")
    yield from _doubts(result)
    yield _METHOD.read_text()


def _conditions(result: Result) -> Iterator[str]:
    machine, played = result.machine, dict[int, list[str]]()
    for name in result.workloads:
        if rounds := {outcome.round for outcome in result.outcomes if outcome.workload == name}:
            played.setdefault(len(rounds), []).append(name)
    rounds_told = "; ".join(f"{count} of {', '.join(names)}" for count, names in sorted(played.items(), reverse=True))
    yield (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, kernel {machine['kernel']};"
        f" broker, database and system share them. PostgreSQL {machine['postgresql']} with TimescaleDB"
        f" {machine['timescaledb']} (fsync {machine['fsync']}, synchronous_commit {machine['synchronous_commit']},"
        f" shared_buffers {machine['shared_buffers']}), Apache Kafka {machine['kafka']}, Python {machine['python']},"
        f" revision {machine['revision']}, {result.begun_at}. Rounds: {rounds_told}. Only ratios"
        " within one run mean anything elsewhere.\n"
    )


def _throughput(result: Result, phase: str, title: str) -> Iterator[str]:
    ours = result.figures(OURS, "load", phase, "rows_per_second")
    rows = []
    for system, name in result.systems.items():
        values = result.figures(system, "load", phase, "rows_per_second")
        if values:
            ratio = _interval(statistics.of_ratio(ours, values), ".2f") if ours and system != OURS else ""
            rows.append(f"| {name} | {_interval(statistics.of_median(values), ',.0f')} | {ratio} |")
    if rows:
        yield f"## {title}\n\n| system | rows/s, median [95 %] | this sink is so many times as fast |\n|---|---|---|"
        yield from (*rows, "")


def _others(result: Result) -> Iterator[str]:
    lines = []
    for name, workload in result.workloads.items():
        cells = [
            _interval(statistics.of_median(values), ",.0f") if values else "-"
            for system in result.systems
            for values in [result.figures(system, name, "load", "rows_per_second")]
        ]
        if name != "load" and any(cell != "-" for cell in cells):
            lines.append(f"| {workload['title']} | {' | '.join(cells)} |")
    if lines:
        yield f"## Other workloads, messages/s\n\n| | {' | '.join(result.systems)} |"
        yield f"|{'---|' * (len(result.systems) + 1)}"
        yield from (*lines, "")


def _costs(result: Result) -> Iterator[str]:
    lines = []
    for system, name in result.systems.items():
        memory = result.figures(system, "load", "load", "peak_memory")
        if not memory:
            continue
        cells = [
            f"{plots.per_million(result, system, part):.1f}"
            for part in ("cpu", "cpu_before_first_write", "cpu_database", "cpu_broker")
        ]
        busy = median(result.figures(system, "load", "load", "busy_share") or [0])
        wal = plots.per_million(result, system, "wal_bytes") / 1e6
        lines.append(f"| {name} | {' | '.join(cells)} | {max(memory) / 2**20:,.0f} | {busy:.0%} | {wal:,.0f} |")
    if lines:
        yield (
            "## What a million rows cost, first load\n\n| system | CPU s of the system | of these before its first"
            " write | CPU s of the database | CPU s of the broker | peak memory, MiB | writer busy | WAL, MB |"
        )
        yield f"|{'---|' * 8}"
        yield from (*lines, "")


def _waits(result: Result) -> Iterator[str]:
    seen: dict[str, int] = {}
    for outcome in result.outcomes:
        if (outcome.system, outcome.workload, outcome.phase) == (OURS, "load", "load") and outcome.correct:
            for name, count in outcome.doing.items():
                seen[name] = seen.get(name, 0) + count
    if not seen:
        return
    total = sum(seen.values())
    shares = [f"{name} {count / total:.0%}" for name, count in sorted(seen.items(), key=lambda one: -one[1])]
    yield f"The sink's backend, as seen every 20 ms during a first load: {', '.join(shares[:6])}.\n"
    yield "## What limits us\n"
    busy = median(result.figures(OURS, "load", "load", "busy_share"))
    limit = result.figures("limit", "load", "load", "rows_per_second")
    ours = result.figures(OURS, "load", "load", "rows_per_second")
    share = (
        f" It reaches {median(ours) / median(limit):.0%} of a bare COPY that has the machine to itself."
        if limit
        else ""
    )
    _, own, database, broker = plots.cpu_per_million(result, OURS)
    most, who = max((own, "the sink itself"), (database, "the database"), (broker, "the broker"))
    yield (
        f"The writer's backend is busy for {busy:.0%} of a first load"
        + (
            ", so that the database sets the pace: a faster sink would wait for it."
            if busy >= _BUSY
            else ", so that it waits for the sink: the database could do more."
        )
        + f"{share} Once it writes, most CPU time is spent by {who}: {most:.1f} of {own + database + broker:.1f} s for"
        f" a million rows, on {result.machine['cores']} cores.\n"
    )


def _latency(result: Result) -> Iterator[str]:
    lines = []
    for name, workload in result.workloads.items():
        for system, title in result.systems.items():
            found = [
                outcome.latency
                for outcome in result.outcomes
                if (outcome.system, outcome.workload) == (system, name) and outcome.correct and outcome.latency
            ]
            if found:
                cells = [f"{median(one[cut] for one in found):,.0f}" for cut in _LATENCIES]
                lines.append(f"| {workload['title']} | {title} | {' | '.join(cells)} |")
    if lines:
        yield (
            "## Latency from event to durable, ms\n\n| messages | system | p50 | p90 | p99 | p99.9 | longest |"
            " resolution | producer behind, at most |\n|---|---|---|---|---|---|---|---|---|"
        )
        yield from (*lines, "")


_LATENCIES = ("p50", "p90", "p99", "p99.9", "max", "resolution", "producer_late")


def _doubts(result: Result) -> Iterator[str]:
    doubts = [f"{name} was left out: it {lack}" for name, lack in result.skipped.items()]
    if result.machine["load_before"] > _SMALL_LOAD:
        doubts.append(
            f"other processes were at work when the run began (load {result.machine['load_before']:.1f}): these figures"
            " show that the benchmarks run, not how fast anything is"
        )
    if result.options["rounds"] < _MANY_ROUNDS:
        doubts.append(f"fewer than {_MANY_ROUNDS} rounds are too few for an interval to mean much")
    stolen: dict[str, float] = {}
    for outcome in result.outcomes:
        stolen[outcome.workload] = max(stolen.get(outcome.workload, 0.0), outcome.steal_percent or 0.0)
    if disturbed := [f"{name} {share:.0f} %" for name, share in stolen.items() if share > _MUCH_STEAL]:
        doubts.append(f"other guests took some of the machine during trials, at most: {', '.join(disturbed)}")
    doubts += [
        f"{outcome.system}, {outcome.workload}, {outcome.phase}, round {outcome.round + 1} does not count:"
        f" {(outcome.failure or '').splitlines()[0] if outcome.failure else 'no reason'}"
        for outcome in result.outcomes
        if not outcome.correct
    ]
    if doubts:
        yield "## What to doubt\n"
        yield from (*(f"- {doubt}" for doubt in doubts), "")


def _interval(interval: Interval, form: str) -> str:
    return f"{interval.median:{form}} [{interval.low:{form}}-{interval.high:{form}}]"
