"""``sink demo``: the whole way once, from exchange data through Kafka into TimescaleDB, for a person to see."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sink import logs, supervisor
from sink.avro.registry import Registry
from sink.avro.schemas import shipped_schema
from sink.cli import connections
from sink.cli.anchor import Anchor, kept_anchor
from sink.cli.demonstrated import Demonstrated, Flow, as_json, show
from sink.cli.run import all_of, member_of
from sink.cli.steps import Tell, ToldSteps, steps_on
from sink.cli.stopping import stop_on_signals
from sink.datasets import DATASETS
from sink.db import migrating
from sink.errors import DefinitionError, SinkError
from sink.inspection import overview
from sink.kafka.admin import Topics, Wanted
from sink.kafka.clients import CLOSE_DEADLINE
from sink.kafka.consumer import TopicConsumer
from sink.producing import MarketProducer
from sink.producing.samples import sample_files
from sink.producing.simulator import Plan
from sink.producing.sources import Source, dump_files, simulation
from sink.resources import resource_folder
from sink.settings import Settings, load
from sink.stack import Stack

app = typer.Typer(add_completion=False)

MINUTES = 30
TRADES = 60_000
PARTITIONS = 4
ANCHOR_FILE = "demo.json"
PLAIN_WIDTH = 100
"""Columns where no terminal says how many there are."""
_DIRECTORY = Path(".stack")


@app.command()
def demo(
    *,
    directory: Annotated[
        Path, typer.Option("--directory", help="Where the servers' data and the demo's time anchor lie.")
    ] = _DIRECTORY,
    given_servers: Annotated[
        bool,
        typer.Option("--no-stack", help="Start no servers; use those that the settings name, and their topic prefix."),
    ] = False,
    json_result: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Start the servers, send real exchange data and a simulated market through Kafka, and show what arrived.

    Running it again changes no row. Without --no-stack it uses its own servers only, whatever the settings say.

    For example:

    - `sink demo`
    - `sink demo --json`
    - `sink demo --no-stack`
    """
    began = time.monotonic()
    console = _console(json_result=json_result)
    with steps_on(console) as steps:
        settings = load(datasets=DATASETS) if given_servers else _own_servers(directory, steps)
        logs.configure(form=settings.log.format, level="warning", stream=sys.stderr)
        anchor = kept_anchor(directory / ANCHOR_FILE, now=datetime.now(UTC))
        sources = _sources(anchor)
        url = settings.database_url.get_secret_value()
        with connections.registry(settings, url=None) as registry:
            _prepare(settings, registry, steps)
            with steps.step("produce") as tell:
                produced = _produce(sources, settings, registry, tell)
            with steps.step("sink") as tell:
                written = _run(settings, registry, tell)
        with steps.step("look at the tables"):
            seen = overview.look(url, symbol=_plan(anchor).symbols[0], minutes=MINUTES)
            lag = {name: _lag(settings, name) for name in DATASETS}
    result = Demonstrated(
        anchor=anchor.at,
        seconds=time.monotonic() - began,
        produced=produced,
        written=written,
        lag=lag,
        overview=seen,
    )
    if json_result:
        typer.echo(as_json(result))
        return
    show(result, console=console)
    if anchor.note is not None:
        console.print(f"Note: {anchor.note}.", soft_wrap=True)
    console.print("Run it again: no row count changes.")
    if not given_servers:
        console.print(f"The servers run on; stop them with: {_stop_command(directory)}", markup=False, soft_wrap=True)


def _console(*, json_result: bool) -> Console:
    """Give the console; with JSON on stdout, the steps go to stderr."""
    console = Console(stderr=json_result, highlight=False)
    return console if console.is_terminal else Console(stderr=json_result, highlight=False, width=PLAIN_WIDTH)


def _stop_command(directory: Path) -> str:
    """Give the command as this person can type it: ``make demo`` works where ``sink`` is not on the PATH."""
    command = "sink" if shutil.which("sink") else sys.argv[0]
    return f"{command} stack down" + ("" if directory == _DIRECTORY else f" --directory {directory}")


def _own_servers(directory: Path, steps: ToldSteps) -> Settings:
    """Start the development servers, and give settings that know nothing but them.

    A DATABASE_URL of the environment may well be somebody's production: the demo must not write there by accident.
    """
    stack = Stack(directory, steps=steps)
    stack.up()
    return load(stack.settings(), directory=stack.directory, datasets=DATASETS)


def _plan(anchor: Anchor) -> Plan:
    """Plan the simulated half hour before the anchor; fundings come more often than in life, so that some are seen."""
    length = timedelta(minutes=MINUTES)
    return Plan(
        start=anchor.at - length,
        duration=length,
        trades=TRADES,
        open_updates=3,
        funding_interval=timedelta(minutes=10),
    )


def _sources(anchor: Anchor) -> list[Source]:
    samples = dump_files(
        sample_files(),
        symbol=None,
        dataset=None,
        skip_bad_lines=False,
        anchor=anchor.at,
        now=anchor.at,
        tell=lambda _path: None,
    )
    return [*samples, simulation(_plan(anchor), now=anchor.at)]


def _prepare(settings: Settings, registry: Registry | None, steps: ToldSteps) -> None:
    """Make tables, topics and schemas where they are missing."""
    with steps.step("tables") as tell:
        migrating.upgrade(settings.database_url.get_secret_value(), resource_folder("migrations"), tell)
        tell("up to date")
    with steps.step("topics") as tell:
        wanted = [Wanted(name=settings.topic_prefix + name, partitions=PARTITIONS) for name in DATASETS]
        found = Topics(settings.kafka).apply(wanted)
        missing = [topic.name for topic in found if topic.missing]
        if missing:
            raise DefinitionError(f"the broker did not make {', '.join(missing)}; look at its log, then run this again")
        made = sum(topic.created for topic in found)
        tell(f"{made} created" if made else "all there")
    with steps.step("schemas") as tell:
        if registry is None:
            tell("no registry is set; messages carry the fingerprint of their schema instead")
            return
        for name in DATASETS:
            registry.register(f"{settings.topic_prefix}{name}-value", shipped_schema(name, settings.schemas).text)
        tell("registered")


def _produce(sources: Sequence[Source], settings: Settings, registry: Registry | None, tell: Tell) -> Flow:
    """Send everything and wait until the broker has it."""
    began = time.monotonic()
    with MarketProducer(
        settings.kafka, registry=registry, schemas=settings.schemas, topic_prefix=settings.topic_prefix
    ) as producer:
        before = 0
        for source in sources:
            source.counts.send(source.payloads(), producer, tell=_counting(tell, before))
            before += source.counts.rows
    return Flow(messages=before, seconds=time.monotonic() - began)


def _counting(tell: Tell, before: int) -> Callable[[int], None]:
    return lambda sent: tell(f"{before + sent:,} messages")


def _run(settings: Settings, registry: Registry | None, tell: Tell) -> Flow:
    """Run the sink, as ``sink run --until-caught-up`` does."""
    began = time.monotonic()
    stop = stop_on_signals(settings)
    members = [member_of(dataset, settings, registry) for dataset in DATASETS.values()]
    failures = supervisor.run(members, stop=stop, progress=_Sum(tell))
    if failures:
        raise all_of(failures)
    if stop.is_set():
        raise SinkError("stopped before the sink had caught up; nothing is lost: run it again")
    totals = [member.pipeline.totals for member in members]
    flow = Flow(
        messages=sum(total.messages for total in totals),
        seconds=time.monotonic() - began,
        quarantined=sum(sum(total.quarantined.values()) for total in totals),
    )
    tell(f"{flow.messages:,} messages, all durable")
    return flow


class _Sum:
    """Adds up how far the datasets are; they report from threads of their own."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._done: dict[str, tuple[int, int]] = {}

    def __call__(self, dataset: str, done: int, total: int) -> None:
        with self._lock:
            self._done[dataset] = (done, total)
            sums = [sum(numbers) for numbers in zip(*self._done.values(), strict=True)]
        self._tell(f"{sums[0]:,} of {sums[1]:,} messages")


def _lag(settings: Settings, name: str) -> int:
    group = f"{settings.group_prefix}.{name}"
    consumer = TopicConsumer(options=settings.kafka, topic=f"{settings.topic_prefix}{name}", group=group)
    try:
        return overview.lag(settings.database_url.get_secret_value(), consumer, sink_id=group)
    finally:
        consumer.close(CLOSE_DEADLINE)
