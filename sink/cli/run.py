"""``sink run``: read the topics of all or some datasets into their tables, until told to stop."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sink import supervisor
from sink.avro.decode import Decoder
from sink.avro.registry import Registry
from sink.cli import connections, interpreter, options, served, wiring
from sink.cli.stopping import stop_on_signals
from sink.datasets import Dataset
from sink.db.connect import open_connection
from sink.db.target import revisions_in
from sink.db.tls import hopeless as database_hopeless
from sink.db.upkeep import Upkeep
from sink.errors import SinkError
from sink.flush import Flusher
from sink.housekeeping import Housekeeper, Schedule
from sink.kafka.consumer import TopicConsumer
from sink.kafka.reach import hopeless as kafka_hopeless
from sink.observed import Observed
from sink.quarantine.cures import CURES
from sink.resources import resource_folder
from sink.settings import Settings
from sink.watch import Watch

app = typer.Typer(add_completion=False)


@app.command()
def run(
    names: options.Names = None,
    *,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="Stop once what is in the topics now is durable.")
    ] = False,
    file: options.SettingsFile = None,
) -> None:
    """Read the market topics into TimescaleDB until SIGTERM or Ctrl-C; exactly once, whatever happens.

    For example:

    - `sink run`
    - `sink run trades funding`
    - `sink run --until-caught-up`
    """
    settings = options.settings_from(file)
    chosen = connections.chosen(names or [])
    stop = stop_on_signals(settings)
    with ExitStack() as stack:
        registry = stack.enter_context(connections.registry(settings, url=None, heard=served.count_request))
        members = [member_of(dataset, settings, registry) for dataset in chosen]
        stack.enter_context(served.served(settings, [member.watch for member in members], registry))
        bars = stack.enter_context(_bars(chosen, until_caught_up=until_caught_up))
        if not until_caught_up:
            keeper = _housekeeper_of(chosen, settings)
            threading.Thread(target=keeper.run, args=(stop,), name="housekeeping", daemon=True).start()
        interpreter.settle()
        failures = supervisor.run(members, stop=stop, progress=bars)
    if failures and (until_caught_up or len(failures) == len(members)):
        raise all_of(failures)


def all_of(failures: Mapping[str, SinkError]) -> SinkError:
    """Make one error of those that halted datasets, of the first one's kind."""
    first = next(iter(failures.values()))
    return type(first)("; ".join(f"{name}: {failure}" for name, failure in failures.items()))


def member_of(
    dataset: Dataset,
    settings: Settings,
    registry: Registry | None,
    *,
    make_decoder: Callable[[Dataset, Settings, Registry | None], Decoder] = wiring.decoder_for,
) -> supervisor.Member:
    """Wire all parts of one dataset's membership."""
    source, owner = wiring.source_of(dataset, settings), wiring.owner_name()
    url = connections.database_url(settings)
    kafka = connections.kafka_options(settings, servers=None)
    consumer = TopicConsumer(options=kafka, topic=source.topic, group=source.sink_id)
    flusher = Flusher(
        dataset=dataset,
        source=source,
        owner=owner,
        connect=lambda: open_connection(url, application_name=f"sink {dataset.name} {owner}"),
        limits=wiring.limits_of(settings),
    )
    observed = Observed(dataset.name, reasons=CURES)
    pipeline = wiring.pipeline_of(
        dataset,
        settings,
        kafka=consumer,
        topic=source.topic,
        decoder=wiring.careful(make_decoder(dataset, settings, registry), settings, source.topic, source.sink_id),
        flusher=flusher,
        options=wiring.options_of(settings),
        observer=observed,
    )
    watch = Watch(
        dataset=dataset.name,
        group=source.sink_id,
        topic=source.topic,
        observed=observed,
        pipeline=pipeline,
        consumer=consumer,
        database=flusher,
        registry=registry,
    )
    return supervisor.Member(
        dataset=dataset.name,
        group=source.sink_id,
        consumer=consumer,
        flusher=flusher,
        pipeline=pipeline,
        watch=watch,
        hopeless=lambda: kafka_hopeless(kafka) or database_hopeless(url, os.environ),
        shutdown_timeout=settings.shutdown_timeout,
        revisions=revisions_in(resource_folder("migrations")),
    )


def _housekeeper_of(datasets: Sequence[Dataset], settings: Settings) -> Housekeeper:
    kept = settings.housekeeping
    return Housekeeper(
        {dataset.name: wiring.source_of(dataset, settings) for dataset in datasets},
        Upkeep(connections.database_url(settings), application_name=f"sink housekeeping {wiring.owner_name()}"),
        Schedule(
            every=kept.every or None,
            keep_ledger=timedelta(days=kept.ledger_days) if kept.ledger_days else None,
        ),
        clock=time.monotonic,
        now=time.time,
        dice=random.Random(),  # noqa: S311 (spreads turns, guards nothing)
    )


class _Bars:
    """A progress bar a dataset."""

    def __init__(self, progress: Progress, datasets: list[Dataset]) -> None:
        self._progress = progress
        self._tasks = {dataset.name: progress.add_task(dataset.name, total=None) for dataset in datasets}

    def __call__(self, dataset: str, done: int, total: int) -> None:
        self._progress.update(self._tasks[dataset], completed=done, total=total)


class _Bare:
    """No bars where nobody watches."""

    def __call__(self, dataset: str, done: int, total: int) -> None:
        """Say nothing."""


def _bars(datasets: list[Dataset], *, until_caught_up: bool) -> AbstractContextManager[supervisor.Progress | None]:
    console = Console(stderr=True)
    if not until_caught_up:
        return nullcontext(None)
    if not console.is_terminal:
        return nullcontext(_Bare())
    return _Shown(console, datasets)


class _Shown(AbstractContextManager[supervisor.Progress | None]):
    def __init__(self, console: Console, datasets: list[Dataset]) -> None:
        columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, TimeRemainingColumn(), console=console)
        self._bars = _Bars(self._progress, datasets)

    def __enter__(self) -> supervisor.Progress:
        self._progress.start()
        return self._bars

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
