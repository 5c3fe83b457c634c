"""``python -m benchmarks``: run the benchmarks, or write docs/performance.md from a run's JSON."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import chunks, copies, plan, ratios, scaling, sizing
from benchmarks import systems as known
from benchmarks.lost_day import play as play_lost_day
from benchmarks.plan import Bulk
from benchmarks.prometheus import Prometheus
from benchmarks.results import Result, joined
from benchmarks.rolling import Scene
from benchmarks.rolling import play as play_rolling
from benchmarks.run import play
from benchmarks.sizing import Sizing
from benchmarks.stalled import MIB
from benchmarks.stalled import play as play_stalled
from benchmarks.world import world
from sink.errors import SinkError
from sink.stack import SilentSteps

RESULTS = Path(__file__).parent / "results"
SIZES = RESULTS / "sizes.json"
QUICK_ROWS = 80_000
QUICK_SYSTEMS = ("sink", "limit", "handwritten")

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Measure the sink, its peers and the limit.")
_Out = Annotated[Path | None, typer.Option("--out", help="The JSON to write, instead of one in benchmarks/results.")]
_Directory = Annotated[Path, typer.Option("--directory", help="Of the development servers; started unless they run.")]
_STACK = Path(".stack")


@app.command()
def run(
    *,
    system: Annotated[list[str] | None, typer.Option(help="One of the systems; all if none is given.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="One of the workloads; all if none is given.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each system takes its turn.")] = 5,
    rows: Annotated[int, typer.Option(min=1_000, help="Messages of a workload.")] = plan.ROWS,
    out: _Out = None,
    directory: _Directory = _STACK,
) -> None:
    """Play the rounds, and end with a line of ratios. Everything takes hours.

    Examples: ``python -m benchmarks run --workload load --rounds 3`` ·
    ``python -m benchmarks run --system sink --system debezium --workload latency-5000``
    """
    workloads = plan.chosen(workload or [], rows)
    _play(known.chosen(system or []), workloads, rounds, rows, out, directory)


@app.command()
def quick(*, out: _Out = None, directory: _Directory = _STACK) -> None:
    """First load by the sink, the limit and the hand-written consumer, in under two minutes.

    Examples: ``python -m benchmarks quick`` · ``python -m benchmarks quick --out before.json``
    """
    load = plan.workloads(QUICK_ROWS)["load"]
    assert isinstance(load, Bulk)  # noqa: S101 - for the types
    path = out or RESULTS / "quick.json"
    _play(known.chosen(QUICK_SYSTEMS), [replace(load, replay=False)], 2, QUICK_ROWS, path, directory)


@app.command("lost-day")
def lost_day(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    directory: _Directory = _STACK,
) -> None:
    """Lose a day of candles under load; find, foretell, restore and prove it, and watch the lag of two replicas.

    Example: ``python -m benchmarks lost-day``
    """
    with world(directory, SilentSteps(), os.environ) as servers:
        scene = play_lost_day(servers, _say)
    for name, lag in (("usual", scene.usual), ("meanwhile", scene.meanwhile)):
        _say(f"lag, {name}: {lag}")
    if as_json:
        Console().print_json(data=scene.as_json())
    raise typer.Exit(0 if scene.good else 1)


@app.command("sizing")
def weigh(
    *,
    rows: Annotated[int, typer.Option(min=1_000, help="Messages of each dataset.")] = 500_000,
    out: _Out = None,
    directory: _Directory = _STACK,
) -> None:
    """Weigh a message of each dataset: bytes in Kafka, table, index and write-ahead log, CPU seconds.

    Example: ``python -m benchmarks sizing --rows 200000``
    """
    with world(directory, SilentSteps(), os.environ) as servers:
        found = sizing.play(servers, rows=rows, now=datetime.now(UTC), broker_files=directory / "broker", say=_say)
    path = out or SIZES
    found.write(path)
    typer.echo(f"written to {path}; docs/scaling.md comes from it with: python -m benchmarks scaling")


@app.command("chunks")
def new_chunks(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each kind.")] = 20,
    directory: _Directory = _STACK,
) -> None:
    """Compare a COPY into a chunk that is there with one into a chunk that it makes, alone and four at once.

    Example: ``python -m benchmarks chunks --rounds 10``
    """
    with world(directory, SilentSteps(), os.environ) as servers:
        for compared in chunks.play(servers, rounds=rounds, now=datetime.now(UTC)):
            typer.echo(str(compared))


@app.command("copies")
def bare_copies(
    *,
    rows: Annotated[int, typer.Option(min=1_000, help="Trades of a turn.")] = 500_000,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each kind.")] = 4,
    directory: _Directory = _STACK,
) -> None:
    """Compare bare COPYs: by the collation of symbols, by the order of the rows, over one connection and two.

    Example: ``python -m benchmarks copies --rounds 2``
    """
    with world(directory, SilentSteps(), os.environ) as servers, TemporaryDirectory() as folder:
        for turns in copies.play(servers, rows=rows, rounds=rounds, now=datetime.now(UTC), directory=Path(folder)):
            typer.echo(str(turns))


@app.command("scaling")
def scaling_page(*, output: Annotated[Path, typer.Option(help="The page.")] = Path("docs/scaling.md")) -> None:
    """Write docs/scaling.md from the newest run and from what messages weigh.

    Example: ``python -m benchmarks scaling``
    """
    newest = max(RESULTS.glob("[0-9]*.json"))
    output.write_text(scaling.page(Sizing.read(SIZES), Result.read(newest), source=newest.name))
    typer.echo(f"{output} is written from {SIZES.name} and {newest.name}")


@app.command()
def stalled(
    *,
    rows: Annotated[int, typer.Option(min=1_000, help="Messages of the backlog.")] = 300_000,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long the database lets nobody in.")] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    directory: _Directory = _STACK,
) -> None:
    """Watch the sink's memory while its database stalls in the middle of a backlog.

    Example: ``python -m benchmarks stalled --seconds 60``
    """
    with world(directory, SilentSteps(), os.environ) as servers:
        scene = play_stalled(servers, rows=rows, seconds=seconds)
    _say(
        f"{scene.seconds:g} s without the database after {scene.durable:,} of {scene.rows:,} messages: at most"
        f" {scene.before / MIB:,.0f} MiB before, {scene.after / MIB:,.0f} MiB to the end;"
        f" the table is {'right' if scene.wrong is None else f'wrong: {scene.wrong}'}"
    )
    if as_json:
        Console().print_json(data=asdict(scene))
    raise typer.Exit(0 if scene.good else 1)


@app.command()
def rolling(
    *,
    minutes: Annotated[float, typer.Option(min=0.5, help="Of load, with the restarts in the middle.")] = 10.0,
    rate: Annotated[int, typer.Option(min=100, help="Messages a second.")] = 5_000,
    pictures: Annotated[Path | None, typer.Option(help="Draw the dashboards' main panels into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Restart two replicas under load while Prometheus watches, then stop the database: who is alarmed, and when.

    On servers of its own. Ends with 1 where the newest row was ever ten seconds old without an outage, an alert fired
    without a cause or did not fire with one, or the table has not as many rows as messages were sent.

    Examples: ``python -m benchmarks rolling --minutes 1`` ·
    ``python -m benchmarks rolling --minutes 10 --rate 5000 --json --pictures docs/pictures``
    """

    def drawn(prometheus: Prometheus, scene: Scene) -> None:
        if pictures is None:
            return
        from benchmarks.rolling_pictures import draw  # noqa: PLC0415 - the plotting library takes seconds to load

        for file in draw(prometheus, scene, pictures):
            _say(f"{file} is drawn")

    scene = play_rolling(minutes, rate, _say, drawn)
    for one in scene.alerts:
        _say(f"alert: {one}")
    for sentence in scene.wrong:
        _say(f"wrong: {sentence}")
    if as_json:
        Console().print_json(data=scene.as_json())
    raise typer.Exit(1 if scene.wrong else 0)


@app.command("list")
def list_() -> None:
    """Name the systems, with what this machine lacks to run them, and the workloads.

    Example: ``python -m benchmarks list``
    """
    for system in known.SYSTEMS.values():
        lack = system.missing()
        typer.echo(f"system    {system.name:15} {system.title}{f' ({lack})' if lack else ''}")
    for workload in plan.workloads().values():
        typer.echo(f"workload  {workload.name:15} {workload.title}")


@app.command()
def report(
    file: Annotated[Path | None, typer.Argument(help="A run's JSON; the newest of ours if not given.")] = None,
    *,
    output: Annotated[Path, typer.Option(help="The page; its plots go into a folder beside it.")] = Path(
        "docs/performance.md"
    ),
) -> None:
    """Write docs/performance.md with its plots from the JSON of a run.

    Example: ``python -m benchmarks report benchmarks/results/2026-11-22-full.json``
    """
    from benchmarks.report import write  # noqa: PLC0415 - the plotting library takes seconds, and only this needs it

    found = file or max(RESULTS.glob("[0-9]*.json"), default=None)
    if found is None:
        raise typer.BadParameter("there is no result yet; make one with: python -m benchmarks run")
    write(Result.read(found), source=found.name, page=output)
    typer.echo(f"{output} is written from {found.name}")


@app.command()
def join(
    files: Annotated[list[Path], typer.Argument(help="The runs' JSON files, the one with the workload load first.")],
    *,
    out: Annotated[Path, typer.Option(help="The JSON to write.")],
) -> None:
    """Make one JSON of runs of different workloads on one machine and revision.

    Slow systems can so take fewer turns, or none, in some of them.

    Example: ``python -m benchmarks join load.json latency.json --out benchmarks/results/2026-11-23.json``
    """
    try:
        joined([Result.read(file) for file in files]).write(out)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"{out} is written from {len(files)} runs")


def _play(
    systems: list[known.System],
    workloads: list[plan.Workload],
    rounds: int,
    rows: int,
    out: Path | None,
    directory: Path,
) -> None:
    now = datetime.now(UTC)
    path = out or RESULTS / f"{now:%Y-%m-%dT%H%M%S}.json"
    options = {"rounds": rounds, "rows": rows}
    with world(directory, SilentSteps(), os.environ) as servers:
        result = play(
            servers,
            systems=systems,
            workloads=workloads,
            rounds=rounds,
            now=now,
            options=options,
            path=path,
            tell=_say,
        )
    _say(f"written to {path}")
    typer.echo(ratios.line(result))
    if any(outcome.system == ratios.OURS and not outcome.correct for outcome in result.outcomes):
        raise typer.Exit(1)  # that another system writes something wrong is a result like any other


def _say(line: str) -> None:
    Console(stderr=True, highlight=False).print(line, soft_wrap=True, markup=False)


if __name__ == "__main__":
    try:
        app()
    except SinkError as error:
        sys.exit(f"error: {error}")
