"""``sink status``: how far every dataset is, from Kafka and the database, wherever the sink runs."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from sink.cli import connections, options, wiring
from sink.cli.status_view import view
from sink.datasets import DATASETS
from sink.db.errors import parse_url, shown
from sink.errors import TransientError
from sink.inspection.asking import Asked
from sink.inspection.status import BUCKETS, DatasetStatus, KafkaTold, Part, Status, TableView, together
from sink.inspection.status_asked import AskedDatabase, ask_kafka
from sink.kafka.reach import why_unreachable
from sink.kafka.standing import Brokers
from sink.ledger import Source
from sink.settings import Settings, load

app = typer.Typer(add_completion=False)

WIDE = 150
"""Characters in a line where no terminal bounds them."""
GRACE = 15.0
"""Seconds beyond its own time-out after which a single look no longer waits for a server."""


@app.command()
def status(
    names: options.Names = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print the status and end; so does output to a file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON once, for machines.")] = False,
    every: Annotated[float, typer.Option(min=0.5, max=3600, help="Seconds between two looks.")] = 2.0,
    timeout: Annotated[float, typer.Option(min=1, max=300, help="Seconds that one question may take.")] = 5.0,
    file: options.SettingsFile = None,
) -> None:
    """Show live, per dataset and partition: owner, position, lag, rate, freshness, quarantine, size; Ctrl-C ends it.

    Reads Kafka and the database only, so the sink may run anywhere, and sink_reader's login is enough. A server that
    does not answer leaves its columns empty and its reason below; with --once or --json the exit code is then that of
    the reason.

    For example:

    - `sink status`
    - `sink status trades --every 5`
    - `sink status --once`
    - `sink status --json`
    """
    settings = load(config=file, datasets=DATASETS)
    sources = {dataset.name: wiring.source_of(dataset, settings) for dataset in connections.chosen(names or [])}
    kafka = Asked("Kafka", _kafka(settings, sources, timeout), patience=timeout + GRACE)
    database = Asked("the database", _database(settings, sources, timeout), patience=timeout + GRACE)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    lags: dict[str, deque[int]] = {name: deque(maxlen=BUCKETS) for name in sources}

    def look(wait: float) -> Status:
        kafka.begin()
        database.begin()
        until = time.monotonic() + wait
        answers = kafka.answer(wait), database.answer(until - time.monotonic())
        return together(sources, *answers, now=datetime.now(UTC))

    def draw(found: Status, *, height: int | None) -> Any:
        for one in found.datasets:
            if one.lag is not None:
                lags[one.dataset].append(one.lag)
        name = shown(parse_url(settings.database_url.get_secret_value()))
        share = settings.breaker.share
        return view(found, database=name, lags=lags, breaker=share, width=console.width, height=height)

    if as_json or once or not console.is_terminal:
        found = look(timeout + GRACE)
        if as_json:
            typer.echo(json.dumps(document(found), indent=2))
        else:
            console.print(draw(found, height=None))
        error = found.kafka_error or found.database_error
        if error is not None:
            raise error
        return
    with Live(console=console, auto_refresh=False, screen=True) as live, suppress(KeyboardInterrupt):
        follow(
            lambda: live.update(draw(look(every), height=console.height), refresh=True),
            every=every,
            stop=threading.Event(),
            clock=time.monotonic,
        )


def follow(refresh: Callable[[], object], *, every: float, stop: threading.Event, clock: Callable[[], float]) -> None:
    """Refresh every so many seconds until told to stop; what a refresh takes is part of them."""
    while not stop.is_set():
        begun = clock()
        refresh()
        stop.wait(max(0.0, every - (clock() - begun)))


def _kafka(settings: Settings, sources: Mapping[str, Source], timeout: float) -> Callable[[], KafkaTold]:
    # options that are refused are an answer of the view's as well, so the client is made at the first look that can
    brokers = cache(lambda: Brokers(connections.kafka_options(settings, servers=None), timeout=timeout))

    def look() -> KafkaTold:
        try:
            return ask_kafka(brokers(), sources)
        except TransientError as error:
            raise why_unreachable(connections.kafka_options(settings, servers=None)) or error from error

    return look


def _database(
    settings: Settings, sources: Mapping[str, Source], timeout: float
) -> Callable[[], Mapping[str, TableView]]:
    database = cache(lambda: AskedDatabase(connections.database_url(settings), sources, timeout=timeout))
    return lambda: database().look()


def document(status: Status) -> dict[str, object]:
    """Give the status for machines; what nobody told is null."""
    return {
        "at": iso(status.at),
        "kafka": {"cluster_id": status.cluster_id, "error": _words(status.kafka_error)},
        "database": {"error": _words(status.database_error)},
        "datasets": [_dataset(one) for one in status.datasets],
    }


def _dataset(one: DatasetStatus) -> dict[str, object]:
    stored = one.stored
    return {
        "dataset": one.dataset,
        "sink_id": one.source.sink_id,
        "topic": one.source.topic,
        "group": None if one.group is None else {"state": one.group.state, "members": len(one.group.members)},
        "lag": one.lag,
        "rate": None if one.rate is None else round(one.rate, 1),
        "rates": [round(rate, 1) for rate in one.rates],
        "newest_event_at": iso(one.newest),
        "freshness_seconds": None if one.age is None else round(one.age.total_seconds(), 3),
        "last_five_minutes": None if one.counts is None else dict(one.counts),
        "flush_seconds": None
        if one.split is None
        else {
            "filled": round(one.split.filled, 4),
            "waited": round(one.split.waited, 4),
            "written": round(one.split.written, 4),
        },
        "quarantine": None
        if one.quarantined is None
        else {
            "waiting": one.quarantined.waiting,
            "last_hour": one.quarantined.last_hour,
            "share": round(one.bad_share or 0.0, 4),
        },
        "storage": None
        if stored is None
        else {
            "chunks": stored.chunks,
            "bytes": stored.size,
            "oldest_chunk_at": iso(stored.oldest),
            "retention_days": None if stored.retain is None else stored.retain.total_seconds() / 86_400,
            "horizon_at": iso(one.horizon),
        },
        "notes": list(one.notes),
        "partitions": [part_document(part) for part in one.parts],
    }


def part_document(part: Part) -> dict[str, object]:
    """Give a partition for machines."""
    return {
        "partition": part.partition,
        "owner": part.owner,
        "in_group": part.member,
        "position": part.position,
        "log_start": part.log_start,
        "log_end": part.log_end,
        "lag": part.lag,
        "kafka_commit": None if part.commit is None else part.commit.offset,
        "kafka_commit_ours": None if part.commit is None else part.commit.marked,
        "claimed_at": iso(part.claimed_at),
        "updated_at": iso(part.updated_at),
        "newest_event_at": iso(part.last_event_at),
    }


def iso(moment: datetime | None) -> str | None:
    """Write a time for machines."""
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _words(error: Exception | None) -> str | None:
    return None if error is None else str(error)
