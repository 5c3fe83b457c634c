"""A careful consumer: decode one by one, upsert a batch in one transaction, then commit the offsets.

It commits after the database, keeps the last version of each key of a batch, and sorts by key, so that two of it do not
deadlock. It has no fence, no quarantine and no ledger.
"""

from __future__ import annotations

import io
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from fastavro import parse_schema, schemaless_reader
from psycopg import sql

HEADER = 5
WAIT = 0.1
MAX_AGE = 0.5
"""Seconds after which a batch that is not full is written, as the sink's own default has it."""


def upsert(table: str, columns: list[str], key: list[str]) -> sql.Composed:
    """Build the statement for one row."""
    names = sql.SQL(", ")
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}").format(
        sql.Identifier(table),
        names.join(map(sql.Identifier, columns)),
        names.join(sql.Placeholder() for _ in columns),
        names.join(map(sql.Identifier, key)),
        names.join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in columns if name not in key),
    )


class Program:
    """Reads one topic into one table."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._columns: list[str] = settings["columns"]
        self._key = [self._columns.index(name) for name in settings["key"]]
        self._schema = parse_schema(settings["schema"])
        self._statement = upsert(settings["table"], self._columns, settings["key"])
        self._connection = psycopg.connect(settings["database_url"])
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings["bootstrap_servers"],
                "group.id": settings["group"],
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "partition.assignment.strategy": "cooperative-sticky",
                "fetch.wait.max.ms": 100,
            }
        )
        self._rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self._taken = 0
        self._since = 0.0
        self._offsets: dict[int, int] = {}
        self._ended: set[int] = set()

    def run(self, stop: threading.Event) -> None:
        """Read until told to stop, or until every partition has ended where it is not to follow."""
        batch, follow = int(self._settings["batch"]), bool(self._settings["follow"])
        self._consumer.subscribe([self._settings["topic"]], on_revoke=self._revoked, on_lost=self._lost)
        while not stop.is_set():
            messages = self._consumer.consume(batch - self._taken, WAIT)
            self._take(messages)
            ended = self._caught_up()
            old = time.monotonic() - self._since > MAX_AGE
            if self._taken >= batch or (self._taken and (old or (ended and not messages))):
                self._flush()
            elif ended and not follow and not self._taken:
                break
        self._flush()
        self._consumer.close()
        self._connection.close()

    def _caught_up(self) -> bool:
        mine = {place.partition for place in self._consumer.assignment()}
        return bool(mine) and mine <= self._ended

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            error, partition = message.error(), message.partition() or 0
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own code
                    raise RuntimeError(error.str())
                self._ended.add(partition)
                continue
            record: Any = schemaless_reader(io.BytesIO((message.value() or b"")[HEADER:]), self._schema, None)
            row = tuple(record[name] for name in self._columns)
            self._rows[tuple(row[index] for index in self._key)] = row
            self._offsets[partition] = (message.offset() or 0) + 1
            self._ended.discard(partition)
            self._since = self._since if self._taken else time.monotonic()
            self._taken += 1

    def _flush(self) -> None:
        if not self._taken:
            return
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(self._statement, [self._rows[key] for key in sorted(self._rows)])
        topic = self._settings["topic"]
        self._consumer.commit(
            offsets=[TopicPartition(topic, number, offset) for number, offset in self._offsets.items()],
            asynchronous=False,
        )
        self._forget()

    def _forget(self) -> None:
        self._rows, self._offsets, self._taken = {}, {}, 0

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._flush()
        self._ended -= {place.partition for place in partitions}

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget()
        self._ended -= {place.partition for place in partitions}


def main() -> None:
    """Run until caught up or SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Program(json.loads(Path(sys.argv[1]).read_text())).run(stop)


if __name__ == "__main__":
    main()
