"""Servers of our own, which may be broken, a sink of some replicas on them, and a proxy before the database."""

from __future__ import annotations

import random
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from sink.avro.registry import Registry, RegistryAccess
from sink.stack import Stack
from sink.stack.processes import wait_until
from tests.chaos.compare import Findings, compare
from tests.chaos.load import Load
from tests.chaos.messages import CONSTRAINT, DATASET, SHIPPED, Maker
from tests.chaos.proxy import Proxy
from tests.chaos.replicas import Replicas
from tests.chaos.truth import Truth
from tests.children import Nursery
from tests.fix_database import in_database, migrate, prepare_roles
from tests.fix_sink import clean_environment, make_topics

PARTITIONS = 6
RATE = 250.0
"""Messages a second."""
LOGS = "replicas"
"""Folder of what the replicas said, in the world's directory."""
CATCH_UP = 90.0
"""Seconds within which the replicas must have made everything durable once the faults are over."""
SESSION, MAX_POLL, PATIENCE = 3.0, 12.0, 2.0
"""Seconds after which the group, the client itself and a claim give up on a replica that stands still.

A replica that waits for its database goes without polling for up to 10 s: max.poll.interval must be longer.
"""


def settings(world_url: str, bootstrap_servers: str, registry_url: str) -> dict[str, str]:
    """Give the environment of a replica: production's defaults, but everything that waits waits shorter."""
    return {
        **clean_environment(),
        "RUST_BACKTRACE": "0",
        "DATABASE_URL": world_url,
        "SINK_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "SINK_REGISTRY__URL": registry_url,
        "SINK_REGISTRY__TIMEOUT": "2",
        "SINK_KAFKA__SESSION_TIMEOUT_MS": str(int(SESSION * 1000)),
        "SINK_KAFKA__HEARTBEAT_INTERVAL_MS": "500",
        "SINK_KAFKA__MAX_POLL_INTERVAL_MS": str(int(MAX_POLL * 1000)),
        "SINK_KAFKA__RECONNECT_BACKOFF_MAX_MS": "500",
        "SINK_CLAIM_PATIENCE": f"{PATIENCE:g}",
        "SINK_LOCK_TIMEOUT": "4",
        "SINK_IDLE_TIMEOUT": "4",
        "SINK_SHUTDOWN_TIMEOUT": "10",
        "SINK_BATCH__MAX_ROWS": "400",
        "SINK_BATCH__MAX_AGE": "0.1",
        "SINK_LOG__FORMAT": "json",
    }


@dataclass(slots=True, kw_only=True)
class World:
    """Everything that a fault may touch, and the truth."""

    stack: Stack
    proxy: Proxy
    replicas: Replicas
    load: Load
    topic: str
    group: str
    database_url: str
    """The database itself, past the proxy."""
    truth: Truth = field(default_factory=Truth)

    def heal(self) -> None:
        """Bring back whatever is away."""
        for server in self.stack.servers:
            server.kill(signal.SIGCONT)
            server.start()
        self.proxy.heal()

    def staff(self, count: int) -> None:
        """Have so many replicas run."""
        while len(self.replicas) < count:
            self.replicas.start()

    def thin_out(self, count: int) -> None:
        """Have no more replicas run than that; the oldest leave."""
        while len(self.replicas) > count:
            self.replicas.stop(self.replicas.oldest())

    def settle(self) -> tuple[Findings, float]:
        """Wait until everything produced is durable, then compare everything; also give the seconds that it took."""
        self.truth.read(self.stack.broker.address, self.topic, PARTITIONS)
        began = time.monotonic()
        if not wait_until(lambda: self.behind() == 0, seconds=CATCH_UP):
            raise TimeoutError(
                f"{self.behind()} messages are not durable {CATCH_UP:g} s after the last fault\n"
                f"{self.replicas.last_words()}"
            )
        took = time.monotonic() - began
        with self.connected() as connection:
            connection.execute("SET timezone = 'UTC'")
            return compare(self.truth, connection, sink_id=self.group, topic=self.topic), took

    def behind(self) -> int:
        """Count the messages read for the truth that are not durable."""
        with self.connected() as connection:
            rows = connection.execute(
                "SELECT partition, next_offset FROM sink.positions WHERE sink_id = %s", (self.group,)
            ).fetchall()
        positions: dict[int, int] = dict(rows)
        return sum(max(0, end - positions.get(number, 0)) for number, end in self.truth.ends.items())

    def owners(self) -> int:
        """Count the replicas that own partitions."""
        with self.connected() as connection:
            row = connection.execute(
                "SELECT count(DISTINCT owner) FROM sink.positions WHERE sink_id = %s AND claim_seq > 0", (self.group,)
            ).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection]:
        """Connect to the database, past the proxy."""
        with psycopg.connect(self.database_url.replace("+psycopg", ""), connect_timeout=10) as connection:
            yield connection


@contextmanager
def world(directory: Path, seed: int) -> Iterator[World]:
    """Make a world in ``directory``, and leave nothing of it."""
    stack = Stack(directory / "stack")
    with ExitStack() as made:
        made.callback(shutil.rmtree, directory, ignore_errors=True)
        made.callback(stack.reset)
        made.callback(heal_stopped, stack)
        logs = directory / LOGS
        logs.mkdir()
        nursery = made.enter_context(Nursery(logs))
        stack.up()
        url = make_url(stack.database.url)
        assert url.host is not None
        assert url.port is not None
        prepare_tables(stack.database.url)
        proxy = made.enter_context(Proxy((url.host, url.port)))
        prefix, group = "market.", f"chaos-{uuid.uuid4().hex[:8]}"
        topic = f"{prefix}{DATASET}"
        make_topics(stack.broker.address, [topic], PARTITIONS)
        with_registry = Registry(RegistryAccess(urls=(stack.registry.url,)))
        registered = with_registry.register(f"{topic}-value", SHIPPED.text)
        with_registry.close()
        host, port = proxy.address
        writer = in_database(stack.database.url, str(url.database), user="sink_writer").set(host=host, port=port)
        writer = writer.update_query_dict({"tcp_user_timeout": "3000", "connect_timeout": "2"})
        environment = settings(
            writer.render_as_string(hide_password=False), stack.broker.address, stack.registry.url
        ) | {
            "SINK_GROUP_PREFIX": group,
            "SINK_TOPIC_PREFIX": prefix,
            "SINK_HTTP__PORT": "0",
            "SINK_HOUSEKEEPING__EVERY": "0",
        }
        maker = Maker(random.Random(seed), partitions=PARTITIONS, now=datetime.now(UTC), registered=registered)
        yield World(
            stack=stack,
            proxy=proxy,
            replicas=Replicas(nursery, environment),
            load=Load(stack.broker.address, topic, maker, rate=RATE),
            topic=topic,
            group=f"{group}.{DATASET}",
            database_url=stack.database.url,
        )


def prepare_tables(database_url: str) -> None:
    """Make roles and tables, and the constraint that refuses rows which the sink itself finds good."""
    url = make_url(database_url)
    prepare_roles(url)
    migrate(in_database(database_url, str(url.database), user="sink_migrator"))
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute(CONSTRAINT)


def heal_stopped(stack: Stack) -> None:
    """Let servers that stand still go on, so that they can be stopped."""
    for server in stack.servers:
        server.kill(signal.SIGCONT)
