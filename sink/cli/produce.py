"""``sink produce``: exchange dumps or a simulated market into the topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from sink.cli import connections
from sink.cli.arguments import duration, moment, names, rate
from sink.cli.produced import Produced, as_json, show, warnings
from sink.datasets import DATASETS
from sink.errors import ConfigError
from sink.producing import MarketProducer
from sink.producing.pacing import paced
from sink.producing.sending import DryRun, Receiver
from sink.producing.simulator import Plan
from sink.producing.sources import Source, dump_files, simulation
from sink.settings import Settings, load

app = typer.Typer(add_completion=False)

_ALL = ",".join(DATASETS)

Files = Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="Dump files, zip or csv.")]
Simulate = Annotated[bool, typer.Option("--simulate", help="Produce a simulated market instead of files.")]
Rate = Annotated[str, typer.Option("--rate", help="Messages a second (500/s), or max.")]
Symbols = Annotated[str, typer.Option(help="Simulation: symbols, with commas between.")]
Length = Annotated[str, typer.Option("--duration", help="Simulation: market time, in whole minutes (10m, 8h, 2d).")]
Trades = Annotated[int | None, typer.Option(help="Simulation: exact number of trades; default 60 a minute and symbol.")]
Seed = Annotated[int, typer.Option(help="Simulation: another seed is another market.")]
Start = Annotated[
    str | None, typer.Option(help="Simulation: first minute (ISO 8601); default: so that it ends with this minute.")
]
Datasets = Annotated[str, typer.Option(help="Simulation: datasets, with commas between.")]
OpenUpdates = Annotated[int, typer.Option(help="Simulation: unfinished versions of each candle before the final one.")]
FundingEvery = Annotated[str, typer.Option(help="Simulation: time between fundings.")]
Symbol = Annotated[str | None, typer.Option(help="Files: symbol, instead of what the name says.")]
DatasetName = Annotated[str | None, typer.Option("--dataset", help="Files: dataset, instead of what the name says.")]
ShiftToNow = Annotated[bool, typer.Option(help="Files: move old data by whole days to the days before now.")]
Anchor = Annotated[
    str | None,
    typer.Option(help="With --shift-to-now: this time (ISO 8601) instead of now, for the same rows every time."),
]
SkipBadLines = Annotated[bool, typer.Option(help="Files: leave bad lines out and name them, instead of stopping.")]
DryRunOnly = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, produce nothing.")]
Servers = Annotated[str | None, typer.Option(help="Broker addresses; default: SINK_KAFKA__BOOTSTRAP_SERVERS.")]
RegistryUrl = Annotated[
    str | None, typer.Option("--registry", help="Schema registry; default: SINK_REGISTRY__URL, or none.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


@app.command()
def produce(
    *,
    files: Files = None,
    simulate: Simulate = False,
    rate_limit: Rate = "max",
    symbols: Symbols = "BTCUSDT,ETHUSDT",
    length: Length = "10m",
    trades: Trades = None,
    seed: Seed = 7,
    start: Start = None,
    datasets: Datasets = _ALL,
    open_updates: OpenUpdates = 0,
    funding_interval: FundingEvery = "8h",
    symbol: Symbol = None,
    dataset: DatasetName = None,
    shift_to_now: ShiftToNow = False,
    anchor: Anchor = None,
    skip_bad_lines: SkipBadLines = False,
    dry_run: DryRunOnly = False,
    bootstrap_servers: Servers = None,
    registry: RegistryUrl = None,
    json_summary: AsJson = False,
) -> None:
    """Produce public exchange dumps (klines, trades, aggTrades, fundingRate, metrics) or a simulated market.

    For example:

    - `sink produce --simulate --rate 500/s`
    - `sink produce BTCUSDT-trades-2024-01.zip`
    """
    if bool(files) == simulate:
        raise ConfigError("give dump files, or --simulate, and not both")
    if anchor is not None and not shift_to_now:
        raise ConfigError("--anchor says where --shift-to-now moves to; give both")
    now = datetime.now(UTC)
    limit = rate(rate_limit)
    errors = Console(stderr=True)
    settings = load(datasets=DATASETS)
    with _progress(errors) as progress:
        if simulate:
            plan = _plan(
                names(symbols),
                duration(length),
                start=start,
                now=now,
                seed=seed,
                trades=trades,
                limit=limit,
                datasets=names(datasets),
                open_updates=open_updates,
                funding_interval=funding_interval,
            )
            sources = [simulation(plan, now=now)]
        else:
            sources = dump_files(
                files or [],
                symbol=symbol,
                dataset=dataset,
                skip_bad_lines=skip_bad_lines,
                anchor=(moment(anchor) if anchor else now) if shift_to_now else None,
                now=now,
                tell=lambda path: progress.console.print(f"reading {path.name} for its times", style="dim"),
            )
        started = time.monotonic()
        if dry_run:
            _send(sources, DryRun(schemas=settings.schemas), progress, limit=limit)
            delivered: dict[str, dict[int, int]] = {}
        else:
            delivered = _deliver(sources, settings, progress, limit=limit, servers=bootstrap_servers, registry=registry)
    produced = Produced(
        sources=sources,
        seconds=time.monotonic() - started,
        partitions={topic.removeprefix(settings.topic_prefix): counts for topic, counts in delivered.items()},
        dry_run=dry_run,
    )
    for warning in warnings(produced):
        errors.print(f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if json_summary:
        typer.echo(as_json(produced))
    else:
        show(produced, console=Console())


def _plan(
    symbols: tuple[str, ...],
    length: timedelta,
    *,
    start: str | None,
    now: datetime,
    seed: int,
    trades: int | None,
    limit: float | None,
    datasets: tuple[str, ...],
    open_updates: int,
    funding_interval: str,
) -> Plan:
    """Make the plan; with a rate and no number of trades, as many as the rate carries in the market's own time."""
    if trades is None and limit is not None:
        trades = int(limit * length.total_seconds())
    first = now.replace(second=0, microsecond=0) - length if start is None else moment(start)
    return Plan(
        start=first,
        duration=length,
        symbols=symbols,
        seed=seed,
        trades=trades,
        datasets=frozenset(datasets),
        open_updates=open_updates,
        funding_interval=duration(funding_interval),
    )


def _deliver(
    sources: list[Source],
    settings: Settings,
    progress: Progress,
    *,
    limit: float | None,
    servers: str | None,
    registry: str | None,
) -> dict[str, dict[int, int]]:
    """Send everything to the broker and wait until all is delivered; gives counts by topic and partition."""
    with (
        connections.registry(settings, url=registry) as client,
        MarketProducer(
            connections.kafka_options(settings, servers=servers),
            registry=client,
            schemas=settings.schemas,
            topic_prefix=settings.topic_prefix,
        ) as producer,
    ):
        _send(sources, producer, progress, limit=limit)
    return producer.delivered


def _send(sources: list[Source], receiver: Receiver, progress: Progress, *, limit: float | None) -> None:
    for source in sources:
        bar = progress.add_task(Path(source.name).name, total=source.total)
        started = time.monotonic()
        payloads = source.payloads()
        if limit is not None:
            payloads = paced(payloads, per_second=limit, clock=time.monotonic, sleep=time.sleep)
        source.counts.send(payloads, receiver, tell=_teller(progress, bar))
        source.seconds = time.monotonic() - started


def _teller(progress: Progress, bar: TaskID) -> Callable[[int], None]:
    return lambda sent: progress.update(bar, completed=sent)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    """Show progress on a terminal; elsewhere nothing."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield progress
