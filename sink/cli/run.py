"""``sink run``: read the topics of all or some datasets into their tables, until told to stop."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sink import logs, supervisor
from sink.assignment import Assignment
from sink.avro.columns import decoder_of
from sink.avro.decode import Decoder
from sink.avro.registry import Registry
from sink.breadcrumb import Breadcrumb, default_directory
from sink.breaker import Breaker, BreakerLimits
from sink.careful import CarefulDecoder
from sink.cli import connections
from sink.collector import Collector
from sink.datasets import DATASETS, Dataset
from sink.db.connect import open_connection
from sink.db.target import revisions_in
from sink.db.tls import hopeless as database_hopeless
from sink.errors import SinkError
from sink.flush import Flusher, Limits
from sink.kafka.consumer import TopicConsumer
from sink.kafka.reach import hopeless as kafka_hopeless
from sink.ledger import Source
from sink.pipeline import Options, Pipeline
from sink.resources import resource_folder
from sink.settings import Settings, load
from sink.tasks import ThreadWriter

app = typer.Typer(add_completion=False)

HARD_EXIT_AFTER = 10.0
"""Seconds beyond the shutdown timeout after which a hanging thread no longer keeps the process."""


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(metavar="[DATASET]...", help="Datasets; all if none.")] = None,
    *,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="Stop once what is in the topics now is durable.")
    ] = False,
    file: Annotated[Path | None, typer.Option("--file", help="Read settings from this TOML file as well.")] = None,
) -> None:
    """Read the market topics into TimescaleDB until SIGTERM or Ctrl-C; exactly once, whatever happens.

    Examples: ``sink run`` · ``sink run trades funding`` · ``sink run --until-caught-up``
    """
    settings = load(config=file, datasets=DATASETS)
    logs.configure(form=settings.log.format, level=settings.log.level, stream=sys.stderr)
    chosen = connections.chosen(names or [])
    stop = stop_on_signals(settings)
    with connections.registry(settings, url=None) as registry, _bars(chosen, until_caught_up=until_caught_up) as bars:
        members = [member_of(dataset, settings, registry) for dataset in chosen]
        failures = supervisor.run(members, stop=stop, progress=bars)
    if failures and (until_caught_up or len(failures) == len(members)):
        raise all_of(failures)


def stop_on_signals(settings: Settings) -> threading.Event:
    """Give what SIGTERM and Ctrl-C set from now on, and bound how long stopping may take then."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.stop_on(stop))
    threading.Thread(target=_insist, args=(stop, settings.shutdown_timeout), name="insist", daemon=True).start()
    return stop


def all_of(failures: Mapping[str, SinkError]) -> SinkError:
    """Make one error of those that halted datasets, of the first one's kind."""
    first = next(iter(failures.values()))
    return type(first)("; ".join(f"{name}: {failure}" for name, failure in failures.items()))


def decoder_for(dataset: Dataset, settings: Settings, registry: Registry | None) -> Decoder:
    """Make a dataset's decoder as the settings say."""
    return decoder_of(dataset, registry=registry, schemas=settings.schemas, max_value_bytes=settings.max_message_bytes)


def member_of(
    dataset: Dataset,
    settings: Settings,
    registry: Registry | None,
    *,
    make_decoder: Callable[[Dataset, Settings, Registry | None], Decoder] = decoder_for,
) -> supervisor.Member:
    """Wire all parts of one dataset's membership."""
    topic, group = f"{settings.topic_prefix}{dataset.name}", f"{settings.group_prefix}.{dataset.name}"
    owner = f"{socket.gethostname()}/{os.getpid()}"
    budget = settings.flush_budget
    lock_timeout = min(settings.lock_timeout, budget)
    url = connections.database_url(settings)
    kafka = connections.kafka_options(settings, servers=None)
    consumer = TopicConsumer(options=kafka, topic=topic, group=group)
    flusher = Flusher(
        dataset=dataset,
        source=Source(sink_id=group, topic=topic),
        owner=owner,
        connect=lambda: open_connection(url, application_name=f"sink {dataset.name} {owner}"),
        limits=Limits(
            deadline=budget,
            lock_timeout=lock_timeout,
            # a claim that gives up first would never end what keeps it waiting
            claim_patience=min(settings.claim_patience, lock_timeout * 2 / 3),
            idle_timeout=min(settings.idle_timeout, budget),
            statement_timeout=min(settings.statement_timeout, budget),
            future_tolerance=timedelta(seconds=settings.future_tolerance),
        ),
    )
    assignment = Assignment()
    collector = Collector(
        topic=topic,
        order=settings.clock_of(dataset.name),
        decoder=CarefulDecoder(
            make_decoder(dataset, settings, registry),
            Breadcrumb(
                settings.state_directory or default_directory(), settings.kafka["bootstrap.servers"], topic, group
            ),
            on_crash=settings.on_crash,
        ),
        breaker=Breaker(
            BreakerLimits(share=settings.breaker.share, window=settings.breaker.window, run=settings.breaker.run)
        ),
        assignment=assignment,
        clock=time.monotonic,
    )
    pipeline = Pipeline(
        dataset=dataset.name,
        kafka=consumer,
        assignment=assignment,
        collector=collector,
        flusher=flusher,
        writer=ThreadWriter(dataset.name),
        options=Options(
            max_rows=settings.batch.max_rows,
            max_bytes=settings.batch.max_bytes,
            max_age=settings.batch.max_age,
            initial_offset=settings.initial_offset,
            skip_lost=settings.on_data_loss == "skip",
            revoke_deadline=min(10.0, budget),
            patience=min(10.0, budget),
            session_timeout=float(settings.kafka.get("session.timeout.ms", "45000")) / 1000,
        ),
        clock=time.monotonic,
        dice=random.Random(),  # noqa: S311 (spreads retries, guards nothing)
    )
    return supervisor.Member(
        dataset=dataset.name,
        group=group,
        consumer=consumer,
        flusher=flusher,
        pipeline=pipeline,
        hopeless=lambda: kafka_hopeless(kafka) or database_hopeless(url, os.environ),
        shutdown_timeout=settings.shutdown_timeout,
        revisions=revisions_in(resource_folder("migrations")),
    )


def _insist(stop: threading.Event, shutdown_timeout: float) -> None:
    """End the process if something hangs after the deadline; what was not flushed is read again."""
    stop.wait()
    time.sleep(shutdown_timeout + HARD_EXIT_AFTER)
    os._exit(1)


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
