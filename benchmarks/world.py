"""The servers of a run, and what each workload and each trial gets of them: a topic, a database."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from psycopg import sql
from sqlalchemy import make_url
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from benchmarks.generator import Encoder, Generated, rows_of
from benchmarks.plan import Workload
from benchmarks.systems.system import System
from sink.avro.registry import Registry, RegistryAccess
from sink.avro.schemas import shipped_schema
from sink.db import migrating
from sink.kafka.admin import Topics, Wanted
from sink.kafka.clients import admin_client
from sink.resources import resource_folder
from sink.stack import Stack, Steps
from sink.stack.stack import NATIVE

TIMEOUT = 20.0
_POLL_EVERY = 1_000
_HEAP = 64 * 1024
PRODUCER: dict[str, str | int] = {"acks": "all", "compression.type": "lz4", "linger.ms": 5}


def clean_environment() -> dict[str, str]:
    """Give this process's environment without settings of the sink, and with Python's bytecode kept between starts."""
    left_out = ("SINK_", "DATABASE_URL", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A broker, a registry and a database server."""

    bootstrap_servers: str
    registry_url: str
    database_url: str
    database_pid: int | None
    """None where the server is not a process of this machine that can be measured."""
    broker_pid: int | None

    @contextmanager
    def topic(self, workload: Workload) -> Iterator[tuple[str, int]]:
        """Make a topic of a workload's own and register its schema; give the topic and the schema's id."""
        name = f"bench-{uuid.uuid4().hex[:8]}.{workload.dataset}"
        options = {"bootstrap.servers": self.bootstrap_servers}
        registry = Registry(RegistryAccess(urls=(self.registry_url,), timeout=TIMEOUT))
        schema_id = registry.register(f"{name}-value", shipped_schema(workload.dataset).text)
        registry.close()
        Topics(options, timeout=TIMEOUT).apply([Wanted(name=name, partitions=workload.partitions)])
        try:
            yield name, schema_id
        finally:
            admin = admin_client(options, module=__name__)
            for future in admin.delete_topics([name]).values():
                future.result(TIMEOUT)

    def fill(self, topic: str, schema_id: int, workload: Workload, generated: Generated) -> None:
        """Produce every message; the last version of a key comes last in its partition."""
        encoder = Encoder(workload.dataset, schema_id)
        producer = Producer(
            {**PRODUCER, "bootstrap.servers": self.bootstrap_servers, "queue.buffering.max.kbytes": _HEAP}
        )
        for number, row in enumerate(rows_of(generated.sent)):
            value, key = encoder.encode(row), row["symbol"].encode()
            while True:
                try:
                    producer.produce(topic, value, key, partition=row["partition"])
                    break
                except BufferError:
                    producer.poll(0.1)
            if number % _POLL_EVERY == 0:
                producer.poll(0)
        if producer.flush(120):
            raise RuntimeError(f"not everything was delivered to {topic}")

    @contextmanager
    def database(self, system: System) -> Iterator[str]:
        """Make an empty database with the sink's own migrations; give its address as SQLAlchemy writes it."""
        name = sql.Identifier(made := f"bench_{uuid.uuid4().hex[:8]}")
        url = make_url(self.database_url).set(database=made).render_as_string(hide_password=False)
        self._execute(self.database_url, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        try:
            migrating.upgrade(url, resource_folder("migrations"), lambda _: None)
            for statement in system.adapt():
                self._execute(url, sql.SQL(statement))
            yield url
        finally:
            self._execute(self.database_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    @retry(retry=retry_if_exception_type(KafkaException), stop=stop_after_delay(60), wait=wait_fixed(1), reraise=True)
    def behind(self, group: str, topic: str, partitions: int) -> int:
        """Count the messages that a group has not committed; a broker under load is asked again, for a minute."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap_servers, "group.id": group, "enable.auto.commit": False}
        )
        try:
            places = [TopicPartition(topic, number) for number in range(partitions)]
            ends = {place.partition: consumer.get_watermark_offsets(place, TIMEOUT)[1] for place in places}
            done = {place.partition: max(0, place.offset) for place in consumer.committed(places, TIMEOUT)}
        finally:
            consumer.close()
        return sum(end - done.get(number, 0) for number, end in ends.items())

    def versions(self) -> dict[str, str]:
        """Say which servers these are."""
        with psycopg.connect(self.database_url.replace("+psycopg", "")) as connection:
            row = connection.execute(
                "SELECT current_setting('server_version'), current_setting('fsync'),"
                " current_setting('synchronous_commit'), current_setting('shared_buffers'),"
                " (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb')"
            ).fetchone()
        names = ("postgresql", "fsync", "synchronous_commit", "shared_buffers", "timescaledb")
        return dict(zip(names, map(str, row or ()), strict=True))

    @staticmethod
    def _execute(url: str, statement: sql.Composed | sql.SQL) -> None:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement)


def of_stack(stack: Stack) -> World:
    """Describe servers that run."""
    native = stack.backend == NATIVE
    return World(
        bootstrap_servers=stack.broker.address,
        registry_url=stack.registry.url,
        database_url=stack.database.url,
        database_pid=stack.database.pid if native else None,
        broker_pid=stack.broker.pid if native else None,
    )


@contextmanager
def world(directory: Path, steps: Steps, environ: Mapping[str, str]) -> Iterator[World]:
    """Use the development servers of a directory, which are started, and stopped again, unless they run."""
    stack = Stack(directory, environ=environ, steps=steps)
    ours = all(server.state == "stopped" for server in stack.status())
    if any(server.state != "running" for server in stack.status()):
        stack.up()
    try:
        yield of_stack(stack)
    finally:
        if ours:
            with suppress(OSError):
                stack.down()
