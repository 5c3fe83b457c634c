"""A market of a test's own: topics, groups and a database that nobody else uses, and the commands run on them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from sqlalchemy import make_url, text

from sink.avro.registry import Registry
from sink.datasets import DATASETS
from sink.kafka.logs import remarks
from sink.producing import MarketProducer
from sink.producing.payload import Payload
from tests.children import Child, Nursery
from tests.fix_database import in_database, plain_engine, temporary_database
from tests.fix_stack import Servers
from tests.patience import ANSWER

SINK = (sys.executable, "-m", "sink")
PARTITIONS = 4
LIMIT = 240.0
"""Seconds after which a command hangs, and its test has failed."""
LINEAGE = ("source_partition", "source_offset", "observed_at")

Row = tuple[Any, ...]


def clean_environment() -> dict[str, str]:
    """Give this process's environment without settings of the sink, for a command that starts as quickly as it can."""
    # Python that may not keep its bytecode compiles every library at every start, which takes seconds
    left_out = ("SINK_", "DATABASE_URL", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = LIMIT) -> None:
    """Look again and again until something holds; fail the test where it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain until {what}"
        time.sleep(0.02)


class Process:
    """A command that runs beside the test; its output goes to a file, so that it never waits for a reader."""

    def __init__(self, running: Child | subprocess.Popen[bytes], output: Path) -> None:
        self._running = running
        self._output = output

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    @property
    def output(self) -> str:
        """What it has written to stdout and stderr so far."""
        return self._output.read_text()

    def records(self) -> list[dict[str, Any]]:
        """Give the log so far; every whole line of it must be JSON."""
        return [json.loads(line) for line in self.output.splitlines(keepends=True) if line.endswith("\n")]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something holds; fail where it never does, with what the process has said."""
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert self._running.poll() is None, f"it ended before {what}: {self.output}"
            assert time.monotonic() < deadline, f"waited {LIMIT:g} s in vain until {what}: {self.output[-4000:]}"
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self._running.poll() is None:
            os.kill(self.pid, number)

    def end(self, timeout: float = LIMIT) -> int:
        """Wait for its end and give the exit code."""
        deadline = time.monotonic() + timeout
        while (code := self._running.poll()) is None:
            if time.monotonic() > deadline:
                pytest.fail(f"process {self.pid} does not end; its last words: {self.output[-2000:]}")
            time.sleep(0.02)
        return code

    def kill(self) -> None:
        """End it as a power cut would."""
        self._running.kill()
        self.end(10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Topics, a database and a group prefix of one test, and the environment of commands that work on them."""

    servers: Servers
    nursery: Nursery
    """Where the commands are forked."""
    administrator_url: str
    """The market's database, for looking at it."""
    directory: Path
    prefix: str
    """Of the topics."""
    group: str
    """Prefix of the groups."""
    tree: Path | None = None
    """A copy of the repository from which commands run to their end, instead of this one."""

    def topic(self, dataset: str) -> str:
        """Name a dataset's topic."""
        return self.prefix + dataset

    @property
    def writer_url(self) -> str:
        """Name the market's database, as the sink writes to it."""
        return self.url_of("sink_writer")

    def url_of(self, role: str) -> str:
        """Name the market's database for a role."""
        database = make_url(self.administrator_url).database or ""
        return in_database(self.administrator_url, database, user=role).render_as_string(hide_password=False)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Give the environment of a command; ``variables`` come last."""
        return {
            **clean_environment(),
            "DATABASE_URL": self.writer_url,
            "SINK_KAFKA__BOOTSTRAP_SERVERS": self.servers.bootstrap_servers,
            "SINK_TOPIC_PREFIX": self.prefix,
            "SINK_GROUP_PREFIX": self.group,
            "SINK_HTTP__PORT": "0",  # several run beside each other
            "SINK_STATE_DIRECTORY": str(self.directory / "state"),
            "SINK_REGISTRY__TIMEOUT": "20",  # a command of a test has no second try on a starved machine
            "SINK_HOUSEKEEPING__EVERY": "0",  # rows of tests may be older than their retention
            "SINK_ALLOW_INSECURE_DATABASE": "true",  # SINK_TEST_DATABASE_URL may name another host
            **variables,
        }

    def sink(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run ``sink ...`` to its end."""
        environment = self.environment(variables)
        if self.tree is not None:
            return subprocess.run(
                [*SINK, *arguments],
                cwd=self.tree,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        errors = self.directory / f"{uuid.uuid4().hex}.log"
        child = self.nursery.start(*arguments, environment=environment, directory=self.directory, errors=errors)
        return subprocess.CompletedProcess(arguments, child.end(LIMIT), child.output, errors.read_text())

    def caught_up(self, *datasets: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run ``sink run ... --until-caught-up``, which must succeed."""
        done = self.sink("run", *datasets, "--until-caught-up", **variables)
        assert done.returncode == 0, done.stderr
        return done

    @contextmanager
    def start(self, *arguments: str, **variables: str) -> Iterator[Process]:
        """Run ``sink ...`` beside the test; killed at the end if it still runs."""
        child = self.nursery.start(*arguments, environment=self.environment(variables), directory=self.directory)
        process = Process(child, child.path)
        try:
            yield process
        finally:
            process.kill()

    def producer(self, registry: Registry | None = None) -> MarketProducer:
        """Give a typed producer for the topics."""
        return MarketProducer(
            {"bootstrap.servers": self.servers.bootstrap_servers}, registry=registry, topic_prefix=self.prefix
        )

    def produce(self, payloads: Iterable[Payload]) -> int:
        """Produce payloads in Avro single-object encoding and wait until they are delivered."""
        with self.producer() as producer:
            return producer.produce_many(payloads)

    def send(self, dataset: str, values: Sequence[bytes | None], *, partition: int = 0) -> None:
        """Put raw values into one partition, in this order."""
        producer = Producer({"bootstrap.servers": self.servers.bootstrap_servers}, logger=remarks(__name__))
        for value in values:
            producer.produce(self.topic(dataset), value, b"key", partition=partition)
        assert producer.flush(ANSWER) == 0

    def rows(self, statement: str) -> list[Row]:
        """Ask the market's database."""
        with plain_engine(self.administrator_url).connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def execute(self, statement: str) -> None:
        """Change the market's database, as its administrator."""
        with plain_engine(self.administrator_url).begin() as connection:
            connection.execute(text(statement))

    def contract(self, dataset: str) -> list[Row]:
        """Give a table's contract columns, by key."""
        return self.table(dataset, ())

    def table(self, dataset: str, further: Sequence[str] = LINEAGE) -> list[Row]:
        """Give a table's contract columns and lineage, by key."""
        columns = ", ".join((*DATASETS[dataset].columns, *further))
        return self.rows(f"SELECT {columns} FROM {dataset} ORDER BY {', '.join(DATASETS[dataset].key)}")

    def owners(self) -> dict[int, int]:
        """Give the process id that owns each partition."""
        rows = self.rows("SELECT partition, owner FROM sink.positions WHERE owner <> ''")
        return {partition: int(owner.rpartition("/")[2]) for partition, owner in rows}

    def durable(self) -> int:
        """Count the offsets that are durable, over all topics."""
        ((count,),) = self.rows("SELECT coalesce(sum(next_offset), 0) FROM sink.positions")
        return int(count)

    def check_ledger(self, *, messages: int) -> None:
        """Fail where an offset is missing or accounted for twice, or the counts of messages do not add up."""
        chains: dict[tuple[str, int], int] = {}
        flushed = self.rows(
            "SELECT topic, partition, from_offset, to_offset FROM sink.flushes WHERE kind <> 'replay' ORDER BY id"
        )
        for topic, partition, start, end in flushed:
            assert start == chains.get((topic, partition), 0), f"hole or overlap at {topic}/{partition}: {flushed}"
            assert end >= start
            chains[topic, partition] = end
        own = "sink_id NOT LIKE '%/replay/%'"
        for topic, partition, position in self.rows(
            f"SELECT topic, partition, next_offset FROM sink.positions WHERE {own}"
        ):
            assert position == chains.get((topic, partition), 0)
        sums = "messages, rows_written, rows_not_newer, rows_deduplicated, ignored, quarantined"
        (total, *parts) = self.rows(
            f"SELECT {', '.join(f'coalesce(sum({name}), 0)' for name in sums.split(', '))} FROM sink.flushes"
            f" WHERE {own}"
        )[0]
        assert total == messages == sum(parts)


class Markets:
    """Makes markets."""

    def __init__(self, servers: Servers, template: str, directory: Path, nursery: Nursery) -> None:
        self._servers = servers
        self._nursery = nursery
        self._template = template
        self._directory = directory
        self._databases: list[Any] = []

    def make(self, *, like: Market | None = None, partitions: int = PARTITIONS) -> Market:
        """Make a market of its own, or another group and database on the topics of one."""
        name = uuid.uuid4().hex[:12]
        database = temporary_database(self._servers.database_url, template=self._template)
        url = database.__enter__()
        self._databases.append(database)
        made = Market(
            servers=self._servers,
            nursery=self._nursery,
            administrator_url=url.render_as_string(hide_password=False),
            directory=self._directory,
            prefix=f"test-{name}.",
            group=f"test-{name}",
        )
        if like is not None:
            return replace(made, prefix=like.prefix)
        make_topics(self._servers.bootstrap_servers, [made.topic(dataset) for dataset in DATASETS], partitions)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for database in self._databases:
            database.__exit__(None, None, None)


def make_topics(bootstrap_servers: str, topics: Sequence[str], partitions: int) -> None:
    """Make topics on the real broker."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    made = admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics], operation_timeout=ANSWER)
    for future in made.values():
        future.result(ANSWER)

    def known() -> bool:
        found = admin.list_topics(timeout=ANSWER).topics
        return all(topic in found and len(found[topic].partitions) == partitions for topic in topics)

    # the controller has made them; the broker that answers everybody else hears of it a moment later
    wait_until(known, "the broker knows the topics")


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Start commands as processes that have loaded the code already."""
    with Nursery(tmp_path_factory.mktemp("nursery")) as made:
        yield made


@pytest.fixture
def markets(stack: Servers, template_database: str, tmp_path: Path, nursery: Nursery) -> Iterator[Markets]:
    """Make markets for one test."""
    with Markets(stack, template_database, tmp_path, nursery) as made:
        yield made


@pytest.fixture
def market(markets: Markets) -> Market:
    """Give a market of this test's own."""
    return markets.make()


@pytest.fixture
def dice() -> random.Random:
    """Give chance that differs from run to run, for moments at which something breaks."""
    return random.Random()
